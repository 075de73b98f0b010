"""The frame grid behind a list of event times: its hop, and the frame edge that each time stands for."""

from __future__ import annotations

import numpy as np

from rl_postproc.data.frames import DECIMALS
from rl_postproc.utils.errors import UserError

TOLERANCE = 0.02
"""Distance from the grid, in frames, at which a time still counts as a frame edge."""
SHARE = 0.99
"""Share of the distinct times that must lie on the grid for a hop to be believed."""


def infer_hop(times: np.ndarray) -> float:
    """Finds the frame length behind event times.

    The most frequent step between neighbouring times is a whole number of frames; the hop is this step divided by the
    smallest whole number up to 8 for which the times fit. The length is then fitted by least squares and rounded to
    as few decimals as the times allow.

    Args:
        times: seconds, float64 ``[time]``, in any order.

    Raises:
        UserError: no time is after 0, or no hop fits.
    """
    distinct = np.unique(np.round(np.append(times, 0.0), DECIMALS))  # every grid has an edge at 0
    steps = np.round(np.diff(distinct), DECIMALS)
    if not len(steps):
        raise UserError("The hop cannot be told without any event time after 0; give it as hop in seconds.")
    values, counts = np.unique(steps, return_counts=True)
    step = values[counts.argmax()]
    unit = _written_unit(distinct)
    for k in range(1, 9):
        hop = _fit(distinct, step / k)
        # Only where the times do not fit as exact multiples may their rounding explain the distance; a larger hop that
        # explains it is tried before a smaller one, because any times fit a hop as small as their last decimal.
        for rounded in (False, True):
            on_grid = _distance(distinct, hop) <= _allowance(hop, unit if rounded else 0.0)
            if on_grid.mean() >= SHARE:
                return _shorten(hop, distinct[on_grid], unit / 2)
    raise UserError(f"The event times follow no frame grid (their most frequent step is {step:g} s); "
                    "give the detector's frame length as hop in seconds.")  # fmt: skip


def to_frames(times: np.ndarray, hop: float) -> tuple[np.ndarray, np.ndarray]:
    """Returns the frame edge nearest to each time, int64 ``[time]``, and whether the time lies on it, bool ``[time]``.

    Times count as on the grid within 2 % of a frame or, where the hop has more decimals than they, within half their
    last decimal.
    """
    unit = _written_unit(times)
    exact = abs(hop / unit - round(hop / unit)) < 1e-6
    return np.round(times / hop).astype(np.int64), _distance(times, hop) <= _allowance(hop, 0.0 if exact else unit)


def _distance(times: np.ndarray, hop: float) -> np.ndarray:
    """Returns the distance of each time from the nearest frame edge, in frames."""
    return np.abs(times / hop - np.round(times / hop))


def _allowance(hop: float, unit: float) -> float:
    """Returns the permitted distance in frames of times that were rounded to a unit in seconds, 0 if they were not.

    Rounding strays by half a unit, the hop's own error adds a little; beyond a quarter of a frame a rounded time tells
    no edge any more.
    """
    return max(TOLERANCE, min(0.25, 0.6 * unit / hop))


def _written_unit(times: np.ndarray) -> float:
    """Returns the unit of the last decimal in which (nearly) all the times are written."""
    for decimals in range(DECIMALS):
        if np.mean(np.abs(times - np.round(times, decimals)) < 1e-9) >= SHARE:
            return 10.0**-decimals
    return 10.0**-DECIMALS


def _fit(times: np.ndarray, hop: float) -> float:
    """Refines a hop by least squares, first on the earliest times, then on twice the range again and again.

    Frame numbers are known only as far as the hop is exact; each doubling makes it exact enough for the next.
    """
    reach = 8 * hop
    while True:
        near = times[times <= reach]
        frames = np.round(near / hop)
        if frames.any():
            hop = float(near @ frames / (frames @ frames))
        if reach >= times[-1]:
            return hop
        reach *= 2


def _shorten(hop: float, times: np.ndarray, error: float) -> float:
    """Returns the hop with the fewest decimals that stays within the error in seconds on all the times."""
    for decimals in range(1, 10):
        short = round(hop, decimals)
        if short > 0 and np.abs(times - np.round(times / short) * short).max() <= error * (1 + 1e-6):
            return short
    return hop
