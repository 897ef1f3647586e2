"""freerun's service: studies, storage, workers, results and the command line over `models`."""

__version__ = "0.1.0"
