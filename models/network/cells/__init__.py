"""Recurrent cells, one a file, each with its forward and its hand-written backward step.

A new file here is a new cell: see `models.network.cells.cell` for what it provides.
"""
