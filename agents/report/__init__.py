"""Reports of runs: what is in a run folder, put into tables, charts and clips."""

PAGES = ("report.html", "compared.html")
"""Files in a run folder: the page of the run, and that of what changed since another one."""
