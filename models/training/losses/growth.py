"""The growth penalty: errors in the free run should neither grow nor die away."""

from models.methods import FloatRange, Is, Method, Stage, flag, setting
from models.methods.condition import BRANCHES, TRAINED
from models.methods.values import WEIGHT
from models.tensors import MemberBatchChannelTime
from models.training.losses.loss import CountedSteps, per_member

# By how much the last true value is displaced, in training standard deviations: small beside the
# series, large beside single precision, in which the difference of two runs has to be taken.
DISPLACEMENT = 0.1
# Added to the mean square of a difference, so that one that dies away has a finite logarithm: a
# thousandth of the displacement, beyond which single precision no longer tells how it does.
LEAST_ENERGY = 1e-8


class GrowthPenalty(Method, name="growth_penalty", label="growth penalty", rank=205):
    """Growth penalty: a second free run starts from a displaced value, and keeps its distance.

    growth = log(E_late / E_early), with E the mean square of displaced - run over the late and the
    early half of the steps that count (an odd one belongs to the late half); squared, and the mean
    over subsequences. A free run that is marginally stable, like that of a wave, has none: the
    Jacobian of many closed-loop steps neither shrinks nor stretches what it is given.

    No canonical source. It stands in for a penalty on the Jacobian of many steps of the closed loop
    (Hoffman et al. 2019 penalise that of one pass, in random directions), as a finite difference in
    one direction, that of the value fed back; its gradient is exact for what it names.
    """

    kind = "loss"
    stage = Stage.LOSS
    applies = TRAINED

    growth_penalty: bool = flag(
        "Whether the growth of a displacement in the free run is penalised.",
        shared=True,
        searched=False,
        when=BRANCHES,
    )
    growth_weight: float = setting(
        WEIGHT,
        FloatRange(1e-4, 0.1, log=True),
        "The weight of the squared growth.",
        neutral=0.0,
        searched=False,
        when=Is("growth_penalty", (True,)),
    )

    def needs_loop(self) -> bool:
        return self.growth_penalty

    @staticmethod
    def gradient(
        run: MemberBatchChannelTime, displaced: MemberBatchChannelTime, counted: CountedSteps
    ) -> MemberBatchChannelTime:
        """The gradient of the squared growth with respect to the displaced run.

        With respect to the run itself it is the opposite. Zero where a single step counts.
        """
        _, batch, channels, steps = run.shape
        difference = displaced - run
        early_steps = (counted.number / 2.0).floor()
        middle = counted.first + early_steps
        early = CountedSteps(counted.first, middle).mask(steps)
        late = CountedSteps(middle, counted.end).mask(steps)
        early_numbers = per_member(early_steps.clamp(min=1.0)) * channels
        late_numbers = per_member(counted.number - early_steps) * channels
        squares = difference.square()
        early_energy = _over_channels(squares * early) / early_numbers + LEAST_ENERGY
        late_energy = _over_channels(squares * late) / late_numbers + LEAST_ENERGY
        logarithm = (late_energy / early_energy).log() * per_member(early_steps.clamp(max=1.0))
        slope = late / (late_numbers * late_energy) - early / (early_numbers * early_energy)
        return difference * slope * (logarithm * (4.0 / batch))


def _over_channels(values: MemberBatchChannelTime) -> MemberBatchChannelTime:
    """The sum over channels and time, `[member, batch, 1, 1]`."""
    return values.flatten(2).sum(2).unsqueeze(2).unsqueeze(3)
