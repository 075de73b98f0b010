"""Reports: one HTML page of results, curves and clips, which needs neither server nor network."""
