"""Methods and sources of series that other distributions add, by the entry points of a group."""

from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points

from models.methods import load_methods, methods
from models.methods.registry import selectors
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
    by name and version, of the modules. Raises PluginError where one can't be imported, or has a
    setting with the name of what selects a method or a preset.
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
        _check_setting_names()
    except Exception as error:
        raise PluginError(
            f"the plug-in {name} {version} can't be used: {point.value} raises "
            f"{type(error).__name__}: {error}; mend it, or uninstall {name}"
        ) from error
    return name, version


def _check_setting_names() -> None:
    taken = [PRESET, *selectors()]
    for method in methods():
        for own in method.settings:
            if own.name in taken:
                raise ValueError(
                    f"a setting must not have the name of a parameter that selects a method or a "
                    f"preset ({', '.join(taken)}), but {method.name} has {own.name!r}"
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
