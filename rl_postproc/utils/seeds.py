"""Which numbers are seeds."""

MOST_SEED = 4_000_000
"""The greatest seed: agents derive others from it (a thousand for each), and some libraries take none beyond 2³²."""
