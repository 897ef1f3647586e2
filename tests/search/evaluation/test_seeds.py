"""A network keeps its seed through versions."""

from dataclasses import replace

from models.candidate import Architecture, Candidate, Strategy
from search.evaluation import initialisation_seed

STRATEGY = Strategy(
    rollout_steps=6,
    teacher_weight=0.4,
    curriculum_fraction=0.5,
    input_noise_std=0.1,
    feedback_noise_std=0.05,
    output_noise_std=0.0,
    label_noise_std=0.0,
    learning_rate=1e-2,
    weight_decay=1e-4,
    clip_norm=1.0,
    schedule="cosine",
    training_steps=8,
    batch_size=3,
)
CANDIDATE = Candidate(Architecture("gru", 4, 1, 0, False, "state", 10), STRATEGY, restarts=2)


def test_a_field_that_came_later_changes_no_seed_at_its_default() -> None:
    """The seed of this candidate, written down: versions must not change it."""
    assert initialisation_seed(3, "search", CANDIDATE, 0, 0) == 2794285984646352276
    later = Candidate(CANDIDATE.architecture, replace(STRATEGY, time_reversal=True), restarts=2)
    assert initialisation_seed(3, "search", later, 0, 0) != 2794285984646352276
