"""Methods and sources of series that other distributions add, by the entry points of a group."""

from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points

from models.methods import load_methods, methods
from models.methods.registry import is_added, selectors
from search.errors import FreerunError, UsageError

GROUP = "freerun.methods"
# The parameter that names a trial's preset, in studies that have presets.
PRESET = "preset"


class PluginError(FreerunError):
    """A plug-in that is installed can't be imported, or declares something wrong."""


@cache
def load_plugins() -> Mapping[str, tuple[str, str]]:
    """Import what the entry points of all installed distributions name, once.

    An entry point names a module; importing it registers its methods. Returns the distributions,
    by name and version, of the modules. Raises PluginError where one can't be imported, or breaks
    a rule for methods of plug-ins.
    """
    load_methods()
    points = sorted(entry_points(group=GROUP), key=lambda point: point.value)
    return {point.module: _loaded(point) for point in points}


def _loaded(point: EntryPoint) -> tuple[str, str]:
    distribution = point.dist
    name = "an unknown distribution" if distribution is None else distribution.name
    version = "" if distribution is None else distribution.version
    try:
        point.load()
        _check_methods()
    except Exception as error:
        raise PluginError(
            f"the plug-in {name} {version} can't be used: {point.value} raises "
            f"{type(error).__name__}: {error}; mend it, or uninstall {name}"
        ) from error
    return name, version


def _check_methods() -> None:
    """Raise ValueError where a method of a plug-in could break spaces that do not name it."""
    taken = [PRESET, *selectors()]
    for method in filter(is_added, methods()):
        for own in method.settings:
            if own.name in taken:
                raise ValueError(
                    f"a setting must not have the name of a parameter that selects a method or a "
                    f"preset ({', '.join(taken)}), but {method.name} has {own.name!r}"
                )
            if own.neutral is None and (method.selector is None or not own.searched):
                raise ValueError(
                    f"a setting must have a neutral value, or be a searched one of a method that a "
                    f"selector names, but {own.name} of {method.name} has none; give it neutral"
                )
        if method.selector and method.selector.none is None and not method.is_open:
            raise ValueError(f"the selector {method.selector.name} must say none; give it a word")
        for name in ("is_nonlinear_part", "needs_loop"):
            if any(is_added(base) and name in vars(base) for base in method.__mro__):
                raise ValueError(
                    f"a method must leave {name} as it is, but {method.name} overrides it; give "
                    "its settings nonlinear or loops"
                )


def plugins_of(used: Iterable[type[object]]) -> dict[str, str]:
    """The plug-ins, by distribution and version, whose modules define some classes."""
    packages = {cls.__module__.split(".")[0] for cls in used}
    loaded = load_plugins().items()
    return dict(sorted(of for module, of in loaded if module.split(".")[0] in packages))


def check_plugins(needed: Mapping[str, str]) -> None:
    """Raise UsageError where one of some plug-ins (distribution: version) is not installed."""
    for name, version in needed.items():
        if name not in plugin_versions():
            raise UsageError(
                f"this needs the plug-in {name} (version {version}), which is not installed here; "
                f"install it into the environment of freerun, for example by pip install {name}"
            )


def plugin_versions() -> dict[str, str]:
    """All plug-ins that are installed, by distribution and version."""
    return dict(load_plugins().values())
