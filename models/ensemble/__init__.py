"""Ensembles: the weighted mean, or the median, of the free runs of several candidates.

Each member runs freely on its own output; what is combined are whole free runs, which no member
reads. A member that runs away by itself is replaced by the median of the others.
"""

from models.ensemble.ensemble import Ensemble as Ensemble
from models.ensemble.ensemble import combined as combined
from models.ensemble.ensemble_checkpoint import EnsembleCheckpoint as EnsembleCheckpoint
from models.ensemble.ensemble_checkpoint import any_from_plain as any_from_plain
from models.ensemble.ensemble_checkpoint import any_to_plain as any_to_plain
from models.ensemble.ensemble_checkpoint import load_any as load_any
from models.ensemble.ensemble_checkpoint import save_any as save_any
from models.ensemble.runaways import without_runaways as without_runaways
from models.ensemble.stacking import shrunk as shrunk
from models.ensemble.stacking import simplex_weights as simplex_weights
