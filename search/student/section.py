"""The section of a report on studies of presets: questions, each with sentences and figures."""

import io
from collections.abc import Sequence

from PIL import Image

from search.analysis.importances import importances
from search.analysis.study_results import StudyResults
from search.analysis.wording import counted, shown_score
from search.files import template
from search.report.figures import Picture, Plot, data_url
from search.report.page import Block, Section
from search.student import plots, sentences
from search.student.findings import Attempt, ExampleRun, margin, study_findings

_PACKAGE = "search.student"
# Pictures of examples within the page: half of what a trial keeps, since there are many.
_EXAMPLE_PIXELS = (600, 253)


def report_sections(studies: Sequence[StudyResults]) -> list[Section]:
    """Return the section on those of the studies that have presets; none if none has.

    The first of them is the report's own series; one without noise beside it is compared with it.
    """
    read = (study_findings(results) for results in studies)
    found = [findings for findings in read if findings is not None]
    if not found:
        return []
    noisy = next((f for f in found if f.noise_std != 0), found[0])
    clean = next((f for f in found if f is not noisy and f.noise_std == 0), None)
    rows = importances(noisy.results.trials, noisy.results.definition)
    table = template(_PACKAGE, "attempts.html").render(
        found=found, picture=_picture, margin=margin, shown_score=shown_score
    )
    blocks = [
        _block(
            "Did any of the attempts work?",
            sentences.did_they_work(noisy),
            *map(plots.scores, found),
            *map(plots.verdicts, found),
            html=table,
        ),
        _block(
            "What could they have reached?", sentences.what_was_possible(noisy), plots.limits(noisy)
        ),
        _block(
            "Why did the one-step forecast look good?",
            sentences.why_one_step_looks_good(noisy),
            plots.one_step(noisy),
        ),
        _block(
            "What does a free run do with its error?",
            sentences.what_becomes_of_an_error(noisy),
            plots.sensitivity(noisy),
        ),
        _block(
            "What does the winner do differently?",
            sentences.what_the_winner_needs(noisy.effects),
            plots.components(noisy.effects),
        ),
        _block(
            "What do the report's own cells need?",
            sentences.what_the_cells_need(noisy),
            *(
                plots.components(a.effects, f"The best {a.name}", f"components-{a.name}")
                for a in noisy.attempts
            ),
        ),
        _block("Which parameters decide?", sentences.what_decides(rows), plots.parameters(rows)),
        _block("And without noise?", sentences.without_noise(noisy, clean)),
        _block("The report's own series, phase 0", sentences.replayed(noisy), *plots.replay(noisy)),
    ]
    return [
        Section(
            anchor="attempts",
            title="The report's attempts, and the answer",
            headline=sentences.headline(noisy),
            blocks=[block for block in blocks if block.sentences or block.plots],
            style=template(_PACKAGE, "attempts.css").render(),
        )
    ]


def _block(question: str, said: Sequence[str], *drawn: Plot | None, html: str = "") -> Block:
    return Block(question, said, [plot for plot in drawn if plot is not None], html)


def _picture(attempt: Attempt, example: ExampleRun) -> Picture:
    with Image.open(io.BytesIO(example.picture)) as picture:
        small = picture.convert("RGB").resize(_EXAMPLE_PIXELS, Image.Resampling.LANCZOS)
    content = io.BytesIO()
    small.quantize(16, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).save(
        content, "PNG", optimize=True
    )
    number, score = example.middle.number, shown_score(example.middle.score)
    return Picture(
        title=f"{example.verdict} ({counted(example.trials, 'trial')})",
        caption=f"Trial {number}, score {score}: the middle one.",
        alternative=f"Free run of trial {number} of {attempt.name}, verdict "
        f"{example.verdict}, score {score}.",
        url=data_url(content.getvalue()),
    )
