"""How many true values the trials of a study read before a free run that is scored."""

from collections.abc import Iterable

from search.analysis.trials import Trial, context_steps
from search.storage.records import ParamValue
from search.storage.study_store import StudyReader
from search.study.space import Space
from search.study.space.contexts import context_names

# Of trials that seem to read equally many, so many are looked at: other programs' may be no
# candidates.
_MOST_TRIES = 8


class Contexts:
    """The contexts of trials, of which those are made out only that differ in what decides them.

    names: of the parameters that decide a context, which trials must have as far as they sampled
    them. A thousand candidates take a second to make, and a study has a few hundred contexts.
    """

    def __init__(self, study: StudyReader, space: Space) -> None:
        self._study, self._space = study, space
        self.names = context_names(space)
        self._known: dict[tuple[ParamValue, ...], int] = {}

    def of(self, trials: Iterable[Trial]) -> dict[int, int | None]:
        """Return the contexts of trials by their numbers; None where no candidate is known."""
        keys = {}
        unknown: dict[tuple[ParamValue, ...], list[int]] = {}
        for trial in trials:
            key = tuple(trial.params.get(name) for name in self.names)
            keys[trial.number] = key
            if key not in self._known:
                unknown.setdefault(key, []).append(trial.trial_id)
        for _ in range(_MOST_TRIES):
            unknown = {key: ids for key, ids in unknown.items() if ids}
            unknown = self._look(unknown) if unknown else {}
        return {number: self._known.get(key) for number, key in keys.items()}

    def _look(
        self, unknown: dict[tuple[ParamValue, ...], list[int]]
    ) -> dict[tuple[ParamValue, ...], list[int]]:
        """Look at one trial of each kind; return the kinds of which that one is no candidate."""
        by_id = {ids.pop(): key for key, ids in unknown.items()}
        for frozen in self._study.frozen_trials(list(by_id), attributes=False):
            steps = context_steps(self._space, Trial.of(frozen))
            if steps is not None:
                self._known[by_id[frozen._trial_id]] = steps
        return {key: ids for key, ids in unknown.items() if key not in self._known}
