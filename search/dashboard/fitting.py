"""A guard before optuna-dashboard: what it would answer with 500 though the request is at fault.

It takes for granted that studies and trials are there, and that bodies are what its pages send.
"""

import binascii
import io
import math
import re
from base64 import b64decode
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs

from optuna.storages import BaseStorage

from search.dashboard.layers import Environ, Refused, header, method, path
from search.files import read_json
from search.names import MOST_CHARACTERS, is_text

# Databases hold ids in 32 bits.
_LARGEST_ID = 2**31 - 1
_STUDY = re.compile(r"/(?:api/studies|api/artifacts|artifacts|csv)/(-?[0-9]+)(?=/|\Z)")
_TRIAL = re.compile(
    r"/api/trials/(-?[0-9]+)(?=/|\Z)|/api/artifacts/-?[0-9]+/(-?[0-9]+)(?=/|\Z)"
    r"|/api/studies/-?[0-9]+/(-?[0-9]+)(?=/|\Z)|/artifacts/-?[0-9]+/(-?[0-9]+)(?=/)"
)
_OF_UNFINISHED = re.compile(r"/api/trials/[0-9]+/(tell|user-attrs)")


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MOST_CHARACTERS and is_text(value)


def _is_whole(value: Any) -> bool:
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return is_number and abs(value) <= _LARGEST_ID


def _is_finite(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and abs(value) < 1e308 and math.isfinite(value)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and is_text(value)


def _is_upload(value: Any) -> bool:
    """A data URL, as browsers make it of a file."""
    if not isinstance(value, str) or not value.startswith("data:"):
        return False
    try:
        b64decode(value.partition(";base64,")[2], validate=True)
    except (binascii.Error, ValueError):
        return False
    return ";base64," in value


def _each(is_right: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda values: isinstance(values, list) and all(map(is_right, values))


def _are_attributes(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_is_name, value))


_KEYS: Mapping[str, Callable[[Any], bool]] = {
    "study_name": _is_name,
    "directions": _each(_is_text),
    "version": _is_whole,
    "body": _is_text,
    "state": _is_text,
    "values": _each(_is_finite),
    "user_attrs": _are_attributes,
    "mode": _is_text,
    "candidates": _each(_is_whole),
    "clicked": _is_whole,
    "output_type": _is_text,
    "artifact_key": lambda value: value is None or _is_text(value),
    "file": _is_upload,
    "filename": _is_text,
}


def unfit(environ: Environ, storage: BaseStorage) -> Refused | None:
    """Refuse what names a study or trial that is not there, or has a body of another kind."""
    # It is read, whether it was sent or not.
    environ.setdefault("HTTP_ACCEPT_ENCODING", header(environ, "Accept-Encoding"))
    return _unknown(environ, storage) or _unreadable(environ)


def _unknown(environ: Environ, storage: BaseStorage) -> Refused | None:
    where = path(environ)
    study, trial = _STUDY.match(where), _TRIAL.match(where)
    if study is not None and not _is_there(storage.get_study_name_from_id, study[1]):
        return HTTPStatus.NOT_FOUND, "there is no such study"
    if trial is None:
        return None
    number = next(filter(None, trial.groups()))
    if not _is_there(storage.get_trial, number):
        return HTTPStatus.NOT_FOUND, "there is no such trial"
    if _OF_UNFINISHED.fullmatch(where) and storage.get_trial(int(number)).state.is_finished():
        return HTTPStatus.CONFLICT, "the trial has finished, and stays as it is"
    return None


def _is_there(look: Callable[[int], object], number: str) -> bool:
    if len(number) > len(str(_LARGEST_ID)) or int(number) > _LARGEST_ID:
        return False
    try:
        look(int(number))
    except KeyError:
        return False
    return True


def _is_place(text: str) -> bool:
    """Whether a text is the number of a trial."""
    return text.isascii() and text.isdecimal() and len(text) < len(str(_LARGEST_ID))


def _unreadable(environ: Environ) -> Refused | None:
    # optuna-dashboard reads the last of several, also an empty one.
    query = parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True)
    if not all(_is_place(after) for after in query.get("after", ())):
        return HTTPStatus.BAD_REQUEST, "after must be the number of a trial"
    if method(environ) not in ("POST", "PUT", "DELETE") or not path(environ).startswith("/api/"):
        return None
    content = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["wsgi.input"] = io.BytesIO(content)
    if method(environ) == "DELETE" and not content:
        return None
    try:
        body = read_json(content or b"{}")
    except ValueError as error:
        return HTTPStatus.BAD_REQUEST, f"a body must be JSON: {error}"
    kind = str(environ.get("CONTENT_TYPE", "")).partition(";")[0].strip().lower()
    if not isinstance(body, dict) or (content and kind != "application/json"):
        return HTTPStatus.BAD_REQUEST, "a body must be an object, sent as application/json"
    environ["CONTENT_TYPE"] = "application/json"  # optuna-dashboard takes it for none with a space
    if not content:  # its pages send none where nothing has to be said
        environ["CONTENT_LENGTH"], environ["wsgi.input"] = "2", io.BytesIO(b"{}")
    wrong = [key for key, value in body.items() if key in _KEYS and not _KEYS[key](value)]
    if wrong:
        return HTTPStatus.BAD_REQUEST, f"{wrong[0]} has a value of another kind"
    return None
