"""The base of every section of a study file."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A frozen section of a study file, checked once when it is made.

    Strict: "5" is not 5, true is not 1; a whole number is accepted where a real one is wanted.
    Unknown keys, NaN and infinity are refused.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class SectionError(ValueError):
    """A rule between several keys of a section is broken.

    key: the dotted key, below the section, that the message is about. rule: what the message says
    behind the key, with the value and the remedy.
    """

    def __init__(self, key: str, rule: str) -> None:
        super().__init__(f"{key} {rule}")
        self.key = key
        self.rule = rule
