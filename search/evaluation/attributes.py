"""What is told of a trial's result in a few numbers and words, beside its score."""

from typing import Any

import numpy as np

from search.evaluation.result import CandidateResult


def trial_attributes(result: CandidateResult) -> dict[str, Any]:
    """JSON values for the attributes of a trial, with the units of `CandidateResult`."""
    plain = result.to_plain()
    return {
        "verdict": result.verdict,
        "shown_verdict": result.median_replica.verdict,
        "score": result.score,
        "scored_against": result.scored_against,
        "replica_scores": result.replica_scores,
        "valid_prediction_steps": plain["valid_prediction_steps"],
        **{f"error_at_{horizon}": error for horizon, error in plain["errors_at"].items()},
        "training_loss": float(np.median(plain["training_losses"])),
        "parameters": result.parameters,
        "seconds": round(result.seconds, 3),
    }
