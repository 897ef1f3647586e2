"""The manifest of an export folder: its format, its claims, and the checksums of its files."""

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from search.errors import ExportError
from search.results.export.content import Claim, Export, WeightsPurpose

FORMAT: Literal[1] = 1
MANIFEST = "manifest.json"


class Manifest(BaseModel):
    """What manifest.json holds; files: SHA-256 by file name, of all other files."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    program: Literal["freerun"] = "freerun"
    format: Literal[1] = FORMAT
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
        return (self.model_dump_json(indent=2) + "\n").encode()

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """Read manifest.json; ExportError where it is damaged, foreign or of another format."""
        try:
            found = json.loads(content)
        except ValueError as error:
            raise ExportError(f"{MANIFEST} is damaged: {error}; export again") from None
        if not isinstance(found, dict) or found.get("program") != "freerun":
            raise ExportError(f"{MANIFEST} is not one that freerun wrote; name another folder")
        if found.get("format") != FORMAT:
            raise ExportError(
                f"the export has format {found.get('format')!r}, but this version of freerun reads "
                f"format {FORMAT}; update freerun, or export again"
            )
        try:
            return cls.model_validate_json(content)
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(map(str, first["loc"]))
            raise ExportError(f"{MANIFEST} is damaged: {key}: {first['msg']}; export again") from None

    def check(self, name: str, content: bytes) -> None:
        """Raise ExportError unless a file has the content that it was written with."""
        if self.files.get(name) != sha256(content).hexdigest():
            raise ExportError(
                f"{name} is not as it was exported: its checksum differs from the one in "
                f"{MANIFEST}; export again"
            )
