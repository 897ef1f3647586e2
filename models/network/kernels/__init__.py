"""Loops over time that numba compiles, beside the torch engine in `models.network.unroll`."""
