"""What a cohort trains on in each step of the optimiser: parts of its series, and noise."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from models.network.options.learning import TimeReversal
from models.network.options.segments import fold
from models.tensors import MemberTimeChannel, PerMember, TimeMemberBatchChannel
from models.training.cohort_forcing import CohortForcing
from models.training.options.augmentation import Factors
from models.training.options.noise import MemberDraws, Place, noises_at
from models.training.places import Places
from models.training.subsequence import SubsequenceShape
from models.training.trained_network import TrainedNetwork


class Subsequences(PerMember):
    """The subsequences of every optimiser step of a cohort's training, `[member, step, batch]`.

    pieces: by member, the lengths of the stretches without a gap that its span consists of; no
    subsequence lies across a gap.

    starts: the lowest position of each. backwards: whether it is read from its end to its start.
    fresh: whether it starts from a state of zero.

    They lie at random; or, for stateful candidates, in streams: each place of the batch walks
    through the span chunk by chunk, which is truncated back-propagation through time with
    non-overlapping chunks (Williams & Peng 1990). The streams of a member set out evenly spread
    over the span, so that they share it; one that arrives at the end of a piece starts anew at the
    beginning of the next one, after the last at that of the first, at most a chunk late, so that
    chunks do not always meet at the same places.
    """

    by_member = ("starts", "backwards", "fresh")

    def __init__(
        self,
        candidates: Sequence[TrainedNetwork],
        shape: SubsequenceShape,
        pieces: Sequence[Sequence[int]],
        generators: Sequence[Generator],
    ) -> None:
        optimiser = candidates[0].optimiser
        self.shape, self.carries_state = shape, candidates[0].carries_state
        size = (optimiser.training_steps, optimiser.batch_size)
        places = Places(pieces, shape.steps)
        is_reversible = torch.tensor([c[TimeReversal].time_reversal for c in candidates])
        is_reversible = is_reversible.view(-1, 1, 1)
        if self.carries_state:
            lates = (places.ends + 1).clamp(max=shape.rollout).tolist()
            delays = torch.stack(
                [
                    torch.randint(0, late, size, generator=g)
                    for late, g in zip(lates, generators, strict=True)
                ]
            )
            backward_places = Places([own[::-1] for own in pieces], shape.steps)
            both = (places, backward_places)
            starts, self.fresh, self.backwards = _streams(
                delays, shape.rollout, both, is_reversible.squeeze(2)
            )
            self.starts = torch.where(self.backwards, places.ends.view(-1, 1, 1) - starts, starts)
        else:
            counts = places.counts.tolist()
            numbers = [
                torch.randint(0, count, size, generator=g)
                for count, g in zip(counts, generators, strict=True)
            ]
            self.starts = places.positions(torch.stack(numbers))
            self.fresh = torch.ones_like(self.starts, dtype=torch.bool)
            # Every other one, counted over all steps: half of them whatever the batch size is.
            turn = torch.arange(size[0] * size[1]).view(size) % 2 == 1
            self.backwards = turn & is_reversible

    def positions(self, step: int, ahead: int = 0) -> Tensor:
        """Positions in the span of the values of a step's subsequences, `[member, batch, time]`.

        In whole segments: where the rollout cuts the last one, the last position is repeated.
        ahead: how many steps later the positions are that are asked for; the last one is repeated.
        """
        last = self.shape.steps - 1
        order = (torch.arange(self.shape.whole_steps) + ahead).clamp(max=last)
        backwards = self.backwards[:, step].unsqueeze(2)
        return self.starts[:, step].unsqueeze(2) + torch.where(backwards, last - order, order)


@dataclass(frozen=True, eq=False)
class Chance:
    """What chance gives one optimiser step of a cohort; the next step overwrites it.

    starts, backwards, fresh: see `Subsequences`, `[member, batch]`. factor: what subsequences are
    multiplied by, `[member, batch, 1]`, None for nothing. Noises: `[member, time, batch, channel]`,
    None where no member has any. forced: see `Batch`.
    """

    starts: Tensor
    backwards: Tensor
    fresh: Tensor
    factor: Tensor | None
    input_noise: Tensor | None
    label_noise: Tensor | None
    feedback_noise: Tensor | None
    output_noise: Tensor | None
    forced: Tensor | None


@dataclass(frozen=True, eq=False)
class Batch:
    """One step's subsequences, all `[time, member, batch, channel]`; the next step overwrites them.

    reads: the true values with the noise of the input. targets: the same with the noise of the
    labels. feedback_noise, output_noise: None where no member has any. fresh: `[member, batch]`,
    whether a subsequence starts from a state of zero. forced: the truth's share in what free runs
    read, `[rollout time, member, batch, 1]`, None where all members run freely. exogenous: known
    columns by the position that is read beside them, see `rows_ahead`; None without such inputs.
    """

    reads: TimeMemberBatchChannel
    targets: TimeMemberBatchChannel
    feedback_noise: TimeMemberBatchChannel | None
    output_noise: TimeMemberBatchChannel | None
    fresh: Tensor
    forced: Tensor | None = None
    exogenous: TimeMemberBatchChannel | None = None


class Batches:
    """Cuts subsequences out of each member's series `[member, time, channel]`, and adds noise.

    exogenous: known columns of the same positions, `[member, time, column]`, perhaps none.
    """

    def __init__(
        self,
        candidates: Sequence[TrainedNetwork],
        values: MemberTimeChannel,
        exogenous: MemberTimeChannel,
        subsequences: Subsequences,
        factors: Factors,
        forcing: CohortForcing,
    ) -> None:
        self.values, self.exogenous, self.subsequences = values, exogenous, subsequences
        self.factors, self.forcing = factors, forcing
        members, _, channels = values.shape
        steps, batch = subsequences.shape.whole_steps, candidates[0].optimiser.batch_size
        size = (steps, batch, channels)
        self.noises = [
            MemberDraws([noises_at(place, c) for c in candidates], size, 0, values.device)
            for place in (Place.READ, Place.FEEDBACK, Place.FORECAST, Place.TARGET)
        ]
        shape = (steps, members, batch, channels)
        self.reads = torch.empty(shape, device=values.device)
        self.targets = torch.empty(shape, device=values.device)

    def chance(self, step: int, generators: Sequence[Generator]) -> Chance:
        """Draw for an optimiser step, from each member's own generator."""
        on_input, on_feedback, on_output, on_label = (n.draw(generators) for n in self.noises)
        subsequences = self.subsequences
        return Chance(
            starts=subsequences.starts[:, step],
            backwards=subsequences.backwards[:, step],
            fresh=subsequences.fresh[:, step],
            factor=self.factors.of_step(step),
            input_noise=on_input,
            label_noise=on_label,
            feedback_noise=on_feedback,
            output_noise=on_output,
            forced=self.forcing.draw(step, generators),
        )

    def batch(self, step: int, chance: Chance) -> Batch:
        """The batch of an optimiser step, given what was drawn for it."""
        device = self.values.device
        positions = self.subsequences.positions(step).to(device)
        member = torch.arange(len(positions), device=device).view(-1, 1, 1)
        self.targets.copy_(self.values[member, positions].permute(2, 0, 1, 3))
        if chance.factor is not None:
            self.targets.mul_(chance.factor)
        self.reads.copy_(self.targets)
        by_time = {
            name: None if noise is None else noise.transpose(0, 1)
            for name, noise in (
                ("input", chance.input_noise),
                ("label", chance.label_noise),
                ("feedback", chance.feedback_noise),
                ("output", chance.output_noise),
            )
        }
        if by_time["input"] is not None:
            self.reads.add_(by_time["input"])
        if by_time["label"] is not None:
            self.targets.add_(by_time["label"])
        fresh = chance.fresh.to(device)
        noises = by_time["feedback"], by_time["output"]
        exogenous = None
        if self.exogenous.shape[2]:
            segment = self.subsequences.shape.segment
            rows = self.subsequences.positions(step, segment).to(device)
            exogenous = fold(self.exogenous[member, rows].permute(2, 0, 1, 3), segment)
        return Batch(self.reads, self.targets, *noises, fresh, chance.forced, exogenous)

    def draw(self, step: int, generators: Sequence[Generator]) -> Batch:
        """The batch of an optimiser step, its noise from each member's own generator."""
        return self.batch(step, self.chance(step, generators))


def _streams(
    delays: Tensor, chunk: int, places: tuple[Places, Places], is_reversible: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Start of each chunk, whether its stream sets out there, and whether it is read backwards.

    A start that is read backwards counts from the end of the span. `delays` `[member, step, batch]`
    are used where a stream sets out; places: where a chunk can start, forwards and backwards;
    is_reversible: `[member, 1]`. Of the streams of a reversible member every other one is read
    backwards, and that changes with each pass through the span.
    """
    starts = torch.empty_like(delays)
    fresh, backwards = (torch.empty_like(delays, dtype=torch.bool) for _ in range(2))
    members, steps, batch = delays.shape
    member, place = torch.arange(members).unsqueeze(1), torch.arange(batch)
    firsts, lasts = (
        torch.stack([getattr(own, ends) for own in places], dim=1) for ends in ("firsts", "lasts")
    )
    used, counts = (own.unsqueeze(1) for own in (places[0].used, places[0].counts))
    numbers = (place * counts // batch + delays[:, 0, :1]) % counts
    passed = torch.zeros_like(numbers)
    way = ((place % 2 == 1) & is_reversible).long()
    ways = [(own.positions(numbers), own.piece_of(numbers)) for own in places]
    start, piece = (torch.where(way == 1, b, f) for f, b in zip(*ways, strict=True))
    sets_out = torch.ones_like(passed, dtype=torch.bool)
    for step in range(steps):
        starts[:, step], fresh[:, step], backwards[:, step] = start, sets_out, way == 1
        # Chunks share a segment: the last that is forecast is the first that the next one reads.
        start = start + chunk
        sets_out = start > lasts[member, way, piece]
        piece = piece + sets_out
        is_through = piece == used
        passed, piece = passed + is_through, piece.masked_fill(is_through, 0)
        way = (((place + passed) % 2 == 1) & is_reversible).long()
        first, last = firsts[member, way, piece], lasts[member, way, piece]
        late = first + delays[:, (step + 1) % steps] % (last - first + 1)
        start = torch.where(sets_out, late, start)
    return starts, fresh, backwards
