"""The seed of one initialisation, from what it belongs to and from nothing else."""

import hashlib
import json

from models.candidate import Candidate
from models.version_1 import seed_key
from search.series import Purpose


def initialisation_seed(
    study_seed: int, purpose: Purpose, candidate: Candidate, replica: int, restart: int
) -> int:
    """A 63-bit seed for the initialisation, the subsequences and the noise of one network.

    Neither trial numbers nor workers nor times enter it, so a candidate that is run again, by
    whomever, is the same network. Neutral settings are left out, so that a candidate keeps its seed
    when later versions have settings that it does not use.
    """
    key = [study_seed, purpose, seed_key(candidate, candidate.restarts), replica, restart]
    text = json.dumps(key, sort_keys=True, separators=(",", ":"))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
