"""What holds of every method that is declared, whoever declares it."""

import subprocess
import sys
from pathlib import Path

import pytest

from models.methods import Choices, Condition, Method, Names, Setting, methods
from models.methods.condition import Above, AllOf, AnyOf, Has, Is, IsNot, Selects
from models.methods.method import Core
from models.methods.registry import selector_values, selectors
from models.network.cells.cell import Cell, Layer
from search.study.space import read_domain
from search.study.space.ablation import components

ROOT = Path(__file__).parents[3]
METHODS = list(methods())
SETTINGS = [(method, own) for method in METHODS for own in method.settings]


def names_in(condition: Condition) -> set[str]:
    match condition:
        case Is() | IsNot() | Above():
            return {condition.name}
        case Selects():
            return {condition.selector}
        case AnyOf() | AllOf() | Has():
            return set().union(*(names_in(part) for part in condition.conditions))
    raise AssertionError(f"a condition that this test does not know: {condition}")


def test_there_are_methods_of_each_kind() -> None:
    kinds = {method.kind for method in METHODS}
    assert kinds >= {"cell", "closed form", "loss", "forcing", "norm", "noise", "augmentation"}
    assert kinds >= {"optimiser", "baseline", "context", "weight average"}


@pytest.mark.parametrize("method", METHODS, ids=lambda m: f"{m.kind}-{m.name}")
def test_a_method_has_words_for_people(method: type[Method]) -> None:
    assert method.name == method.name.strip() != ""
    assert method.label
    assert method.kind
    assert len(method.description()) > 10
    assert method.description().endswith(".")
    assert isinstance(method.source, str)


@pytest.mark.parametrize("method", METHODS, ids=lambda m: f"{m.kind}-{m.name}")
def test_a_method_of_candidates_can_be_reached(method: type[Method]) -> None:
    """It has settings, or a selector names it; its conditions rest on settings that exist."""
    if not method.is_of_candidates:
        assert method.selector is None
        assert method.settings == ()
        return
    assert method.settings or method.selector
    known = {own.name for _, own in SETTINGS} | selectors().keys()
    assert names_in(method.presence()) <= known
    if method.selector is not None:
        offered = selector_values(method.selector).names
        assert (method.name in offered) == method.is_searchable
        assert method.selector.description.endswith(".")


@pytest.mark.parametrize(("method", "own"), SETTINGS, ids=lambda part: part.name)
def test_a_setting_says_what_it_is_and_stays_within_its_bounds(
    method: type[Method], own: Setting
) -> None:
    assert own.description.endswith(".")
    plain = own.default.to_plain()
    read = read_domain(own.name, plain, own.values)
    assert read == own.default
    assert repr(read.to_plain()) == repr(plain)  # a default of 1 for 1.0 would change hashes
    if own.neutral is not None:
        kept = own.values.check(own.name, own.neutral)
        assert (kept, type(kept)) == (own.neutral, type(own.neutral))
    else:
        assert own.searched, "what must have a value has to be searched"
    if own.shared:
        assert isinstance(own.default, Choices), "cohorts form of candidates that agree"
    assert names_in(own.when) <= {other.name for _, other in SETTINGS} | selectors().keys()


@pytest.mark.parametrize(
    ("method", "own"),
    [(m, own) for m, own in SETTINGS if isinstance(own.values, Names)],
    ids=lambda part: part.name,
)
def test_names_that_are_searched_are_known(method: type[Method], own: Setting) -> None:
    assert isinstance(own.values, Names)
    assert isinstance(own.default, Choices)
    assert set(own.default.values) <= set(own.values.names)


def test_ablations_have_names_of_their_own_and_values_within_bounds() -> None:
    declared = [own.ablation for _, own in SETTINGS if own.ablation]
    assert all(ablation.instead for ablation in declared)
    by_name = {own.name: own.values for _, own in SETTINGS}
    by_name |= {name: selector_values(selector) for name, selector in selectors().items()}
    found = components()
    for component in found.values():
        for name, value in component.values.items():
            by_name[name].check(name, value)
    named = {(own.name, own.ablation.name) for _, own in SETTINGS if own.ablation}
    chosen = [s for s in selectors().values() if s.ablation or s.none is not None]
    assert len(found) == len(named) + len(chosen)


def test_sizes_and_numbers_of_a_method_are_no_components() -> None:
    numbers = {"reflections", "cornn step", "lem step", "forcing midpoint", "growth weight"}
    assert not components().keys() & numbers
    assert {"layer norm", "forcing", "growth penalty", "weight average"} <= components().keys()


@pytest.mark.parametrize(
    "core", [m for m in METHODS if issubclass(m, Core)], ids=lambda core: core.name
)
def test_a_core_says_what_it_can_do_without_contradiction(core: type[Core]) -> None:
    assert core.is_trained == issubclass(core, Cell)
    assert core.is_nonlinear == (core.is_trained and not core.is_linear)
    assert core.is_recurrent == (core.is_trained and not core.reads_whole_window)
    if issubclass(core, Cell):
        assert issubclass(core.layer, Layer)
        assert core.is_random
        assert core.gates >= 1
        assert core.is_warmed_up == core.is_recurrent
    else:
        assert not core.runs_on_state


def test_methods_and_study_files_are_read_without_torch() -> None:
    """Reading what a study file may say should not take the seconds that torch needs to start."""
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "import models.methods, search.study.space\n"
        "from search.study.study_file import read_study_file\n"
        "assert len(models.methods.methods()) > 40\n"
        "assert search.study.space.parameters()\n"
        "for path in sorted(Path('studies').glob('*.toml')):\n"
        "    read_study_file(path)\n"
        "loaded = {'torch', 'optuna'} & sys.modules.keys()\n"
        "assert not loaded, loaded\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, timeout=300)
