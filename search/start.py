"""Where the command starts: what is installed comes before what lies around.

Python looks for a module in the folder of a script or the working folder, and on PYTHONPATH, before
it looks among its own modules and what is installed. So a file `random.py` beside a study would be
imported instead of Python's. This runs before anything else is imported; therefore it uses nothing
but what every interpreter has imported by then, and is run as a file, too.
"""

import os
import sys


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


def _place(entry: str) -> str:
    try:
        return os.path.realpath(entry or os.getcwd())  # noqa: PTH109
    except OSError:  # the working folder was deleted
        return entry


def main() -> None:
    """Run the command line."""
    installed_first()
    from search.cli import main as run

    run()


if __name__ == "__main__":
    main()
