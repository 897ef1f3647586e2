"""Forecasters that every candidate must beat, in double precision.

A new file here is a new baseline: see `models.baselines.baseline` for what it provides.
"""
