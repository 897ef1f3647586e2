"""Where series come from, one source a file.

A new file here is a new source: see `search.series.source` for what it provides.
"""
