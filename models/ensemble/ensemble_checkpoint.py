"""The networks of an ensemble's members, and candidates and checkpoints of either kind."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from models import checkpoint as single
from models.candidate import Candidate, from_plain, to_plain
from models.checkpoint import Checkpoint, CheckpointError
from models.ensemble.ensemble import Ensemble, check_weights

AnyCandidate: TypeAlias = Candidate | Ensemble

# A file of one candidate has version 2, as earlier versions of freerun read it.
FORMAT_VERSION = 3


@dataclass(frozen=True, eq=False)
class EnsembleCheckpoint:
    """The populations of an ensemble's members; weights: see `Ensemble`.

    A member may have a single network, where all of its networks would be equal.
    """

    members: tuple[Checkpoint, ...]
    weights: tuple[float, ...] | None

    @property
    def channels(self) -> int:
        return self.members[0].channels

    @property
    def shown_steps(self) -> int:
        """True values that the members read before a free run, at most."""
        return max(member.shown_steps for member in self.members)


AnyCheckpoint: TypeAlias = Checkpoint | EnsembleCheckpoint


def any_to_plain(candidate: AnyCandidate) -> dict[str, Any]:
    """A candidate or an ensemble as JSON values, the inverse of `any_from_plain`."""
    if not isinstance(candidate, Ensemble):
        return to_plain(candidate)
    members = [
        {"name": name, **to_plain(member)}
        for name, member in zip(candidate.names, candidate.members, strict=True)
    ]
    weights = None if candidate.weights is None else list(candidate.weights)
    return {"ensemble": {"weights": weights, "members": members}}


def any_from_plain(plain: Mapping[str, Any]) -> AnyCandidate:
    """Rebuild what `any_to_plain` wrote; raises KeyError, TypeError or ValueError otherwise."""
    if "ensemble" not in plain:
        return from_plain(plain)
    own = plain["ensemble"]
    weights = own["weights"]
    return Ensemble(
        members=tuple(from_plain(member) for member in own["members"]),
        names=tuple(str(member["name"]) for member in own["members"]),
        weights=None if weights is None else tuple(map(float, weights)),
    )


def save_any(checkpoint: AnyCheckpoint) -> bytes:
    """The checkpoint of a candidate or an ensemble as safetensors; see `models.checkpoint.save`.

    The tensors of an ensemble's members have the members' numbers before their names.
    """
    if isinstance(checkpoint, Checkpoint):
        return single.save(checkpoint)
    parts = [single.parts_of(member) for member in checkpoint.members]
    tensors = {
        f"{number}.{name}": tensor
        for number, (_, own) in enumerate(parts)
        for name, tensor in own.items()
    }
    weights = None if checkpoint.weights is None else list(checkpoint.weights)
    description = {
        "format_version": FORMAT_VERSION,
        "ensemble": [described for described, _ in parts],
        "weights": weights,
    }
    return single.packed(description, tensors)


def load_any(content: bytes) -> AnyCheckpoint:
    """Read what `save_any` wrote; raises CheckpointError as `models.checkpoint.load` does."""
    description, _ = single.read_description(content, FORMAT_VERSION)
    if "ensemble" not in description:
        return single.load(content)
    tensors = single.tensors_of(content)
    described, weights = description["ensemble"], description.get("weights")
    try:
        members = []
        for number, own in enumerate(described):
            prefix = f"{number}."
            named = {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
            members.append(single.of_parts(own, named))
        if weights is not None:
            check_weights(weights, len(members))
    except (TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(f"the ensemble of the checkpoint can't be: {error}") from error
    if len(members) < 2 or len({member.channels for member in members}) > 1:
        raise CheckpointError(
            "the checkpoint's ensemble must have at least two members of equal channels, but has "
            f"{[member.channels for member in members]}"
        )
    single.check_content(description, tensors)
    return EnsembleCheckpoint(tuple(members), None if weights is None else tuple(weights))
