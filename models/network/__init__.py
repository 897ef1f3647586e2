"""Recurrent forecasters: cells, what goes with them, and how they walk over time."""
