"""A study: created or resumed, run, and looked at."""

from __future__ import annotations

import os
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, Self

from freerun.arguments import path_of, positive_number, section, text, texts, whole_number
from search.errors import StudyFileError
from search.names import check_name

if TYPE_CHECKING:
    import optuna

    from freerun.exported import ExportedForecaster
    from freerun.scores import Best
    from search.storage.studies import Storage
    from search.storage.study_store import StudyStore
    from search.study.definition import StudyDefinition
    from search.study.study_file import StudyFile


class Study:
    """A search for a forecaster of one series.

    Its trials, results and the rows of its series are in a storage that outlives this object: a
    second `Study` of the same definition and name goes on where the first one ended, and so do the
    commands (`freerun run NAME`, `freerun dashboard`).

    source: what is to be forecast, as one of

    - the path of a table (CSV or Parquet),
    - a data frame or series of pandas or polars, or an array `[time]` or `[time, channel]`; its
      rows are stored with the study, and no file is written,
    - the path of a study file (its name ends in .toml),
    - a dict with the content of a study file; a relative path in it starts in the working folder.

    horizon: steps to forecast; for a table or a frame, whose spans of training, validation and test
    follow from it; else two periods, or one, or a tenth of the rows. time, columns: the names of
    its time and value columns, where they are not found by themselves. name: of the study; else
    that of the file, or "series". seed: of all draws and initialisations. series, task, search,
    space: keys of these sections of a study file that differ from what is found or from what the
    file says. Missing values of a table or a frame are filled in, which a SeriesWarning says.
    storage: a SQLAlchemy URL, else FREERUN_STORAGE, else sqlite:///freerun.db.

    Raises StudyFileError for a definition that can't be run, or that differs from the stored study
    of that name; SeriesError for a series that can't be used; StorageError for a storage that can't
    be opened; UsageError for arguments that don't go together.
    """

    def __init__(
        self,
        source: Any,
        *,
        horizon: int | None = None,
        name: str | None = None,
        time: str | None = None,
        columns: str | Sequence[str] | None = None,
        series: Mapping[str, Any] | None = None,
        task: Mapping[str, Any] | None = None,
        search: Mapping[str, Any] | None = None,
        space: Mapping[str, Any] | None = None,
        seed: int | None = None,
        storage: str | None = None,
    ) -> None:
        from freerun.defining import Asked, define

        changes = {
            key: section(key, own, example)
            for key, own, example in (
                ("series", series, "{'period': 24}"),
                ("task", task, "{'horizon_steps': 24}"),
                ("search", search, "{'minutes': 1.0}"),
                ("space", space, "{'cell': ['gru']}"),
            )
            if own is not None
        }
        if name is not None:
            check_name(text("name", name, "demand"), "name")
        asked = Asked(
            None if horizon is None else whole_number("horizon", horizon, 1, " step"),
            name,
            None if seed is None else whole_number("seed", seed),
            None if time is None else text("time", time, "time"),
            None if columns is None else texts("columns", columns, "value"),
            {key: own for key, own in changes.items() if own},
        )
        _check_storage(storage)
        file = define(source, asked)
        try:
            self._open(storage, file, None)
        except StudyFileError:
            # A later version may find other periods than the one that began the study.
            if "period" in changes.get("series", {}):
                raise
            before = _periods_of(storage, file.definition.name)
            again = define(source, replace(asked, found_before=before))
            if again.definition.identity_hash == file.definition.identity_hash:
                raise
            self._open(storage, again, None)

    @classmethod
    def open(cls, name: str, *, storage: str | None = None) -> Self:
        """Return a stored study by its name.

        Raises UnknownStudyError with the nearest name, and StorageError.
        """
        text("name", name, "demand")
        _check_storage(storage)
        opened = cls.__new__(cls)
        opened._open(storage, None, name)
        return opened

    def _open(self, url: str | None, file: StudyFile | None, name: str | None) -> None:
        from search.cli.options import storage_at
        from search.cli.resuming import create_or_resume

        self._storage: Storage = storage_at(url, create=file is not None)
        # A study that is no longer used holds no connection.
        self._closing = weakref.finalize(self, self._storage.close)
        self._is_named_only = file is None
        named = name if file is None else "the definition"
        assert named is not None
        try:
            found = create_or_resume(self._storage, named, file)
        except BaseException:
            self._closing()
            raise
        self._store: StudyStore = found[0]
        self._definition: StudyDefinition = found[1]

    def __repr__(self) -> str:
        counts = self._store.counts()
        return (
            f"<freerun.Study {self.name!r} in {self._storage.shown_url}: {counts.complete} "
            f"complete, {counts.pruned} pruned, {counts.failed} failed trials>"
        )

    @property
    def name(self) -> str:
        """Its name in the storage."""
        return self._store.name

    @property
    def optuna(self) -> optuna.Study:
        """The same study for Optuna: its trials, plots and importances. Don't optimise it there."""
        import optuna

        return optuna.load_study(study_name=self.name, storage=self._storage.optuna)

    def run(
        self,
        *,
        trials: int | None = None,
        minutes: float | None = None,
        workers: int | None = None,
        device: str = "cpu",
        progress: bool = True,
    ) -> Self:
        """Search until the budget is spent, then train the best again and test the winner.

        trials, minutes: limits over all runs of this study, both of which hold; else those of the
        definition, which for a table or a frame are 2.5 minutes of search. workers: processes; else
        one for each CPU, or one for a GPU. They are processes of their own, so this may be called
        in a notebook and at the top of a script. With 0 this process does all the work: for tiny
        studies, which end before a worker has started. device: of torch. progress: whether to show
        it.

        Ctrl-C, or "interrupt" in a notebook, stops the workers and raises KeyboardInterrupt; what
        is finished is kept, and another call goes on. Returns the study. Raises UsageError for a
        number out of range or a device that can't be used, FreerunError where workers keep dying.
        """
        if trials is not None:
            trials = whole_number("trials", trials, 1)
        if minutes is not None:
            minutes = positive_number("minutes", minutes)
        if workers is not None:
            workers = whole_number("workers", workers, 0)
        text("device", device, "cpu")
        from freerun.progress import shown_progress
        from freerun.running import run_here
        from search.cli.options import check_device
        from search.cli.resuming import set_budget
        from search.running.fleet import Fleet, default_workers

        check_device(device)
        is_file = not self._is_named_only
        set_budget(self._store, self._definition, trials, minutes, is_file=is_file)
        if workers is None:
            workers = self._definition.search.workers or default_workers(device)
        with shown_progress(self.name, quiet=not progress) as show:
            if workers == 0:
                run_here(self._store, device, show)
            else:
                Fleet(self._store, self._storage.url, workers, device).run(show, lambda: False)
        return self

    @property
    def best(self) -> Best | None:
        """The winner of the final, or the best trial so far; None before a trial is complete."""
        from freerun.scores import best_of

        return best_of(self._store)

    def trials(self, kind: Literal["pandas", "polars"] = "pandas") -> Any:
        """Return a data frame with one row for each trial, by number.

        Columns: number, state, score (NMSE), verdict, mae, rmse, mase, params_NAME for each
        parameter, started, completed, message. Raises UsageError where pandas is not installed.
        """
        from freerun.trials import trials_frame

        return trials_frame(self._store, kind)

    def report(self, path: str | os.PathLike[str]) -> None:
        """Write the report, one HTML file; an older report at that place is replaced.

        Raises UsageError where it can't be written, and for a path that holds anything else.
        """
        from search.report.page import write_report
        from search.student.section import report_sections

        write_report(self._storage, [self.name], path_of("path", path), report_sections)

    def export(
        self,
        path: str | os.PathLike[str],
        *,
        trial: int | None = None,
        baseline: str | None = None,
    ) -> ExportedForecaster:
        """Write the winner, a complete trial or a baseline of the final to a folder; return it.

        `load` reads the folder. Raises UsageError as long as there is no winner; ExportError for a
        path that holds anything but an older export; UnknownTrialError.
        """
        forecaster = self.forecaster(trial=trial, baseline=baseline)
        forecaster.save(path)
        return forecaster

    def forecaster(
        self, *, trial: int | None = None, baseline: str | None = None
    ) -> ExportedForecaster:
        """Return what `export` writes, without a folder."""
        from freerun.exported import ExportedForecaster
        from search.export.of_study import export_of

        if trial is not None:
            trial = whole_number("trial", trial)
        if baseline is not None:
            text("baseline", baseline, "ridge-ar")
        return ExportedForecaster(export_of(self._store, trial, baseline))

    def close(self) -> None:
        """Close the storage; a later use opens connections again."""
        self._storage.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _check_storage(url: str | None) -> None:
    if url is not None:
        text("storage", url, "sqlite:///freerun.db")


def _periods_of(url: str | None, name: str) -> tuple[float, ...]:
    """The periods that a stored study names for its table, none where it has none."""
    from search.cli.options import storage_at
    from search.study.study_file import read_stored_definition

    with storage_at(url) as opened:
        return read_stored_definition(opened.study(name).definition).series.period or ()
