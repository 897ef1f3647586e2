"""Lay out example free runs of a study with their verdicts on one sheet, to compare with the eye.

    python benchmarks/verdict_sheet.py report -o sheet.png

takes complete trials at random, as evenly from all verdicts as there are.
"""

import argparse
import io
from collections import defaultdict
from pathlib import Path

import numpy as np
from optuna.trial import TrialState
from PIL import Image

from search.plotting.artifacts import ROLLOUT
from search.records import TrialRecord
from search.storage.opening import open_storage
from search.storage.study_store import StudyReader

WIDTH, HEIGHT, COLUMNS = 540, 228, 5


def main() -> None:
    """Draw the sheet."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("study", help="name of a study")
    parser.add_argument("--storage", default="sqlite:///freerun.db", help="where it is")
    parser.add_argument("--examples", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", type=Path, default=Path("verdicts.png"))
    arguments = parser.parse_args()
    with open_storage(arguments.storage, create=False) as storage:
        pictures = examples(storage.study(arguments.study), arguments.examples, arguments.seed)
    rows = -(-len(pictures) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * WIDTH, max(rows, 1) * HEIGHT), "white")
    for i, content in enumerate(pictures):
        with Image.open(io.BytesIO(content)) as picture:
            small = picture.convert("RGB").resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)
        sheet.paste(small, (i % COLUMNS * WIDTH, i // COLUMNS * HEIGHT))
    sheet.save(arguments.output)
    print(f"{len(pictures)} free runs: {arguments.output}")


def examples(study: StudyReader, number: int, seed: int) -> list[bytes]:
    """Pictures of complete trials, taken in turn from each verdict, grouped by it."""
    by_verdict: dict[str, list[int]] = defaultdict(list)
    for trial in study.frozen_trials():
        if trial.state == TrialState.COMPLETE:
            record = TrialRecord.from_attributes(trial.user_attrs)
            by_verdict[str(record.shown_verdict)].append(trial._trial_id)
    generator = np.random.Generator(np.random.PCG64(seed))
    shuffled = {verdict: generator.permutation(ids) for verdict, ids in by_verdict.items()}
    chosen: list[tuple[str, int]] = []
    for turn in range(max(map(len, shuffled.values()), default=0)):
        chosen += [
            (verdict, int(ids[turn])) for verdict, ids in shuffled.items() if turn < len(ids)
        ]
        if len(chosen) >= number:
            break
    return [
        artifact.content
        for _, trial_id in sorted(chosen[:number])
        for artifact in study.artifacts(trial_id)
        if artifact.filename == ROLLOUT
    ]


if __name__ == "__main__":
    main()
