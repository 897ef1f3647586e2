"""The default space: one row for each parameter, in the order in which they are sampled.

To add a parameter, add its row here and a field of its name to `models.candidate`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import get_args

from models.candidate import (
    FITTED_CELLS,
    AverageName,
    CellName,
    ContextName,
    DetachName,
    ForcingName,
    PhasesName,
    RegularisationName,
    ScheduleName,
    StateEstimateName,
    TeacherSpanName,
)
from search.study.condition import Above, AllOf, AnyOf, Condition, Is, IsNot
from search.study.domain import Choices, Domain, FloatRange, Scalar
from search.study.meaning import Flag, Meaning, Names, Real, Whole

CELLS: tuple[str, ...] = get_args(CellName)
TRAINED_CELLS = tuple(cell for cell in CELLS if cell not in FITTED_CELLS)
TRAINED = Is("cell", TRAINED_CELLS)


@dataclass(frozen=True)
class Parameter:
    """One parameter of the space.

    default: its domain where the study file is silent.
    meaning: the values that a study file may give it.
    when: it is sampled only then; None for always.
    neutral: its value where it is not sampled; None where whoever needs it samples it.
    cohort: candidates train together only where it is equal.
    opt_in: no part of the default space: it is searched only where the study file names it, and
        `default` is what a file that wants all of it would ask for.
    fitted: cells that are fitted in closed form may sample it, too; the others belong to training.
    """

    name: str
    default: Domain
    meaning: Meaning
    when: Condition | None = None
    neutral: Scalar | None = None
    cohort: bool = False
    opt_in: bool = False
    fitted: bool = False

    def applies(self, params: Mapping[str, Scalar]) -> bool:
        """Whether a trial samples it, given the parameters that were sampled before it."""
        return self.condition is None or self.condition.holds(params)

    def can_apply(self, space: Mapping[str, Domain]) -> bool:
        """Whether any trial of the space samples it."""
        return self.condition is None or self.condition.can_hold(space)

    @property
    def condition(self) -> Condition | None:
        """When it is sampled, that something is trained included; None for always."""
        if self.fitted:
            return self.when
        return TRAINED if self.when is None else AllOf((TRAINED, self.when))


CONTEXTS: tuple[str, ...] = get_args(ContextName)
SCHEDULES: tuple[str, ...] = get_args(ScheduleName)
PHASES: tuple[str, ...] = get_args(PhasesName)
SPANS_OF_TEACHING: tuple[str, ...] = get_args(TeacherSpanName)
ESTIMATES: tuple[str, ...] = get_args(StateEstimateName)
DETACHED: tuple[str, ...] = get_args(DetachName)
FORCINGS: tuple[str, ...] = get_args(ForcingName)
AVERAGES: tuple[str, ...] = get_args(AverageName)
REGULARISATIONS: tuple[str, ...] = get_args(RegularisationName)

HAS_MODES = Is("cell", ("lru",))
HAS_UNITS = Is("cell", tuple(cell for cell in TRAINED_CELLS if cell != "lru"))
MLP = Is("cell", ("mlp",))
RECURRENT = Is("cell", tuple(cell for cell in TRAINED_CELLS if cell != "mlp"))
# Cells whose states go on by themselves; gated ones forget.
DYNAMICAL = Is("cell", ("lru", "cornn", "lem", "antisymmetric", "orthogonal", "shplrnn"))
CORNN, LEM = Is("cell", ("cornn",)), Is("cell", ("lem",))
ANTISYMMETRIC = Is("cell", ("antisymmetric",))
RESERVOIR = Is("cell", ("esn",))
NONLINEAR_LAGS = Is("cell", ("nvar",))
AUTOREGRESSION = Is("cell", ("ar",))
SUBSPACE = Is("cell", ("ssa",))
FITTED = Is("cell", FITTED_CELLS)
REGRESSION = Is("cell", ("esn", "nvar", "ar"))
GIVEN = Is("regularisation", ("given",))
WINDOW = AnyOf((Is("context", ("window",)), MLP))
STATE = Is("context", ("state",))
WARMS_UP = AnyOf((AllOf((TRAINED, STATE)), RESERVOIR))
RUNS_ALONE = AllOf((DYNAMICAL, STATE))
LINEAR = AllOf((HAS_MODES, Is("head_layers", (0,)), IsNot("layer_norm", (True,))))
AUTONOMOUS = AllOf((Is("autonomous", (True,)), LINEAR))
UNROLLS = AnyOf((Above("rollout_steps", 1), Above("window_rollout_steps", 1)))
FEEDS_BACK = IsNot("autonomous", (True,))
ADDS_TO_THE_LAST = AllOf((FEEDS_BACK, AnyOf((TRAINED, REGRESSION))))
READS = IsNot("state_estimate", ("least-squares",))
# A state of least squares is made anew from each warm-up, and reads nothing beside its free run.
BRANCHES = AllOf((UNROLLS, READS))
CARRIES = AllOf((Above("rollout_steps", 1), READS, IsNot("instance_norm", (True,))))
TAUGHT_BESIDE = Is("teacher_span", ("rollout",))
# Any nonlinearity: a linear forecaster's dropout would split its cohorts, see Candidate.is_linear.
NONLINEAR = AnyOf((HAS_UNITS, WINDOW, Above("head_layers", 0), Is("layer_norm", (True,))))
# Without an offset, a linear forecaster errs as much on the series as on the one upside down.
FEELS_SIGNS = AnyOf(
    (HAS_UNITS, Above("head_layers", 0), Is("layer_norm", (True,)), Is("offset", (True,)))
)
# What takes the loop over time anyway: there, members with these strategies train with all others.
LOOPS = AnyOf((NONLINEAR, TAUGHT_BESIDE, Is("stateful", (True,))))
CARRIES_ON = AllOf((LOOPS, RECURRENT))
LOOPS_BACK = AllOf((UNROLLS, FEEDS_BACK, LOOPS))
# The growth of errors is a property of the free run, not of one that is forced.
FORCED = AllOf((LOOPS_BACK, IsNot("growth_penalty", (True,))))
SCHEDULED = ("scheduled-linear", "scheduled-exponential", "scheduled-sigmoid", "increasing")

STEPS = Whole(1, 1_000_000)
SHARE = Real(0, 1)
NOISE = Real(0, 100)  # in standard deviations of the training span
WEIGHT = Real(0, 1000)
RATE = Real(0, 0.95)
LAGS = Whole(1, 4096)

# Others are searched where a study file names them: see docs/decisions/0050-cells-by-name.md.
DEFAULT_CELLS = Choices(("rnn", "gru", "lstm", "lru"))
NOISE_STDS = Choices((0.0, 0.02, 0.05, 0.1, 0.2))
RATES = Choices((0.0, 0.1, 0.2, 0.5))

# fmt: off
PARAMETERS: tuple[Parameter, ...] = (
    # the architecture
    Parameter("cell", DEFAULT_CELLS, Names(CELLS), cohort=True, fitted=True),
    Parameter("hidden_units", Choices((8, 16, 32)), Whole(1, 4096), HAS_UNITS, cohort=True),
    Parameter("modes", Choices((1, 2, 4, 8)), Whole(1, 2048), HAS_MODES, cohort=True),
    Parameter("reflections", Choices((4, 8, 16)), Whole(1, 4096), Is("cell", ("orthogonal",)),
              neutral=8, cohort=True),
    Parameter("expanded_units", Choices((32, 64, 128)), Whole(1, 4096), Is("cell", ("shplrnn",)),
              neutral=64, cohort=True),
    Parameter("cornn_step", FloatRange(0.01, 0.1, log=True), Real(1e-6, 10), CORNN, neutral=0.06),
    Parameter("cornn_stiffness", FloatRange(0.1, 100.0, log=True), Real(0, 1e6), CORNN,
              neutral=10.0),
    Parameter("cornn_damping", FloatRange(0.01, 30.0, log=True), Real(0, 1e6), CORNN, neutral=1.0),
    Parameter("lem_step", FloatRange(0.05, 1.0, log=True), Real(1e-6, 1), LEM, neutral=1.0),
    Parameter("antisymmetric_step", FloatRange(0.01, 1.0, log=True), Real(1e-6, 10), ANTISYMMETRIC,
              neutral=0.1),
    Parameter("antisymmetric_diffusion", FloatRange(0.001, 1.0, log=True), Real(0, 1000),
              ANTISYMMETRIC, neutral=0.01),
    Parameter("layers", Choices((1, 2)), Whole(1, 16), cohort=True),
    Parameter("head_layers", Choices((0, 1)), Whole(0, 16), neutral=0, cohort=True),
    Parameter("layer_norm", Choices((False, True)), Flag(), neutral=False, cohort=True,
              opt_in=True),
    # a window MLP has no other
    Parameter("context", Choices(("state", "window")), Names(CONTEXTS), RECURRENT, cohort=True),
    Parameter("window_steps", Choices((4, 16, 64)), STEPS, WINDOW, cohort=True),
    Parameter("warm_up_steps", Choices((50, 100, 200, 300)), STEPS, WARMS_UP, cohort=True,
              fitted=True),
    Parameter("instance_norm", Choices((False, True)), Flag(), neutral=False, cohort=True,
              opt_in=True),
    Parameter("autonomous", Choices((False, True)), Flag(), RUNS_ALONE, neutral=False, cohort=True),
    Parameter("state_estimate", Choices(ESTIMATES), Names(ESTIMATES), AUTONOMOUS,
              neutral="recurrence", cohort=True),
    Parameter("residual", Choices((False, True)), Flag(), ADDS_TO_THE_LAST, neutral=False,
              cohort=True, fitted=True),
    Parameter("scaled_increments", Choices((False, True)), Flag(), Is("residual", (True,)),
              neutral=False, cohort=True, opt_in=True),
    Parameter("offset", Choices((False, True)), Flag(), neutral=True, fitted=True),
    Parameter("damping", Choices((False, True)), Flag(), HAS_MODES, neutral=True),
    # the loss
    Parameter("rollout_steps", Choices((1, 16, 64, 256)), STEPS, STATE, cohort=True),
    Parameter("window_rollout_steps", Choices((1, 4, 16)), STEPS, WINDOW, cohort=True),
    Parameter("teacher_weight", FloatRange(0.0, 1.0), SHARE, UNROLLS, neutral=1.0),
    Parameter("curriculum_fraction", FloatRange(0.0, 1.0), SHARE, UNROLLS, neutral=0.0),
    Parameter("teacher_span", Choices(SPANS_OF_TEACHING), Names(SPANS_OF_TEACHING), BRANCHES,
              neutral="warm-up", cohort=True, opt_in=True),
    Parameter("professor_weight", FloatRange(0.01, 10.0, log=True), WEIGHT, TAUGHT_BESIDE,
              neutral=0.0, opt_in=True),
    Parameter("professor_detach", Choices(DETACHED), Names(DETACHED), TAUGHT_BESIDE,
              neutral="teacher", opt_in=True),
    Parameter("stateful", Choices((False, True)), Flag(), CARRIES,
              neutral=False, cohort=True, opt_in=True),
    Parameter("growth_penalty", Choices((False, True)), Flag(), BRANCHES,
              neutral=False, cohort=True, opt_in=True),
    Parameter("growth_weight", FloatRange(1e-4, 0.1, log=True), WEIGHT,
              Is("growth_penalty", (True,)), neutral=0.0, opt_in=True),
    Parameter("velocity_weight", FloatRange(0.01, 10.0, log=True), WEIGHT, UNROLLS,
              neutral=0.0, opt_in=True),
    Parameter("spectral_weight", FloatRange(0.01, 10.0, log=True), WEIGHT, UNROLLS,
              neutral=0.0, opt_in=True),
    Parameter("amplitude_weight", FloatRange(0.01, 10.0, log=True), WEIGHT, UNROLLS,
              neutral=0.0, opt_in=True),
    # what is read, and where gradients flow
    Parameter("forcing", Choices(FORCINGS), Names(FORCINGS), FORCED, neutral="none", opt_in=True),
    Parameter("forcing_midpoint", FloatRange(0.05, 0.5), SHARE, Is("forcing", SCHEDULED),
              neutral=0.25, opt_in=True),
    Parameter("forcing_strength", FloatRange(0.02, 0.5, log=True), SHARE,
              Is("forcing", ("generalised",)), neutral=0.2, opt_in=True),
    Parameter("forcing_interval", Choices((4, 8, 16, 32)), Whole(2, 1_000_000),
              Is("forcing", ("sparse",)), neutral=16, opt_in=True),
    Parameter("pushforward_steps", Choices((0, 1, 2)), Whole(0, 1_000_000), LOOPS_BACK,
              neutral=0, opt_in=True),
    Parameter("data_as_demonstrator", Choices((False, True)), Flag(), LOOPS_BACK,
              neutral=False, opt_in=True),
    Parameter("time_reversal", Choices((False, True)), Flag(), neutral=False, fitted=True),
    Parameter("sign_augmentation", Choices((False, True)), Flag(), FEELS_SIGNS, neutral=False,
              opt_in=True),
    Parameter("scale_augmentation_std", Choices((0.0, 0.1, 0.3)), Real(0, 3),
              neutral=0.0, opt_in=True),
    # the noise
    Parameter("input_noise_std", NOISE_STDS, NOISE, neutral=0.0),
    Parameter("feedback_noise_std", NOISE_STDS, NOISE, AllOf((UNROLLS, FEEDS_BACK)), neutral=0.0),
    Parameter("output_noise_std", NOISE_STDS, NOISE, neutral=0.0),
    Parameter("label_noise_std", NOISE_STDS, NOISE, neutral=0.0),
    Parameter("dropout", RATES, RATE, NONLINEAR, neutral=0.0, opt_in=True),
    Parameter("state_noise_std", NOISE_STDS, NOISE, CARRIES_ON, neutral=0.0, opt_in=True),
    # the start and the optimiser
    Parameter("initial_phases", Choices(PHASES), Names(PHASES), HAS_MODES, neutral="random"),
    Parameter("learning_rate", FloatRange(1e-3, 1e-1, log=True), Real(1e-9, 100)),
    Parameter("weight_decay", FloatRange(1e-6, 1e-1, log=True), Real(0, 100), neutral=0.0),
    Parameter("clip_norm", FloatRange(0.1, 10.0, log=True), Real(1e-9, 1e9)),
    Parameter("schedule", Choices(("constant", "cosine")), Names(SCHEDULES), neutral="constant"),
    Parameter("training_steps", Choices((200, 400)), STEPS, cohort=True),
    Parameter("batch_size", Choices((4, 8)), Whole(1, 4096), cohort=True),
    Parameter("weight_average", Choices(AVERAGES), Names(AVERAGES), neutral="none", opt_in=True),
    Parameter("average_fraction", FloatRange(0.02, 0.5, log=True), SHARE,
              Is("weight_average", ("exponential", "tail")), neutral=0.1, opt_in=True),
    Parameter("restarts", Choices((1, 2, 4, 8)), Whole(1, 64), AnyOf((TRAINED, RESERVOIR)),
              neutral=1, fitted=True),
    # what is fitted in closed form
    Parameter("reservoir_units", Choices((100, 200, 400)), Whole(1, 4096), RESERVOIR,
              cohort=True, fitted=True),
    Parameter("fan_in", Choices((10,)), Whole(1, 4096), RESERVOIR, neutral=1, cohort=True,
              fitted=True),
    Parameter("spectral_radius", FloatRange(0.4, 1.4), Real(0, 100), RESERVOIR, neutral=1.0,
              fitted=True),
    Parameter("input_scaling", FloatRange(0.05, 2.0, log=True), Real(0, 100), RESERVOIR,
              neutral=1.0, fitted=True),
    Parameter("bias_scaling", FloatRange(0.0, 1.0), Real(0, 100), RESERVOIR, neutral=0.0,
              fitted=True),
    Parameter("leak_rate", FloatRange(0.1, 1.0), SHARE, RESERVOIR, neutral=1.0, fitted=True),
    Parameter("nvar_delays", Choices((2, 4, 8)), LAGS, NONLINEAR_LAGS, cohort=True, fitted=True),
    Parameter("delay_stride", Choices((1, 2, 4, 8)), LAGS, NONLINEAR_LAGS, neutral=1, cohort=True,
              fitted=True),
    Parameter("degree", Choices((1, 2, 3)), Whole(1, 8), NONLINEAR_LAGS, neutral=1, cohort=True,
              fitted=True),
    Parameter("ar_order", Choices((16, 32, 64, 128, 256)), LAGS, AUTOREGRESSION, cohort=True,
              fitted=True),
    Parameter("ssa_window", Choices((50, 100, 200, 300)), LAGS, SUBSPACE, cohort=True, fitted=True),
    Parameter("regularisation", Choices(REGULARISATIONS), Names(REGULARISATIONS), FITTED,
              neutral="given", fitted=True),
    Parameter("ridge", FloatRange(1e-14, 1.0, log=True), Real(0, 1e6), AllOf((REGRESSION, GIVEN)),
              neutral=0.0, fitted=True),
    Parameter("ssa_rank", Choices((1, 2, 3, 4, 6, 8, 12)), LAGS, AllOf((SUBSPACE, GIVEN)),
              neutral=1, fitted=True),
)
# fmt: on

BY_NAME: dict[str, Parameter] = {parameter.name: parameter for parameter in PARAMETERS}

# Context and rollout, whose steps together must fit into the training span.
SPANS: tuple[tuple[Condition, str, str], ...] = (
    (AllOf((TRAINED, WINDOW)), "window_steps", "window_rollout_steps"),
    (AllOf((TRAINED, STATE)), "warm_up_steps", "rollout_steps"),
)
