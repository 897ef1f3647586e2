"""freerun's service: studies, storage, workers, results and the command line over `models`."""

import os

# Without it a matrix product may depend on where in memory its result lies, and a score on the
# company that it is trained in (MKL's conditional numerical reproducibility). MKL reads it at its
# first product, which no import makes.
os.environ.setdefault("MKL_CBWR", "AUTO")

__version__ = "0.2.0"
