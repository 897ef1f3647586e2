"""The seed of one initialisation, from what it belongs to and from nothing else."""

import hashlib
import json
from dataclasses import MISSING, asdict, fields

from models.candidate import Architecture, Candidate, Strategy
from search.series import Purpose


def initialisation_seed(
    study_seed: int, purpose: Purpose, candidate: Candidate, replica: int, restart: int
) -> int:
    """A 63-bit seed for the initialisation, the segments and the noise of one network.

    Neither trial numbers nor workers nor times enter it, so a candidate that is run again, by
    whomever, is the same network. Fields that have a default came later than the others: at that
    value they are left out, so that a candidate without them keeps the seeds it always had.
    """
    named = {
        "architecture": _without_defaults(candidate.architecture),
        "strategy": _without_defaults(candidate.strategy),
        "restarts": candidate.restarts,
    }
    key = [study_seed, purpose, named, replica, restart]
    text = json.dumps(key, sort_keys=True, separators=(",", ":"))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def _without_defaults(part: Architecture | Strategy) -> dict[str, object]:
    defaults = {f.name: f.default for f in fields(part) if f.default is not MISSING}
    absent = object()
    return {
        name: value for name, value in asdict(part).items() if value != defaults.get(name, absent)
    }
