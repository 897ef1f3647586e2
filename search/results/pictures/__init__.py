"""A completed trial's small files: pictures of its free runs, errors and training, and a table.

Drawn by matplotlib, in workers, which need no plotly. One kind of picture a file:

    rollout             a free run against the truth
    error_by_horizon    where a free run loses the series
    training_loss       whether training got anywhere
    curve_table         the error by horizon step as CSV
"""

from search.evaluation import CandidateResult
from search.results.pictures.curve_table import curve_csv, read_curve_csv
from search.results.pictures.error_by_horizon import error_picture
from search.results.pictures.rollout import rollout_picture
from search.results.pictures.training_loss import loss_picture
from search.storage import Artifact

__all__ = ["BEST_ROLLOUT", "CURVE", "ERRORS", "LOSSES", "ROLLOUT", "read_curve_csv"]
__all__ += ["trial_artifacts"]

ROLLOUT, CURVE = "rollout.png", "curve.csv"
BEST_ROLLOUT, ERRORS, LOSSES = "rollout-best.png", "error-by-horizon.png", "training-loss.png"

# A score from which on a trial is poor, and only one picture of it is worth its time and its bytes:
# a constant at the mean has about this error.
POOR_SCORE = 1.0


def trial_artifacts(result: CandidateResult, title: str = "") -> list[Artifact]:
    """Return the files of a candidate's result in the order of their importance.

    All have the free run of the median replica and the error by horizon step as a table; only
    those that are not poor have the free run of the best replica, where it is another one, and the
    pictures of errors and training losses.

    title: what the pictures are of, such as "trial 12". They are 900 x 380 pixels.
    """
    median = result.median_replica
    files = [
        Artifact(ROLLOUT, rollout_picture(result, median, title)),
        Artifact(CURVE, curve_csv(result.curve)),
    ]
    if result.score >= POOR_SCORE:
        return files
    if result.best_replica is not median:
        files.append(Artifact(BEST_ROLLOUT, rollout_picture(result, result.best_replica, title)))
    files.append(Artifact(ERRORS, error_picture(result, title)))
    files.append(Artifact(LOSSES, loss_picture(result, title)))
    return files
