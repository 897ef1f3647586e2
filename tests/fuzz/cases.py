"""What is tried, by kind: each case follows from the kind, a seed and a number."""

import hashlib
import json
import os
import random
import shutil
import zlib
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from random import Random
from tempfile import mkdtemp

from tests.fuzz.mutating import TOKENS, VALUES, changed_bytes, changed_json
from tests.search.cli.conftest import REPOSITORY, STUDIES, table_study_file

# It stands where passwords do, and may be in no message.
SECRET = "Hunter2Secret"

Command = tuple[list[str], Mapping[str, str]]  # arguments, changes of the environment
Case = Callable[[Random, Path], Command]

EXPORTS = REPOSITORY / "tests" / "data" / "0.1.0"
_COMMANDS: Mapping[str, tuple[str, ...]] = {
    "check": ("--presets", "--json"),
    "limit": ("--samples", "--json"),
    "methods": ("--json",),
    "list": ("--storage", "--json"),
    "status": ("--storage", "--every", "--json"),
    "stop": ("--storage", "--json"),
    "sweep": ("--storage",),
    "delete": ("--storage", "--yes"),
    "upgrade": ("--storage", "--dry-run"),
    "report": ("-o", "--storage"),
    "export": ("-o", "--trial", "--baseline"),
    "retrain": ("-o", "--series", "--hold-out", "--device"),
    "forecast": ("-o", "--series", "--horizon"),
    "run": ("--trials", "--minutes", "--storage", "--fork", "--device"),
}


def case_random(kind: str, seed: int, number: int) -> Random:
    """The generator of one case, whatever ran before."""
    return random.Random(f"{kind} {seed} {number}")


def study(random: Random, folder: Path) -> Command:
    """A study file with changes."""
    sources = [path for path in STUDIES.glob("*.toml") if "methods" not in path.name]
    content = random.choice(sorted(sources)).read_bytes()
    (folder / "study.toml").write_bytes(changed_bytes(random, content))
    return _reading(random, "study.toml"), {}


def table(random: Random, folder: Path) -> Command:
    """A study of a table whose rows are changed, as CSV or as Parquet."""
    path, rows = table_study_file(folder), folder / "spots.csv"
    if random.random() < 0.3:
        import polars

        polars.read_csv(rows).write_parquet(folder / "spots.parquet")
        path.write_text(path.read_text().replace("spots.csv", "spots.parquet"))
        rows = folder / "spots.parquet"
    rows.write_bytes(changed_bytes(random, rows.read_bytes()))
    return _reading(random, path.name), {}


def _reading(random: Random, name: str) -> list[str]:
    """A command that reads a study file; most create the study alone, since others compute."""
    if random.random() < 0.9:
        return ["run", name, "--workers", "0", "--storage", "sqlite:///new.db", *_json(random)]
    return [random.choice(("check", "check", "limit")), name, *_json(random)]


@cache
def _exports() -> list[Path]:
    """Small exports, made once: of this version, and of version 0.1.0."""
    from search.export import write_export
    from tests.search.invented import SINE, YEARS, made_up_export, years_table

    home = Path(mkdtemp(prefix="freerun-exports-"))
    for raw, rows in ((SINE, None), (YEARS, years_table())):
        write_export(made_up_export(raw, rows), home / str(raw["name"]))
    return [home / "waves", home / "years", *sorted(EXPORTS.glob("export-*"))]


def export(random: Random, folder: Path) -> Command:
    """An export of which a file is changed, and the manifest says that it should be so."""
    copy = folder / "export"
    shutil.copytree(random.choice(_exports()), copy)
    name = random.choice(sorted(path.name for path in copy.iterdir()))
    path, content = copy / name, (copy / name).read_bytes()
    if name.endswith(".json"):
        changed = random.choice((changed_json, changed_json, changed_bytes))(random, content)
    elif name == "data":
        changed = zlib.compress(changed_bytes(random, zlib.decompress(content)))
    elif name.endswith(".safetensors") and random.random() < 0.7:
        changed = _changed_header(random, content)
    else:
        changed = changed_bytes(random, content)
    path.write_bytes(changed)
    if random.random() < 0.9:
        seal(copy, name)
    (folder / "series.csv").write_text("year,spots\n" + _years(random))
    arguments = ["export", "--series", "series.csv", "--horizon", str(random.choice((1, 5, 40)))]
    return ["forecast", *arguments, "-o", "forecast.csv"], {}


def _years(random: Random) -> str:
    rows = random.choice((0, 3, 150, 150))
    return "".join(f"{1900 + row},{(row * 37) % 11}\n" for row in range(rows))


def _changed_header(random: Random, content: bytes) -> bytes:
    """Weights whose description is changed, with the checksum that fits where one can be made."""
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    described = json.loads(changed_json(random, header["__metadata__"]["freerun"].encode()))
    header["__metadata__"]["freerun"] = json.dumps(described)
    raw = json.dumps(header).encode()
    return len(raw).to_bytes(8, "little") + raw + content[8 + length :]


def seal(folder: Path, name: str) -> None:
    """Let the manifest say that a file is as it was exported, as far as it still is a manifest."""
    path = folder / "manifest.json"
    try:
        manifest = json.loads(path.read_bytes())
        if name != path.name:
            manifest["files"][name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        manifest.pop("sha256", None)
        canonical = json.dumps(manifest, sort_keys=True, separators=(",", ":"))
        checksum = hashlib.sha256(canonical.encode()).hexdigest()
        path.write_text(json.dumps({**manifest, "sha256": checksum}))
    except (ValueError, KeyError, TypeError, AttributeError):
        return


def arguments(random: Random, folder: Path) -> Command:
    """A command with options and values that may mean anything, in a folder with some files."""
    table_study_file(folder)
    (folder / "loop").symlink_to("loop")
    (folder / "zero").symlink_to("/dev/zero")
    os.mkfifo(folder / "pipe.toml")
    command = random.choice(sorted(_COMMANDS))
    words = [command]
    for _ in range(random.randint(0, 4)):
        if random.random() < 0.5:
            words.append(random.choice(_COMMANDS[command]))
        words.append(_word(random))
    if command == "run":  # creates, and ends before any worker
        words += ["--workers", "0"]
    return words, {}


def _word(random: Random) -> str:
    if random.random() < 0.4:
        return random.choice(
            (
                *("spots.toml", "spots.csv", "loop", "zero", "pipe.toml", ".", "/", "out"),
                *("~nobody-known/x", "loop/x", "spots.csv/x", "x" * 300, "smoke", "meta"),
                "sqlite:///new.db",
            )
        )
    if random.random() < 0.5:
        return str(random.choice(VALUES)).replace("\0", "")
    return random.choice(TOKENS).decode(errors="surrogateescape").replace("\0", "")


_URLS = (
    f"postgresql://ann:{SECRET}@127.0.0.1:1/db?sslmode=prefer",
    f"postgresql://ann:p@{SECRET}@127.0.0.1:1/db",
    f"postgresql://127.0.0.1:1/db?password={SECRET}",
    f"postgresql://ann@127.0.0.1:1/db?options=-c%20x={SECRET}",
    f"postgres://:{SECRET}@[::1]:1/",
    f"mysql://ann:{SECRET}@host/db",
    f"ann:{SECRET}@host/db",
    f"sqlite://ann:{SECRET}@host/x.db",
    f"host=127.0.0.1 port=1 password={SECRET}",
    "sqlite:///x.db?timeout=abc",
)


def url(random: Random, folder: Path) -> Command:
    """A storage's URL with changes, but for the secret in it."""
    before, secret, after = random.choice(_URLS).partition(SECRET)
    part = random.randrange(3)
    if part != 0:
        after = _signs(random, after)
    if part != 1:
        # What says that a secret follows stays as it is.
        last = max(before.rfind(":"), before.rfind("="), before.rfind("@"))
        place = random.randint(0, max(before.find("//") + 2, 0))
        before = before[:place] + random.choice(("", "", "x", "%00", "é")) + before[place:]
        assert last < len(before)
    return ["list"], {"FREERUN_STORAGE": (before + secret + after).replace("\0", "") or "x"}


def _signs(random: Random, text: str) -> str:
    place = random.randint(0, len(text))
    sign = random.choice("@:/?#[]&=%\\ \n\t'\"é;") * random.choice((1, 1, 2, 1500))
    return text[:place] + sign + text[place:]


def _json(random: Random) -> list[str]:
    return ["--json"] if random.random() < 0.3 else []


COMMAND_KINDS: Mapping[str, Case] = {
    "study": study,
    "table": table,
    "export": export,
    "arguments": arguments,
    "url": url,
}
