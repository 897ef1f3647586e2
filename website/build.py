"""Build the documentation site, strictly: a warning is an error.

    python -m website.build        # or: make site

The pages keep their places in the repository, so that their links are right here and on the site:
`docs/`, the guides beside the code, and `reference/`, which is made from the code.
"""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from website.commands import commands_page
from website.methods import methods_page
from website.navigation import GENERATED, Entry, navigation, quoted
from website.notebooks import notebook_page
from website.python_api import python_page
from website.study_file import study_file_page

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "build" / "site"
_BESIDE_DOCS = (
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "examples/plugin/README.md",
    "studies/README.md",
    "benchmarks/README.md",
)
_HOME = "website/index.md"
_STYLE = "tables.css"


def pages() -> dict[str, str]:
    """The text of all pages by their paths on the site, the generated ones included."""
    docs = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md"))
    found = {path: (ROOT / path).read_text(encoding="utf-8") for path in (*docs, *_BESIDE_DOCS)}
    found["index.md"] = (ROOT / _HOME).read_text(encoding="utf-8")
    for notebook in sorted((ROOT / "examples" / "notebooks").glob("*.ipynb")):
        found[str(notebook.relative_to(ROOT).with_suffix(".md"))] = notebook_page(notebook)
    generated = {
        "study-file": study_file_page(),
        "methods": methods_page(),
        "commands": commands_page(),
        "python": python_page(),
    }
    return found | {f"{GENERATED}/{name}.md": text for name, text in generated.items() if text}


def stage(folder: Path) -> Path:
    """Write pages, pictures and the configuration into a folder; return the configuration."""
    shutil.rmtree(folder, ignore_errors=True)
    found = pages()
    for path, text in found.items():
        place = folder / "pages" / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")
    shutil.copytree(ROOT / "docs" / "pictures", folder / "pages" / "docs" / "pictures")
    shutil.copy(ROOT / "website" / _STYLE, folder / "pages" / _STYLE)
    configuration = folder / "zensical.toml"
    configuration.write_text(_settings(navigation(found)), encoding="utf-8")
    return configuration


def _settings(sections: Sequence[Entry]) -> str:
    """The builder's settings, with what the repository's file leaves open."""
    text = (ROOT / "website" / "zensical.toml").read_text(encoding="utf-8")
    nav = ",\n    ".join(section.to_toml() for section in sections)
    for there, here in (("nav = []", f"nav = [\n    {nav},\n]"), ('"CHECKOUT"', quoted(str(ROOT)))):
        assert text.count(there) == 1, there
        text = text.replace(there, here)
    return text


def main() -> int:
    """Stage the pages and build the site; return what the builder returned."""
    command = [sys.executable, "-m", "zensical", "build", "--strict", "--clean", "--config-file"]
    return subprocess.run([*command, stage(FOLDER)], cwd=FOLDER, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
