"""The files that a completed trial keeps: pictures of its free runs, errors and losses, a table."""

import io

import numpy as np

from search.analysis.wording import counted, shown_score, truth_name
from search.evaluation import CandidateResult, ReplicaResult
from search.plotting.canvas import png
from search.plotting.drawing import Axis, logarithmic_means
from search.plotting.errors import HORIZON, replicas_drawing
from search.plotting.rollout import rollout_drawing
from search.series import FloatArray
from search.storage.records import Artifact

ROLLOUT, CURVE = "rollout.png", "curve.csv"
BEST_ROLLOUT, ERRORS, LOSSES = "rollout-best.png", "error-by-horizon.png", "training-loss.png"

# A trial is poor from this score on, and only one picture of it is worth its time and its bytes: a
# constant at the mean has about this error.
POOR_SCORE = 1.0


def trial_artifacts(result: CandidateResult, title: str = "") -> list[Artifact]:
    """Return the files of a candidate's result in the order of their importance.

    All have the free run of the median replica and the error by horizon step as a table. Only those
    that are not poor have the free run of the best replica, where it is another one, and pictures
    of errors and training losses.

    title: what the pictures are of, such as "trial 12". They are 900 x 380 pixels.
    """
    median = result.median_replica
    files = [
        Artifact(ROLLOUT, _rollout_picture(result, median, title)),
        Artifact(CURVE, curve_csv(result.curve)),
    ]
    if result.score >= POOR_SCORE:
        return files
    if result.best_replica is not median:
        best = _rollout_picture(result, result.best_replica, title)
        files.append(Artifact(BEST_ROLLOUT, best))
    files.append(Artifact(ERRORS, _error_picture(result, title)))
    files.append(Artifact(LOSSES, _loss_picture(result, title)))
    return files


def curve_csv(curve: FloatArray) -> bytes:
    """NMSE by horizon step `[horizon]` as CSV, five significant digits."""
    rows = (f"{step},{error:.5g}\n" for step, error in enumerate(curve, start=1))
    return ("horizon_step,nmse\n" + "".join(rows)).encode()


def read_curve_csv(content: bytes) -> FloatArray:
    """The curve that `curve_csv` wrote, `[horizon]`."""
    table = np.genfromtxt(io.BytesIO(content), delimiter=",", skip_header=1, ndmin=2)
    return np.asarray(table[:, 1], dtype=np.float64)


def _rollout_picture(result: CandidateResult, replica: ReplicaResult, title: str) -> bytes:
    """The first channel of a replica's first free run, under the score and the verdict."""
    replicas = counted(len(result.replicas), "replica")
    score = f"score {shown_score(result.score)}: median NMSE of {replicas} against the "
    place = "best" if replica is result.best_replica else "median"
    if len(result.replicas) == 1:
        place = "only"
    drawing = rollout_drawing(
        replica.example,
        truth_name=truth_name(result.scored_against),
        network_name=f"free run ({place} replica, NMSE {shown_score(replica.scores.nmse)})",
        x_title="step",
    )
    return png(drawing, _heading(title, score + result.scored_against, replica.verdict))


def _error_picture(result: CandidateResult, title: str) -> bytes:
    """NMSE by horizon step of every replica and their median."""
    curves = [logarithmic_means(replica.scores.curve) for replica in result.replicas]
    steps, errors = curves[0][0], np.stack([means for _, means in curves])
    x = Axis(HORIZON, is_log=True, limits=(1.0, max(float(steps[-1]), 2.0)))
    heading = f"error by horizon, mean {shown_score(result.score)}"
    return png(replicas_drawing(steps, errors, x, "NMSE"), _heading(title, heading, result.verdict))


def _loss_picture(result: CandidateResult, title: str) -> bytes:
    """The training loss of every replica at the steps where it was noted, and their median.

    It is the least of a replica's restarts, in squared standard deviations of the training span.
    """
    steps = np.array(list(result.replicas[0].loss_curve), dtype=float)
    losses = np.array([list(replica.loss_curve.values()) for replica in result.replicas])
    x = Axis("optimiser step", limits=(0.0, float(steps[-1]) * 1.02))
    last = shown_score(float(np.median(losses[:, -1])))
    drawing = replicas_drawing(steps, losses, x, "training loss", has_points=True)
    return png(drawing, _heading(title, f"training loss, at the end {last}"))


def _heading(title: str, *parts: str) -> str:
    return "  ·  ".join(part for part in (title, *parts) if part)
