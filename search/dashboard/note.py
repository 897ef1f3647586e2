"""The note on a study that optuna-dashboard shows: its task, its limits, and the next commands.

It is written once, when the study is created; users can edit it afterwards.
"""

import json

import optuna
from optuna_dashboard import save_note

from search.analysis.wording import (
    SCORE_OVER,
    commands,
    counted,
    scale_of,
    shown_score,
    validation_of,
)
from search.storage.studies import Storage
from search.study.definition import StudyDefinition
from search.study.limit import attainable_nmse
from search.study.space.contexts import context_range


def save_study_note(storage: Storage, definition: StudyDefinition) -> None:
    """Write the note on the study of this definition, in place of an earlier one."""
    study = optuna.load_study(study_name=definition.name, storage=storage.optuna)
    save_note(study, study_note(definition, storage.shown_url))


def study_note(definition: StudyDefinition, storage_url: str) -> str:
    """Return the note as Markdown. storage_url: without its password.

    Names that a user chose stand in code, where they have no effect as Markdown.
    """
    task = definition.task
    lines = [f"# {definition.name}", "", _task(definition), "", scale_of(task.score_against), ""]
    limits = _limits(definition)
    if limits:
        lines += ["| true values read | attainable NMSE, mean over draws |", "|---|---|"]
        lines += [f"| {samples:,} | {shown_score(limit)} |" for samples, limit in limits]
        lines += ["", "One score, or a median of a few, may be below it; see docs/limit.md.", ""]
    lines += ["```sh", *_commands(definition.name, storage_url), "```", ""]
    plain = json.dumps(definition.model_dump(mode="json"), indent=1)
    return "\n".join([*lines, "Definition:", "", "```json", plain, "```", ""])


def _task(definition: StudyDefinition) -> str:
    task, search = definition.task, definition.search
    if task.validation != "end":
        return (
            f"Networks train on {validation_of(task)}. The score is the "
            f"{SCORE_OVER[task.score_averaging]} against the {task.score_against}, over "
            f"{counted(search.replicas, 'replica')}. Sampler {search.sampler}, pruner "
            f"{search.pruner}."
        )
    runs = counted(task.start_points, "free run")
    return (
        f"Networks train on {counted(task.train_steps, 'step')} of the series "
        f"({definition.series.source}), then run freely: {runs} of "
        f"{counted(task.horizon_steps, 'step')}, NMSE against the {task.score_against}, the median "
        f"over {counted(search.replicas, 'replica')}. Sampler {search.sampler}, pruner "
        f"{search.pruner}."
    )


def _limits(definition: StudyDefinition) -> list[tuple[int, float]]:
    """The limits for the shortest and the longest context, and for the whole training span."""
    shown = {*context_range(definition.full_space()), definition.task.train_steps}
    found = [(samples, attainable_nmse(definition, samples)) for samples in sorted(shown)]
    return [(samples, limit) for samples, limit in found if limit is not None]


def _commands(name: str, storage_url: str) -> list[str]:
    wanted = ("export ", "freerun run", "freerun report", "freerun export", "freerun retrain")
    found = [each for each in commands(name, storage_url) if each[0].startswith(wanted)]
    width = max(len(line) for line, _ in found)
    return [f"{line:{width}}  # {purpose}" for line, purpose in found]
