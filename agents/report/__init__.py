"""Reports of runs: what is in a run folder, put into tables, charts and clips."""
