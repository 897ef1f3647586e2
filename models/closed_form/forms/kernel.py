"""Kernel ridge regression on delay vectors, for smooth nonlinear dynamics such as chaos."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from models.closed_form.ahead import evenly
from models.closed_form.closed_form import (
    FittedForm,
    Fixed,
    FloatArray,
    RidgeForm,
    Solutions,
    half_of_span,
    quarter_of_span,
)
from models.closed_form.kernels import STATIONARY, Kernel
from models.methods import (
    Choices,
    Domain,
    FloatRange,
    IntRange,
    Is,
    Real,
    Whole,
    choice,
    counted,
    flag,
    largest,
    setting,
)
from models.methods.values import SHARE
from models.network.options.segments import segment_length
from models.tensors import RUN_BOUND, Tensor, one_thread, torch

# Free runs that are made side by side: kernels to many support points take memory.
RUNS_AT_ONCE = 64
# Rows of a Gram matrix that are computed at a time: those of 1,000 points stay in a core's cache,
# which is two to four times as fast as the whole matrix at once.
GRAM_ROWS = 64

# Where they are searched in a series that may have noise: few, since each costs a cohort.
DELAYS = Choices((4, 6, 8, 12, 16))
STRIDES = Choices((1, 2, 3, 4, 6, 8, 12))
COMPONENTS = Choices((3, 5, 7, 9))


def _longest_stride(train_steps: int, space: Mapping[str, Domain]) -> int:
    delays = int(largest(space["kernel_delays"]))
    return (half_of_span(train_steps, space) - 1) // max(1, delays - 1)


class KernelRidge(
    RidgeForm,
    name="kernel-ridge",
    label="kernel ridge regression on delay vectors",
    source="Saunders et al. (1998); delay vectors of Takens (1981)",
    rank=15,
):
    """Kernel ridge regression from the principal components of delay vectors to the next changes.

    A window of `kernel_delays` values, each `kernel_stride` steps after the one before, is written
    in the leading principal components of all windows, each divided by a power of its standard
    deviation. A combination of kernels between that point and those of the training span, the
    support points, gives the next `segment_steps` values as changes from the last one; they are
    read again. Windows of several channels hold all of them.

    The kernel is a stationary one plus a multiple of the linear one. A span with more windows than
    `kernel_points` is thinned to as many, evenly: memory grows with their square, and time with
    their third power. The ridge weighs as in any regression: K + rows * ridge is factorised.
    """

    # Changes from the last value are what is fitted anyway.
    can_add_to_last = False
    suits_noise_free = True

    delays: int = setting(
        Whole(1, 1024),
        DELAYS,
        "Delayed values that a kernel ridge regression reads.",
        shared=True,
        most=half_of_span,
        suits=lambda series: IntRange(4, 16) if series.is_noise_free else DELAYS,
        name="kernel_delays",
    )
    stride: int = setting(
        Whole(1, 4096),
        STRIDES,
        "Steps from one delayed value of a kernel ridge regression to the next.",
        neutral=1,
        shared=True,
        most=_longest_stride,
        suits=lambda series: IntRange(1, 12) if series.is_noise_free else STRIDES,
        name="kernel_stride",
    )
    components: int = setting(
        Whole(1, 64),
        COMPONENTS,
        "Principal components of the delayed values that a kernel is computed from, at most.",
        shared=True,
        suits=lambda series: IntRange(3, 9) if series.is_noise_free else COMPONENTS,
        name="kernel_components",
    )
    whitening: float = setting(
        SHARE,
        FloatRange(0.0, 1.0),
        "The power p in component / (its standard deviation)^p: 0 for plain, 1 for white ones.",
        neutral=0.0,
        without="plain components",
        name="kernel_whitening",
    )
    function: str = choice(
        tuple(STATIONARY),
        "The stationary part of a kernel, a function of the distance.",
        shared=True,
        name="kernel_function",
    )
    length: float = setting(
        Real(1e-3, 1e3),
        FloatRange(0.25, 10.0, log=True),
        "The length of a kernel, in units of the components.",
        neutral=1.0,
        name="kernel_length",
    )
    linear_weight: float = setting(
        Real(0, 1e6),
        FloatRange(1.0, 300.0, log=True),
        "The weight of the linear kernel beside the stationary one.",
        neutral=0.0,
        without="no linear part",
        name="kernel_linear_weight",
    )
    is_odd: bool = flag(
        "Whether a kernel's forecast of the negative of a series is the negative of its forecast.",
        when=Is("offset", (False,)),
        without="not odd",
        name="kernel_odd",
    )
    segment_steps: int = segment_length(most=quarter_of_span)
    points: int = setting(
        Whole(16, 10_000),
        Choices((3000,)),
        "Support points of a kernel ridge regression, at most; an export has room for all.",
        neutral=3000,
        shared=True,
        name="kernel_points",
    )

    @property
    def context_steps(self) -> int:
        return (self.delays - 1) * self.stride + 1

    def features(self, channels: int) -> int:
        return self.points

    def fitted_features(self, channels: int, train_steps: int) -> int:
        return min(self.points, train_steps)

    def factorised(self, channels: int) -> int:
        return self.delays * channels

    def outputs(self, channels: int) -> int:
        return self.segment_steps * channels

    def fixed_shapes(self, channels: int) -> dict[str, tuple[int, ...]]:
        return {
            "centre": (1, self.delays * channels),
            "basis": (self.delays * channels, self.components),
            "support": (self.points, self.components),
            "support_points": (1, 1),
            "length": (1, 1),
            "linear_weight": (1, 1),
            "constant": (1, 1),
            "is_odd": (1, 1),
        }

    def measure(self, pieces: Sequence[FloatArray], candidate: FittedForm, fixed: Fixed) -> Fixed:
        """The principal components of all windows, and the windows written in them."""
        windows, _ = self._rows(pieces, candidate)
        centre = candidate.constant * windows.mean(axis=0, keepdims=True)
        basis = self._basis(windows - centre)
        support = np.zeros((self.points, self.components))
        support[: len(windows)] = _projected(windows - centre, basis)
        return {
            **fixed,
            "centre": centre,
            "basis": basis,
            "support": support,
            "support_points": np.full((1, 1), float(len(windows))),
            "length": np.full((1, 1), self.length),
            "linear_weight": np.full((1, 1), self.linear_weight),
            "constant": np.full((1, 1), candidate.constant),
            "is_odd": np.full((1, 1), float(self.is_odd)),
        }

    def factorise(
        self, pieces: Sequence[FloatArray], candidate: FittedForm, fixed: Fixed
    ) -> Solutions:
        """The regression on stretches `[time, channel]` of a series; no window leaves its own.

        fixed: what `measure` made of the same pieces.
        """
        _, changes = self._rows(pieces, candidate)
        support = Support.of(fixed, self.function)
        gram = torch.from_numpy(support.lower_gram())
        return KernelProblem(gram, torch.from_numpy(changes), self.points)

    def training_error(
        self, problem: Solutions, level: float, coefficients: FloatArray
    ) -> float | None:
        """From the system that is solved, K a + rows * level a = y: no kernel is computed again."""
        assert isinstance(problem, KernelProblem)
        solved = coefficients[: len(problem.gram)]
        return float(np.square(len(solved) * level * solved).mean())

    def run(
        self, fixed: Fixed, coefficients: FloatArray, context: FloatArray, steps: int
    ) -> FloatArray:
        support = Support.of(fixed, self.function)
        parts = range(0, max(len(context), 1), RUNS_AT_ONCE)
        runs = [
            self._run(
                fixed,
                support,
                coefficients[first : first + RUNS_AT_ONCE, : len(support.points)],
                context[first : first + RUNS_AT_ONCE],
                steps,
            )
            for first in parts
        ]
        return np.concatenate(runs)

    def size(self) -> str:
        stride = counted(self.stride, "step")
        components = counted(self.components, "component")
        return f"{counted(self.delays, 'delay')} of {stride}, {components}"

    def phrase(self) -> str:
        words = [f"segments of {self.segment_steps}"] if self.segment_steps > 1 else []
        words.append(f"{'odd ' if self.is_odd else ''}{self.function} kernel")
        words.append(f"length {self.length:.2g}")
        words += [f"linear weight {self.linear_weight:.2g}"] if self.linear_weight else []
        return ", ".join([*words, super().phrase()])

    def _rows(
        self, pieces: Sequence[FloatArray], candidate: FittedForm
    ) -> tuple[FloatArray, FloatArray]:
        """Windows `[row, delay * channel]`, and the changes `[row, step * channel]` after them.

        Raises ValueError where no piece has a window and the values that follow it.
        """
        stretches = list(candidate.stretches(pieces))
        needed = self.context_steps + self.segment_steps
        counts = [max(len(stretch) - needed + 1, 0) for stretch in stretches]
        if sum(counts) == 0:
            raise ValueError(
                f"a piece of the training span must have at least {needed} steps, a window and "
                f"what follows it, but the longest has {max(map(len, pieces), default=0)}"
            )
        chosen, channels = evenly(sum(counts), self.points), pieces[0].shape[1]
        windows, changes, before = [], [], 0
        for stretch, count in zip(stretches, counts, strict=True):
            first = chosen[(before <= chosen) & (chosen < before + count)][:, np.newaxis] - before
            before += count
            window = stretch[first + self.stride * np.arange(self.delays)]
            after = stretch[first + self.context_steps + np.arange(self.segment_steps)]
            windows.append(window.reshape(len(first), self.delays * channels))
            changes.append((after - window[:, -1:]).reshape(len(first), self.outputs(channels)))
        return np.concatenate(windows), np.concatenate(changes)

    def _basis(self, windows: FloatArray) -> FloatArray:
        """Leading eigenvectors `[delay * channel, component]` over powers of standard deviations.

        Columns are zero beyond the components that windows have.
        """
        with one_thread():
            rows = torch.from_numpy(windows)
            found = torch.linalg.eigh(rows.T @ rows / len(windows))
        variances = found.eigenvalues.flip(0)[: self.components].numpy()
        vectors = found.eigenvectors.flip(1)[:, : self.components].numpy()
        is_there = variances > np.finfo(np.float64).eps * variances[0]
        powers = np.power(np.where(is_there, variances, 1.0), -0.5 * self.whitening)
        basis = np.zeros((windows.shape[1], self.components))
        basis[:, : len(variances)] = vectors * np.where(is_there, powers, 0.0)
        return basis

    def _run(
        self,
        fixed: Fixed,
        support: "Support",
        coefficients: FloatArray,
        context: FloatArray,
        steps: int,
    ) -> FloatArray:
        """Some of the runs of `run`, with coefficients of the support points that there are."""
        runs, known, channels = context.shape[0], self.context_steps, context.shape[2]
        segment = self.segment_steps
        values = np.empty((runs, known + -(-steps // segment) * segment, channels))
        values[:, :known] = context[:, -known:]
        by_output = np.ascontiguousarray(coefficients.transpose(0, 2, 1))
        with np.errstate(over="ignore", invalid="ignore"):
            for start in range(0, steps, segment):
                end = start + known
                window = values[:, start : end : self.stride]
                read = _projected(window.reshape(runs, -1) - fixed["centre"], fixed["basis"])
                changes = np.vecdot(support.features(read)[:, np.newaxis], by_output)
                forecast = window[:, -1:] + changes.reshape(runs, segment, channels)
                held = np.minimum(np.maximum(forecast, -RUN_BOUND), RUN_BOUND)
                values[:, end : end + segment] = held
        return values[:, known : known + steps]


@dataclass(frozen=True, eq=False)
class Support:
    """The support points `[point, component]` of one member, with its kernel.

    by_component: the points transposed, contiguous. squares: their squared norms.
    """

    kernel: Kernel
    points: FloatArray
    by_component: FloatArray
    squares: FloatArray

    @classmethod
    def of(cls, fixed: Fixed, function: str) -> "Support":
        points = fixed["support"][: int(fixed["support_points"][0, 0])]
        kernel = Kernel(
            stationary=function,
            length=float(fixed["length"][0, 0]),
            linear_weight=float(fixed["linear_weight"][0, 0]),
            constant=float(fixed["constant"][0, 0]),
            is_odd=bool(fixed["is_odd"][0, 0]),
        )
        return cls(kernel, points, np.ascontiguousarray(points.T), np.vecdot(points, points))

    def lower_gram(self) -> FloatArray:
        """The kernel between all points `[point, point]`, zero above the diagonal's blocks."""
        count = len(self.points)
        gram, points = np.zeros((count, count)), torch.from_numpy(self.points)
        with one_thread():
            for first in range(0, count, GRAM_ROWS):
                end = min(first + GRAM_ROWS, count)
                products = (points[first:end] @ points[:end].T).numpy()
                squares = self.squares[first:end], self.squares[:end]
                gram[first:end, :end] = self.kernel.of(products, *squares)
        return gram

    def features(self, read: FloatArray) -> FloatArray:
        """The kernel `[row, point]` between what is read, `[row, component]`, and the points."""
        # Not a matrix product: its rounding would depend on the number of rows.
        products = np.einsum("rd,dn->rn", read, self.by_component)
        return self.kernel.of(products, np.vecdot(read, read), self.squares)


@dataclass(frozen=True, eq=False)
class KernelProblem:
    """(K + rows * strength) A = Y for kernels K `[row, row]` and changes Y `[row, output]`.

    gram: K; of what is above its diagonal nothing is read.
    features: rows of the coefficients; those beyond the rows of K are zero.
    """

    gram: Tensor
    changes: Tensor
    features: int

    def at(self, level: float) -> FloatArray:
        """Coefficients `[feature, output]` of a strength, at least 0.

        Where K is singular to rounding at that strength, the next larger one by powers of ten at
        which it is not is taken; where none is, because K is not finite, all are zero.
        """
        rows, outputs = self.changes.shape
        strength = rows * level
        least = torch.finfo(self.gram.dtype).eps * max(1.0, float(self.gram.diagonal().max()))
        coefficients = np.zeros((self.features, outputs))
        with one_thread():
            while np.isfinite(strength):
                system = self.gram.clone()
                system.diagonal().add_(strength)
                factor, failed = torch.linalg.cholesky_ex(system)
                if not failed:
                    solution = torch.cholesky_solve(self.changes, factor)
                    if bool(torch.isfinite(solution).all()):
                        coefficients[:rows] = solution.numpy()
                        break
                strength = max(10.0 * strength, least)
        return coefficients


def _projected(windows: FloatArray, basis: FloatArray) -> FloatArray:
    """Windows `[row, value]` in a basis `[value, component]`, each row as if it were alone."""
    projected: FloatArray = np.einsum("rv,vd->rd", windows, basis)
    return projected
