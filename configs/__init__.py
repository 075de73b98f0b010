"""Experiments that come with the package; `rl-postproc benchmark NAME` finds them by name."""
