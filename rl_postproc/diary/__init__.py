"""The error diary: what kinds of errors event lists make, what each costs, and which make the difference between two."""

from rl_postproc.diary.compare import contributions
from rl_postproc.diary.counts import Diary, diary, mend
from rl_postproc.diary.kinds import KINDS, find_errors

__all__ = ["KINDS", "Diary", "contributions", "diary", "find_errors", "mend"]
