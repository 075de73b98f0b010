"""``python -m rl_postproc`` is the command ``rl-postproc``."""

import importlib

if __name__ == "__main__":
    # By name: the command line stands on the floor above the core.
    importlib.import_module("rl_postproc.agents.cli").main()
