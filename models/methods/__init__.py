"""How a method declares itself: its settings, when it applies, what it can do, words for people.

A method is anything that a study can search: a cell, a closed form, a loss, a way of forcing, a
norm, a noise, an augmentation. Each is one class in one file, derived from the base of its kind.
The search space, cohorts, seeds, ablations, costs, wording and tables of the documentation are
derived from these declarations.
"""

from models.methods.condition import Above as Above
from models.methods.condition import AllOf as AllOf
from models.methods.condition import AnyOf as AnyOf
from models.methods.condition import Condition as Condition
from models.methods.condition import Is as Is
from models.methods.condition import IsNot as IsNot
from models.methods.condition import Selects as Selects
from models.methods.method import Method as Method
from models.methods.method import MethodSet as MethodSet
from models.methods.method import Selector as Selector
from models.methods.registry import load_methods as load_methods
from models.methods.registry import method_named as method_named
from models.methods.registry import methods as methods
from models.methods.setting import Ablation as Ablation
from models.methods.setting import Setting as Setting
from models.methods.setting import Stage as Stage
from models.methods.setting import choice as choice
from models.methods.setting import flag as flag
from models.methods.setting import setting as setting
from models.methods.values import Choices as Choices
from models.methods.values import Domain as Domain
from models.methods.values import Flag as Flag
from models.methods.values import FloatRange as FloatRange
from models.methods.values import IntRange as IntRange
from models.methods.values import Names as Names
from models.methods.values import Real as Real
from models.methods.values import Scalar as Scalar
from models.methods.values import SettingError as SettingError
from models.methods.values import Values as Values
from models.methods.values import Whole as Whole
from models.methods.values import counted as counted
from models.methods.values import either as either
from models.methods.values import largest as largest
from models.methods.values import nearest as nearest
from models.methods.values import shown as shown
from models.methods.values import smallest as smallest
