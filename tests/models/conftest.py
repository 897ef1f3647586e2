"""Small candidates to train in tests, on one thread unless a test says otherwise."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from models.candidate import Candidate, candidate_of
from models.closed_form.closed_form import ClosedForm
from models.methods.registry import method_named
from models.version_1 import settings_of

# Under the names that version 0.1.0 gave its fields: every cell has `units` and `context_steps`.
ARCHITECTURE: dict[str, Any] = {
    "cell": "rnn",
    "units": 4,
    "layers": 1,
    "head_layers": 0,
    "residual": False,
    "context": "window",
    "context_steps": 4,
    "autonomous": False,
    "state_estimate": "recurrence",
    "reflections": 3,
    "expanded_units": 6,
    "layer_norm": False,
    "instance_norm": False,
    "scaled_increments": False,
    "fan_in": 1,
    "delay_stride": 1,
    "degree": 1,
}
# Settings that came later, under their own names.
LATER: dict[str, Any] = {
    "segment_steps": 1,
    "read_in": "none",
    "decoding": "recurrent",
    "parallel_segments": 1,
    "context_level": "none",
    "known_inputs": False,
    "instance_level": "mean",
    "hybrid": "none",
    "kernel_delays": 3,
    "kernel_stride": 2,
    "kernel_components": 2,
    "kernel_whitening": 0.5,
    "kernel_function": "matern-3/2",
    "kernel_length": 1.0,
    "kernel_linear_weight": 1.0,
    "kernel_odd": False,
    "kernel_points": 100,
    "season_steps": 1,
    "trend": "none",
    "smoothing_steps": 6,
    "profile_seasons": 1,
    "profile_average": "mean",
    "level_steps": 1,
    "profile_drift": False,
    "remainder_order": 4,
    "decomposed_seasons": 1,
    "second_season_steps": 0,
    "harmonic_steps": 6,
    "harmonic_count": 1,
    "harmonic_trend": False,
    "direct_window": 6,
    "direct_steps": 2,
    "direct_fading": 0.0,
    "direct_ridge": 0.1,
    "periodic_steps": 3,
    "seasons_read": 2,
    "seasons_ahead": 1,
    "season_means": False,
    "seasons_fading": 0.0,
    "remainder_ridge": 0.5,
    "tied_channels": False,
    "channel_tie": 1.0,
    "neighbour_window": 6,
    "neighbour_steps": 1,
    "neighbours": 1,
}
STRATEGY: dict[str, Any] = {
    "rollout_steps": 1,
    "teacher_weight": 1.0,
    "curriculum_fraction": 0.0,
    "input_noise_std": 0.0,
    "feedback_noise_std": 0.0,
    "output_noise_std": 0.0,
    "label_noise_std": 0.0,
    "learning_rate": 1e-2,
    "weight_decay": 0.0,
    "clip_norm": 1e9,
    "schedule": "constant",
    "training_steps": 3,
    "batch_size": 2,
    "time_reversal": False,
    "initial_phases": "random",
    "offset": True,
    "damping": True,
    "teacher_span": "warm-up",
    "professor_weight": 0.0,
    "professor_detach": "teacher",
    "stateful": False,
    "dropout": 0.0,
    "growth_penalty": False,
    "growth_weight": 0.0,
    "forcing": "none",
    "forcing_midpoint": 0.25,
    "forcing_strength": 0.2,
    "forcing_interval": 16,
    "pushforward_steps": 0,
    "data_as_demonstrator": False,
    "velocity_weight": 0.0,
    "spectral_weight": 0.0,
    "amplitude_weight": 0.0,
    "sign_augmentation": False,
    "scale_augmentation_std": 0.0,
    "state_noise_std": 0.0,
    "weight_average": "none",
    "average_fraction": 0.1,
    "cornn_step": 0.3,
    "cornn_stiffness": 2.0,
    "cornn_damping": 0.5,
    "lem_step": 0.8,
    "antisymmetric_step": 0.3,
    "antisymmetric_diffusion": 0.1,
    "regularisation": "given",
    "ridge": 0.0,
    "ssa_rank": 1,
    "spectral_radius": 1.0,
    "input_scaling": 1.0,
    "bias_scaling": 0.0,
    "leak_rate": 1.0,
}


@pytest.fixture(scope="session")
def make_candidate() -> Callable[..., Candidate]:
    """A candidate from the fields that matter to a test; all others are small and plain."""

    def make(**chosen: Any) -> Candidate:
        unknown = chosen.keys() - ARCHITECTURE.keys() - STRATEGY.keys() - LATER.keys()
        assert not unknown, f"no such field: {unknown}"
        architecture, strategy = (
            {name: chosen.get(name, default) for name, default in part.items()}
            for part in (ARCHITECTURE, STRATEGY)
        )
        core = method_named("cell", architecture["cell"])
        if core is not None and issubclass(core, ClosedForm):
            architecture["context"] = "state"  # as version 0.1.0 wrote it
        later = {name: chosen.get(name, default) for name, default in LATER.items()}
        return candidate_of({**settings_of(architecture, strategy, restarts=1), **later})

    return make


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
