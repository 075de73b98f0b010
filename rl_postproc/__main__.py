"""``python -m rl_postproc`` is the command ``rl-postproc``."""

import importlib
import sys


def main() -> None:
    """Runs the command line; an interrupt is told in a sentence even while that is being imported."""
    from rl_postproc.utils import interrupts

    with interrupts.noticed():
        try:
            # By name: the command line stands on the floor above the core.
            cli = importlib.import_module("rl_postproc.agents.cli")
        except BaseException:
            if not interrupts.interrupted():
                raise
            print(interrupts.told(), file=sys.stderr)
            sys.exit(interrupts.CODE)
    cli.main()


if __name__ == "__main__":
    main()
