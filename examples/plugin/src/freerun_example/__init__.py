"""A plug-in of freerun: one module for each method."""
