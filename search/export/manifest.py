"""The manifest of an export folder: its format, its claims, and the checksums of its files."""

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from search.errors import ExportError
from search.export.content import Claim, Export, WeightsPurpose

# Format 1 held candidates and weights as version 0.1.0 wrote them, see `models.version_1`.
FORMAT: Literal[2] = 2
MANIFEST = "manifest.json"

# The manifest's own checksum, over all its other keys.
_CHECKSUM = "sha256"


class Manifest(BaseModel):
    """What manifest.json holds; files: SHA-256 by file name, of all other files."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    program: Literal["freerun"] = "freerun"
    format: Literal[1, 2] = FORMAT
    study: str
    trial: int = Field(ge=0)
    claim: Claim | None
    test: Claim | None
    weights_purpose: WeightsPurpose | None
    versions: Mapping[str, str]
    machine: Mapping[str, str]
    files: Mapping[str, str]

    @classmethod
    def of(cls, export: Export, files: Mapping[str, bytes]) -> Self:
        """The manifest of an export that is written as these files."""
        return cls(
            study=export.study,
            trial=export.trial,
            claim=export.claim,
            test=export.test,
            weights_purpose=export.weights_purpose,
            versions=export.versions,
            machine=export.machine,
            files={name: sha256(content).hexdigest() for name, content in sorted(files.items())},
        )

    def to_bytes(self) -> bytes:
        """The content of manifest.json."""
        plain = self.model_dump(mode="json")
        return (json.dumps(plain | {_CHECKSUM: _checksum(plain)}, indent=2) + "\n").encode()

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """Read manifest.json; ExportError where it is damaged, foreign or of another format."""
        try:
            found = json.loads(content)
        except ValueError as error:
            raise ExportError(f"{MANIFEST} is damaged: {error}; export again") from None
        if not isinstance(found, dict) or found.get("program") != "freerun":
            raise ExportError(f"{MANIFEST} is not one that freerun wrote; name another folder")
        version = found.get("format")
        if type(version) is not int or not 1 <= version <= FORMAT:
            raise ExportError(
                f"{MANIFEST} has the format {version!r}, but this version of freerun reads formats "
                f"up to {FORMAT}; update freerun, or export again"
            )
        if found.pop(_CHECKSUM, None) != _checksum(found):
            raise ExportError(f"{MANIFEST} is not as it was exported: {_CHANGED}; export again")
        try:
            return cls.model_validate_json(json.dumps(found))
        except ValidationError as error:
            raise ExportError(
                f"{MANIFEST} is damaged: {first_fault(error)}; export again"
            ) from None

    def check(self, name: str, content: bytes) -> None:
        """Raise ExportError unless a file has the content that it was written with."""
        if self.files.get(name) != sha256(content).hexdigest():
            raise ExportError(f"{name} is not as it was exported: {_CHANGED}; export again")


_CHANGED = f"its checksum differs from the one in {MANIFEST}"


def first_fault(error: ValidationError) -> str:
    """Return the first error that pydantic found: its key and its message."""
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"


def _checksum(plain: Mapping[str, Any]) -> str:
    canonical = json.dumps(plain, sort_keys=True, separators=(",", ":"))
    return sha256(canonical.encode()).hexdigest()
