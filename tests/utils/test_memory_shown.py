"""Bytes as people write them."""

from __future__ import annotations

import pytest

from rl_postproc.utils.memory import shown


@pytest.mark.parametrize(
    ("n_bytes", "text"),
    [
        (0, "0 bytes"),
        (1023, "1023 bytes"),
        (1024, "1 KiB"),
        (1020 << 20, "1020 MiB"),
        (3.7 * 2**30, "3.7 GiB"),
        (85 << 40, "85 TiB"),
    ],
)
def test_sizes_are_written_without_exponents(n_bytes: float, text: str) -> None:
    assert shown(n_bytes) == text
