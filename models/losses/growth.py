"""The growth penalty: errors in the free run should neither grow nor die away."""

from models.axes import MemberBatchChannelTime
from models.losses.window import Window, per_member

# By how much the last true value is displaced, in training standard deviations: small beside the
# series, large beside single precision, in which the difference of two runs has to be taken.
DISPLACEMENT = 0.1
# Added to the mean square of a difference, so that one that dies away has a finite logarithm: a
# thousandth of the displacement, beyond which single precision no longer tells how it does.
LEAST_ENERGY = 1e-8


def growth(
    run: MemberBatchChannelTime, displaced: MemberBatchChannelTime, window: Window
) -> MemberBatchChannelTime:
    """The gradient, with respect to the displaced run, of the squared growth of the difference.

    growth = log(E_late / E_early), with E the mean square of displaced - run over the late and the
    early half of the steps that count (an odd one belongs to the late half); squared, and the mean
    over segments. A free run that is marginally stable, like that of a wave, has none: the Jacobian
    of many closed-loop steps neither shrinks nor stretches what it is given. The gradient with
    respect to the run itself is the opposite. Zero where a single step counts.

    No canonical source. It stands in for a penalty on the Jacobian of many steps of the closed loop
    (Hoffman et al. 2019 penalise that of one pass, in random directions), as a finite difference in
    one direction, that of the value fed back; its gradient is exact for what it names.
    """
    _, batch, channels, steps = run.shape
    difference = displaced - run
    early_steps = (window.steps / 2.0).floor()
    middle = window.first + early_steps
    early = Window(window.first, middle).mask(steps)
    late = Window(middle, window.end).mask(steps)
    early_numbers = per_member(early_steps.clamp(min=1.0)) * channels
    late_numbers = per_member(window.steps - early_steps) * channels
    squares = difference.square()
    early_energy = _over_channels(squares * early) / early_numbers + LEAST_ENERGY
    late_energy = _over_channels(squares * late) / late_numbers + LEAST_ENERGY
    logarithm = (late_energy / early_energy).log() * per_member(early_steps.clamp(max=1.0))
    slope = late / (late_numbers * late_energy) - early / (early_numbers * early_energy)
    return difference * slope * (logarithm * (4.0 / batch))


def _over_channels(values: MemberBatchChannelTime) -> MemberBatchChannelTime:
    """The sum over channels and time, `[member, batch, 1, 1]`."""
    return values.flatten(2).sum(2).unsqueeze(2).unsqueeze(3)
