"""Names and texts that come from outside: what they may be, and how messages show them."""

from search.errors import UsageError

_MOST_SHOWN = 200
# As PostgreSQL and file systems have it; the longest name of a study is 100.
MOST_CHARACTERS = 512


def cut(text: str, most: int = _MOST_SHOWN) -> str:
    """A text as a message shows it: on one line, printable and of a bounded length.

    Bytes that are no UTF-8 and control signs, which could steer a terminal, become escapes.
    """
    clean = "".join(sign if sign.isprintable() else _escaped(sign) for sign in text[: most + 1])
    return clean if len(clean) <= most else f"{clean[:most]}..."


def check_name(text: str, what: str) -> str:
    """Return a name that a database can hold; raises UsageError for any other.

    what: of what it is the name, in the message.
    """
    if len(text) > MOST_CHARACTERS:
        raise UsageError(
            f"{what} must have at most {MOST_CHARACTERS} characters, but {cut(text, 40)!r} has "
            f"{len(text)}; give a shorter one"
        )
    if not is_text(text):
        raise UsageError(
            f"{what} must be UTF-8 text without null bytes, but got '{cut(text)}'; give another one"
        )
    return text


def is_text(text: str) -> bool:
    """Whether a text is one that UTF-8 can hold, without null bytes."""
    try:
        text.encode()
    except UnicodeEncodeError:  # arguments of other bytes hold surrogates
        return False
    return "\0" not in text


def _escaped(sign: str) -> str:
    return sign.encode("unicode_escape", "surrogatepass").decode()
