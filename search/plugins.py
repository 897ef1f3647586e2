"""Methods and sources of series that other distributions add, by the entry points of a group."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points

from models.methods import load_methods
from search.errors import FreerunError, UsageError

GROUP = "freerun.methods"


class PluginError(FreerunError):
    """A plug-in that is installed can't be imported, or declares something wrong."""


@dataclass(frozen=True)
class Plugin:
    """A distribution that adds methods or sources: its name and version."""

    distribution: str
    version: str


@cache
def load_plugins() -> Mapping[str, Plugin]:
    """Import what the entry points of all installed distributions name, once.

    An entry point names a module; importing it registers its methods. Returns the plug-ins by the
    modules that they name. Raises PluginError where one can't be imported.
    """
    load_methods()
    found: dict[str, Plugin] = {}
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.value):
        found[point.module] = _loaded(point)
    return found


def _loaded(point: EntryPoint) -> Plugin:
    distribution = point.dist
    name = "an unknown distribution" if distribution is None else distribution.name
    version = "" if distribution is None else distribution.version
    try:
        point.load()
    except Exception as error:
        raise PluginError(
            f"the plug-in {name} {version} can't be used: {point.value} raises "
            f"{type(error).__name__}: {error}; mend it, or uninstall {name}"
        ) from error
    return Plugin(name, version)


def plugins_of(used: Iterable[type[object]]) -> dict[str, str]:
    """The plug-ins, by distribution and version, whose modules define some classes."""
    found = {}
    for module, plugin in load_plugins().items():
        package = module.split(".")[0]
        if any(cls.__module__.split(".")[0] == package for cls in used):
            found[plugin.distribution] = plugin.version
    return dict(sorted(found.items()))


def check_plugins(needed: Mapping[str, str]) -> None:
    """Raise UsageError where one of some plug-ins (distribution: version) is not installed."""
    installed = {plugin.distribution for plugin in load_plugins().values()}
    for name, version in needed.items():
        if name not in installed:
            raise UsageError(
                f"this needs the plug-in {name} (version {version}), which is not installed here; "
                f"install it into the environment of freerun, for example by pip install {name}"
            )


def plugin_versions() -> dict[str, str]:
    """All plug-ins that are installed, by distribution and version."""
    return {plugin.distribution: plugin.version for plugin in load_plugins().values()}
