"""Which tests were skipped, and whether they ran elsewhere: what the gate asks after running in several environments.

python -m pytest --outcomes=first.json
python tests/outcomes.py rerun first.json          # prints the skipped tests, to run where more is installed
python tests/outcomes.py check first.json second.json
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

EXPECTED = ("CUDA", "real data", r"needs '.*shared", "needs Chromium")
"""Reasons to skip that no installation can mend: no such device, or the data is not here."""


def read(paths: list[str]) -> dict[str, str]:
    """Returns the reason why each test was skipped, empty where it ran in one of the files."""
    found: dict[str, str] = {}
    for path in paths:
        for name, reason in json.loads(Path(path).read_text()).items():
            found[name] = "" if found.get(name) == "" else reason
    ran = {name.split("::")[0] for name, reason in found.items() if not reason and "::" in name}
    # A module that was skipped as a whole is named by its file.
    return {name: "" if name in ran else reason for name, reason in found.items()}


def main() -> int:
    command, *paths = sys.argv[1:]
    skipped = {name: reason for name, reason in read(paths).items() if reason}
    missed = {name: why for name, why in skipped.items() if not any(re.search(text, why) for text in EXPECTED)}
    if command == "rerun":
        print("\n".join(missed))
        return 0
    for name, reason in missed.items():
        print(f"{name} was skipped in every environment: {reason}")
    print(f"{len(skipped) - len(missed)} tests skipped for want of a device or data, {len(missed)} for no good reason.")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
