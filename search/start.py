"""Where the command starts: what is installed comes before what lies around.

Python looks for a module in the folder of a script or the working folder, and on PYTHONPATH, before
it looks among its own modules and what is installed. So a file `random.py` beside a study would be
imported instead of Python's. This runs before anything else is imported; therefore it uses nothing
but what every interpreter has imported by then or built in, and is run as a file, too.
"""

import gc
import os
import sys

# Containers that are made before the first look for garbage: about as many as imports of PyTorch,
# Numba, SQLAlchemy and Matplotlib make, and keep.
IMPORTED_CONTAINERS = 400_000


def installed_first() -> None:
    """Reorder where modules are looked for: this package's home, what is installed, PYTHONPATH.

    The folder of the script and the working folder are left out, unless PYTHONPATH names them.
    """
    home = _place(os.path.join(os.path.dirname(__file__), os.pardir))  # noqa: PTH118, PTH120
    asked = [_place(e) for e in os.environ.get("PYTHONPATH", "").split(os.pathsep) if e]
    around = {*asked, _place(""), _place(os.path.dirname(sys.argv[0]))}  # noqa: PTH120
    places = [_place(entry) for entry in sys.path]
    first = [home] if home in around or home not in places else []
    installed = [place for place in places if place not in around]
    # Only reached for what is installed nowhere else.
    last = [place for place in asked if place != home]
    sys.path[:] = list(dict.fromkeys([*first, *installed, *last]))


def look_for_garbage_later() -> None:
    """Let the collector wait until imports are through, and then do what it does elsewhere.

    It would go through what was imported again and again, for a sixth of the time of all imports.
    At the first look what is there stays out of all further ones.
    """
    usual = gc.get_threshold()

    def end(phase: str, _info: dict[str, int]) -> None:
        if phase == "stop":
            gc.callbacks.remove(end)
            gc.freeze()
            gc.set_threshold(*usual)

    gc.callbacks.append(end)
    gc.set_threshold(IMPORTED_CONTAINERS, *usual[1:])


def _place(entry: str) -> str:
    try:
        return os.path.realpath(entry or os.getcwd())  # noqa: PTH109
    except OSError:  # the working folder was deleted
        return entry


def main() -> None:
    """Run the command line."""
    installed_first()
    look_for_garbage_later()
    from search.cli import main as run

    run()


if __name__ == "__main__":
    main()
