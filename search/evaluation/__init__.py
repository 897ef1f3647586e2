"""How a candidate is trained on its replicas and scored: one protocol for all who need a score.

The search, the final, `retrain` and the benchmarks all come here, so that a score means the same
everywhere. Nothing here knows storage, Optuna or files.
"""

from search.evaluation.baselines import baseline_candidates, baseline_record, baseline_results
from search.evaluation.cohort import Cohort, Rung, initialisation_seed
from search.evaluation.diagnostics import run_networks
from search.evaluation.results import CandidateResult, ReplicaResult

__all__ = [
    "CandidateResult",
    "Cohort",
    "ReplicaResult",
    "Rung",
    "baseline_candidates",
    "baseline_record",
    "baseline_results",
    "initialisation_seed",
    "run_networks",
]
