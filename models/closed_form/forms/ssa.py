"""Singular spectrum analysis: the linear recurrence of a rank-truncated Hankel matrix."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.closed_form.closed_form import (
    FittedForm,
    Fixed,
    FloatArray,
    Lagged,
    Solutions,
    half_of_span,
    lagged,
)
from models.methods import Choices, Is, Stage, Whole, setting
from models.tensors import Tensor, one_thread, torch

# Ranks that a held-out span chooses from.
RANKS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 24, 32)


class SSA(
    Lagged,
    name="ssa",
    label="singular spectrum analysis",
    source="Golyandina, Nekrutkin & Zhigljavsky (2001), chapter 2",
    searched=True,
    rank=14,
):
    """Singular spectrum analysis: the recurrence of the subspace that holds most of the windows.

    The leading left singular vectors of the Hankel matrix of all windows (here eigenvectors of its
    Gram matrix, which hold every rank) span it; their last components make the last value of a
    window a linear function of those before. Several channels share one subspace, and so one
    recurrence (Golyandina et al. 2015, "Multivariate and 2D extensions of singular spectrum
    analysis"). Both directions of time at once make the Gram matrix symmetric about its second
    diagonal as well.
    """

    can_mix_channels = False
    levels = tuple(float(rank) for rank in RANKS)
    level_name = "rank"

    ssa_window: int = setting(
        Whole(1, 4096),
        Choices((50, 100, 200, 300)),
        "The window of a singular spectrum analysis.",
        shared=True,
        most=half_of_span,
    )
    ssa_rank: int = setting(
        Whole(1, 4096),
        Choices((1, 2, 3, 4, 6, 8, 12)),
        "Components that a singular spectrum analysis keeps.",
        neutral=1,
        stage=Stage.REGULARISATION,
        when=Is("regularisation", ("given",)),
    )

    @property
    def context_steps(self) -> int:
        return self.ssa_window

    @property
    def lags(self) -> int:
        return max(1, self.ssa_window - 1)

    @property
    def given_level(self) -> float:
        return self.ssa_rank

    def factorise(
        self, pieces: Sequence[FloatArray], candidate: FittedForm, fixed: Fixed
    ) -> Solutions:
        window, channels = self.lags + 1, pieces[0].shape[1]
        with one_thread():
            gram = torch.zeros(window, window, dtype=torch.float64)
            for stretch in candidate.stretches(pieces):
                for channel in range(channels):
                    own = stretch[:, channel : channel + 1]
                    for values, targets in lagged(own, self.lags):
                        windows = torch.from_numpy(np.concatenate([values, targets], axis=1))
                        gram += windows.T @ windows
            vectors = torch.linalg.eigh(gram).eigenvectors.flip(1)
        return Subspaces(vectors, channels)

    def size(self) -> str:
        return f"window of {self.ssa_window}"


@dataclass(frozen=True, eq=False)
class Subspaces:
    """The subspaces of all ranks: orthonormal vectors `[lag, component]`, the largest first."""

    vectors: Tensor
    channels: int

    def at(self, level: float) -> FloatArray:
        """Coefficients `[lag * channel, channel]` of a rank, which is cut to what there is.

        Golyandina et al. (2001), eq. 2.1 of theorem 5.2: sum of pi_i U_i' / (1 - sum of pi_i^2),
        pi_i being the last component of the vector U_i.
        """
        rank = min(int(level), len(self.vectors) - 1)
        above, last = self.vectors[:-1, :rank], self.vectors[-1, :rank]
        verticality = (last * last).sum()
        # Where the subspace holds the last unit vector itself, no recurrence exists: what is left
        # of 1 is rounding, and the forecast explodes.
        rest = (1.0 - verticality).clamp(min=torch.finfo(last.dtype).eps)
        with one_thread():
            coefficients = (above @ last) / rest
        lags: FloatArray = coefficients.numpy()
        own: FloatArray = np.eye(self.channels)
        return np.asarray(np.kron(lags[:, np.newaxis], own), dtype=np.float64)
