"""Post-processing of sound event detectors: exact, fast, and tuned by reinforcement learning.

The core lives here; ``rl_postproc.envs`` holds the Gymnasium environments, ``rl_postproc.agents`` what learns or
searches and the command line.
"""

from __future__ import annotations

from pathlib import Path

__version__ = "0.1.0"

_here = Path(__file__).resolve().parent
if not (_here / "envs").is_dir() and (_here.parent / "envs" / "__init__.py").is_file():
    # A plain checkout: envs/, agents/ and configs/ stand beside this folder and are its subpackages.
    __path__.append(str(_here.parent))

from rl_postproc.registration import register as _register  # noqa: E402

_register()
