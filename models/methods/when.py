"""Conditions that the settings of several methods share."""

from models.methods.condition import Above, AllOf, AnyOf, Is, IsNot, Selects

TRAINED = Selects("cell", "is_trained")
RECURRENT = Selects("cell", "is_recurrent")

# What a free run starts from.
READS_WINDOW = AnyOf(Is("context", ("window",)), Selects("cell", "reads_whole_window"))
HAS_STATE = Is("context", ("state",))
RUNS_ON_STATE = AllOf(Selects("cell", "runs_on_state"), HAS_STATE)
FEEDS_BACK = IsNot("autonomous", (True,))
READS = IsNot("state_estimate", ("least-squares",))
_FEEDS_BACK_EACH = IsNot("decoding", ("parallel",))

# What is between the value that is read and the forecast.
_HAS_HEAD = Above("head_layers", 0)
_HAS_LAYER_NORM = Is("layer_norm", (True,))
_HAS_NONLINEAR_READ_IN = Is("read_in", ("relu",))
LINEAR = AllOf(Selects("cell", "is_linear"), Is("head_layers", (0,)), IsNot("layer_norm", (True,)))
NONLINEAR = AnyOf(
    Selects("cell", "is_nonlinear"),
    READS_WINDOW,
    _HAS_HEAD,
    _HAS_LAYER_NORM,
    _HAS_NONLINEAR_READ_IN,
)
# Without an offset, a linear forecaster makes the same errors on a series and on its negative.
DEPENDS_ON_SIGN = AnyOf(
    Selects("cell", "is_nonlinear"),
    _HAS_HEAD,
    _HAS_LAYER_NORM,
    _HAS_NONLINEAR_READ_IN,
    Is("offset", (True,)),
)

# Whether training runs freely, and whether it walks over time step by step. Where it does so
# anyway, members with strategies that need it train in the cohort of all others.
UNROLLS = AnyOf(Above("rollout_steps", 1), Above("window_rollout_steps", 1))
# A state by least squares is estimated anew from each warm-up, and reads nothing else.
BRANCHES = AllOf(UNROLLS, READS, _FEEDS_BACK_EACH)
LOOPS = AnyOf(
    NONLINEAR, Above("segment_steps", 1), Is("teacher_span", ("rollout",)), Is("stateful", (True,))
)
FEEDS_BACK_IN_TRAINING = AllOf(UNROLLS, FEEDS_BACK, _FEEDS_BACK_EACH)
LOOPS_AND_FEEDS_BACK = AllOf(FEEDS_BACK_IN_TRAINING, LOOPS)
