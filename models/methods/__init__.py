"""How a method declares itself: its settings, when it applies, what it can do, words for people.

A method is anything that a study can search: a cell, a closed form, a loss, a way of forcing, a
norm, a noise, an augmentation. Each is one class in one file, derived from the base of its kind.
The search space, cohorts, seeds, ablations, costs, wording and tables of the documentation are
derived from these declarations.
"""

from models.methods.condition import Above, AllOf, AnyOf, Condition, Is, IsNot, Selects
from models.methods.method import Method, MethodSet, Selector
from models.methods.registry import load_methods, method_named, methods
from models.methods.setting import Ablation, Setting, Stage, choice, flag, setting
from models.methods.values import (
    Choices,
    Domain,
    Flag,
    FloatRange,
    IntRange,
    Names,
    Real,
    Scalar,
    SettingError,
    Values,
    Whole,
    largest,
    smallest,
)
from models.methods.words import counted, either, nearest, shown

__all__ = [
    "Ablation",
    "Above",
    "AllOf",
    "AnyOf",
    "Choices",
    "Condition",
    "Domain",
    "Flag",
    "FloatRange",
    "IntRange",
    "Is",
    "IsNot",
    "Method",
    "MethodSet",
    "Names",
    "Real",
    "Scalar",
    "Selector",
    "Selects",
    "Setting",
    "SettingError",
    "Stage",
    "Values",
    "Whole",
    "choice",
    "counted",
    "either",
    "flag",
    "largest",
    "load_methods",
    "method_named",
    "methods",
    "nearest",
    "setting",
    "shown",
    "smallest",
]
