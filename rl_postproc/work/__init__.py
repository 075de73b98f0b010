"""Tasks to workers: one by one here, in processes of this machine, or on a Ray cluster, with the same results."""

from __future__ import annotations

from rl_postproc.utils.errors import UserError

from .base import Engine, Report, in_order, unheard
from .cluster import RayCluster
from .processes import Processes
from .serial import Serial

__all__ = ["Engine", "Processes", "RayCluster", "Report", "Serial", "choose_engine", "in_order", "unheard"]


def choose_engine(jobs: int = 1, cluster: str | None = None, threads: int = 1) -> Engine:
    """Returns where tasks are worked on.

    Args:
        jobs: number of processes on this machine.
        cluster: address of a Ray cluster, see `RayCluster`; None stays on this machine.
        threads: of each task.

    Raises:
        UserError: both are asked for.
    """
    if cluster is None:
        return Serial() if jobs == 1 else Processes(jobs)
    if jobs != 1:
        raise UserError(f"--jobs {jobs} asks for processes here and --cluster {cluster} for those of a cluster, which "
                        "takes as many as it has cores; give one of them.")  # fmt: skip
    return RayCluster(cluster, threads)
