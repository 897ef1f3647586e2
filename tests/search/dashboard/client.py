"""A browser's part of WSGI, within the test's own process."""

import gzip
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from search.dashboard.layers import App

HOST = "127.0.0.1:8080"


@dataclass(frozen=True)
class Answer:
    """A whole answer; header names in small letters."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.content)


class Client:
    """Asks an application, with the cookie that it was last given."""

    def __init__(self, app: App, address: str = "127.0.0.1") -> None:
        self.app = app
        self.address = address
        self.cookie = ""

    def get(self, target: str, **headers: str) -> Answer:
        return self.ask("GET", target, b"", headers)

    def post(self, target: str, content: bytes = b"{}", **headers: str) -> Answer:
        """From the dashboard's own page, unless the headers say otherwise."""
        return self.ask("POST", target, content, {"Origin": f"http://{HOST}", **headers})

    def ask(self, method: str, target: str, content: bytes, headers: Mapping[str, str]) -> Answer:
        path, _, query = target.partition("?")
        sent = {"Host": HOST, "Cookie": self.cookie, **headers}
        environ: dict[str, Any] = {
            "REQUEST_METHOD": method,
            "SCRIPT_NAME": "",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_LENGTH": str(len(content)),
            "CONTENT_TYPE": headers.get("Content-Type", "application/json"),
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": "8080",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": self.address,
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(content),
            "wsgi.errors": io.StringIO(),
            **{f"HTTP_{k.upper().replace('-', '_')}": v for k, v in sent.items()},
        }
        begun: list[Any] = []
        body = self.app(environ, lambda *said: begun.append(said))  # type: ignore[arg-type]
        try:
            received = b"".join(body)
        finally:
            # As a server does: a page is a file that stays open until then.
            if (close := getattr(body, "close", None)) is not None:
                close()
        names = {name.lower(): value for name, value in begun[0][1]}
        if "set-cookie" in names:
            self.cookie = names["set-cookie"].partition(";")[0]
        if names.get("content-encoding") == "gzip":
            received = gzip.decompress(received)
        return Answer(int(begun[0][0].split()[0]), names, received)
