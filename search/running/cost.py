"""About what a cohort costs to train, so that a study with little time left stays affordable."""

from collections import defaultdict, deque
from collections.abc import Sequence
from itertools import pairwise
from statistics import median

from models.candidate import Candidate
from models.closed_form.closed_form import FittedForm
from models.network.kernels.covered import has_estimate_kernel, has_kernel
from models.network.options.channels import are_independent
from models.network.options.learning import TimeReversal
from models.training.subsequence import training_plan
from models.training.trained_network import TrainedNetwork
from search.running.halving import KEPT_SHARE
from search.study.definition import Search

# Work is counted in multiply-adds of a compiled kernel. First the elementwise work of a unit, and a
# linear forecaster's work for a step of a segment. Then what calls cost a cohort of any size: of a
# kernel or of torch for each optimiser step, of torch for each step of an unroll, and for a linear
# run. Last, how many multiply-adds of a kernel one of torch's small products takes, how many times
# as much work as a kernel it has with a step of a linear forecaster, and what a multiply-add of a
# fit in NumPy takes. They are rough: what they miss by is learned. How they were found:
# docs/decisions/0120-check-trains-nothing.md.
ELEMENTWISE = 100
LINEAR_STEP = 17
COMPILED_CALLS = 6_000_000
TORCH_CALLS = 130_000_000
UNROLLED_CALLS = 4_500_000
LINEAR_CALLS = 180_000_000
TORCH_PRODUCT = 5
TORCH_LINEAR_PRODUCT = 2
FITTED_PRODUCT = 110
# Seconds per multiply-add on one core before anything was measured.
FIRST_RATE = 2.7e-11
# The calls of one step of a loop over time, for closed forms.
FITTED_STEP = 8_000
# How many of the newest cohorts the rate is learned from.
RECENT = 10


class Cost:
    """Expected seconds of one core for cohorts of a study, learned from those that a worker ran.

    channels: of the series. has_one_cut: whether all replicas see the same rows, to which what
    draws no numbers is fitted once.
    """

    def __init__(
        self, search: Search, train_steps: int, channels: int = 1, *, has_one_cut: bool = False
    ) -> None:
        self.search, self.train_steps, self.channels = search, train_steps, channels
        self.has_one_cut = has_one_cut
        # By core; what is not known of one, all of them together tell.
        self.rates: dict[str | None, deque[float]] = defaultdict(lambda: deque(maxlen=RECENT))

    def learn(self, cohort: Sequence[Candidate], seconds: float) -> None:
        """Take in what a whole cohort took."""
        rate = seconds / self._work(cohort)
        for own in (cohort[0].architecture.core.name, None):
            self.rates[own].append(rate)

    def seconds(self, cohort: Sequence[Candidate]) -> float:
        """Expected seconds of candidates of one cohort key, pruned as the study says."""
        rates = self.rates.get(cohort[0].architecture.core.name) or self.rates.get(None)
        return (median(rates) if rates else FIRST_RATE) * self._work(cohort)

    def _work(self, cohort: Sequence[Candidate]) -> float:
        """Multiply-adds of the cohort's training, some of it for calls that members share."""
        first = cohort[0]
        if isinstance(first, FittedForm):
            fits = sum(
                c.restarts * fit_work(c, self.train_steps, self.channels)
                for c in cohort
                if isinstance(c, FittedForm)
            )
            is_once = self.has_one_cut and not first.form.is_random
            return fits if is_once else self.search.replicas * fits
        # A restart less after each round of the race: more of them cost less than their number.
        networks = self.search.replicas * sum((1 + c.restarts) / 2 for c in cohort)
        calls, per_network = step_work(first)
        share, passes = 1.0, 1.0
        if self.search.pruner == "halving":
            counts = self.search.rung_replicas
            if not trains_apart(first):
                counts = (self.search.replicas,) * len(counts)
            share, passes = trained_share(self.search, counts), made_passes(self.search, counts)
        # The calls end with the last member only.
        work = passes * calls + share * networks * per_network
        return first.optimiser.training_steps * work


def trains_apart(candidate: TrainedNetwork) -> bool:
    """Whether kernels train it, so that replicas may follow later (`Trainer.is_apart`)."""
    has = has_estimate_kernel if candidate.is_linear else has_kernel
    return has(candidate.architecture)


def trained_share(search: Search, counts: Sequence[int]) -> float:
    """What a cohort's members train in the mean, as a share of the full training of all.

    counts: replicas that train up to each rung.
    """
    reached = zip(search.rung_fractions, counts, strict=True)
    trained = [share * count / search.replicas for share, count in reached]
    parts = [after - before for before, after in pairwise((0.0, *trained))]
    return sum(part * KEPT_SHARE**rung for rung, part in enumerate(parts))


def made_passes(search: Search, counts: Sequence[int]) -> float:
    """How often a cohort goes through training: once, and again as far as replicas follow."""
    followed = zip(search.rung_fractions, pairwise(counts), strict=False)
    return 1.0 + sum(share for share, (before, after) in followed if after > before)


def step_work(candidate: TrainedNetwork) -> tuple[float, float]:
    """Work of one optimiser step: of the cohort for its calls, and of each network, roughly."""
    architecture, cell = candidate.architecture, candidate.cell
    batch_size, units = candidate.optimiser.batch_size, cell.output_units
    if candidate.is_linear:
        steps = architecture.context_steps + candidate.rollout_steps
        per_network = float(LINEAR_STEP * steps * (batch_size + units))
        if has_estimate_kernel(architecture):
            return COMPILED_CALLS, per_network
        return LINEAR_CALLS, TORCH_LINEAR_PRODUCT * per_network
    unrolled, batch = len(training_plan(candidate)), batch_size * candidate.branches
    width = 2 * cell.width * units / cell.units
    products = 3 * cell.gates * width + ELEMENTWISE
    layers = architecture.layers * products + architecture.head_layers * 3 * units
    if cell.reads_whole_window:
        layers += 3 * architecture.context_steps
    own = unrolled * batch * units * layers
    if has_kernel(architecture):
        return COMPILED_CALLS, own
    calls = (unrolled * UNROLLED_CALLS + TORCH_PRODUCT * cell.unroll_work) * architecture.layers
    return TORCH_CALLS + calls, TORCH_PRODUCT * own


def fit_work(candidate: FittedForm, train_steps: int, channels: int = 1) -> float:
    """Estimate the work of fitting one member: factorisation and loops over time."""
    if are_independent(candidate):
        train_steps, channels = train_steps * channels, 1
    directions = 2 if candidate[TimeReversal].time_reversal else 1
    products = candidate.form.fit_products(channels, train_steps, directions)
    walks = FITTED_STEP * candidate.form.walks(directions) * train_steps
    return FITTED_PRODUCT * (products + walks)
