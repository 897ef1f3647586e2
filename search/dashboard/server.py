"""The HTTP server: waitress, with bounds on what strangers can make it hold, and for how long.

waitress closes connections that say nothing. It waits for ever for requests that come byte by byte
and for readers that stop reading, and refuses everybody while it has as many connections as it may.
"""

import re
import resource
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from heapq import nsmallest
from ipaddress import ip_address
from typing import Any, cast

from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.server import TcpWSGIServer
from waitress.task import ErrorTask

from search.dashboard.headers import OF_ERRORS
from search.dashboard.layers import App

# A page asks for the study, its artifacts and its plots at the same time.
THREADS = 8
MOST_CONNECTIONS = 2000
BACKLOG = 1024  # connections that the system holds until they are accepted
# For a whole request; for the next one on the same connection; for a reader to read on.
REQUEST_SECONDS, IDLE_SECONDS, READER_SECONDS = 60, 60, 60
MOST_HEADER_BYTES = 16 * 2**10
# A login's form, or what the page asks to be changed; artifacts are uploaded by who is logged in.
MOST_BODY_BYTES, MOST_FILE_BYTES = 64 * 2**10, 16 * 2**20

# waitress also takes addresses of proxies, and needs seconds for some of them. It leaves out tabs,
# after which a path could begin with the name of a host.
_FIRST_LINE = re.compile(rb"[!-~]+ /[!-~]*(?: HTTP/1\.[01])?")
# It needs a second for 16 KiB of blanks before a header's value, which may go on in the next lines.
_MANY_BLANKS = re.compile(rb":[ \t]{100}|\r\n[ \t]")
_LOOK_SECONDS = 5
_ACCEPTED_AT_ONCE = 64
# Databases, artifacts and long answers need some, too.
_OTHER_DESCRIPTORS, _WANTED_DESCRIPTORS, _FEWEST_CONNECTIONS = 200, 4096, 20


class _Bounds(Adjustments):
    """waitress's settings, and those for a request that may upload a file.

    may_upload: asked with a request's Cookie header.
    """

    def __init__(self, may_upload: Callable[[str], bool], proxy: str | None) -> None:
        super().__init__(**_settings(proxy, MOST_BODY_BYTES))
        self.may_upload = may_upload
        self.of_files = Adjustments(**_settings(proxy, MOST_FILE_BYTES))

    def of(self, cookies: str) -> Adjustments:
        """The settings for a long request with these cookies."""
        return self.of_files if self.may_upload(cookies) else self


def _ends_in_address(forwarded: str) -> bool:
    """Whether the last hop is an address; waitress fails at some of the others."""
    hop = forwarded.rpartition(",")[2].strip(' \t"')
    for text in (hop, hop.rpartition(":")[0]):
        with suppress(ValueError):
            ip_address(text.removeprefix("[").removesuffix("]"))
            return True
    return False


class _Request(HTTPRequestParser):
    def received(self, data: bytes) -> int:
        consumed: int = super().received(data)
        if self.completed:
            # waitress would ask for a body that does not come, and take the next request for it.
            self.expect_continue = False
        return consumed

    def parse_header(self, header_plus: bytes) -> None:
        if not _FIRST_LINE.fullmatch(header_plus.partition(b"\r\n")[0].rstrip()):
            raise ParsingError("the first line must be a method, a path and a version")
        if _MANY_BLANKS.search(header_plus):
            raise ParsingError("a header must be one line, without many blanks before its value")
        try:
            super().parse_header(header_plus)
        except ValueError as error:  # of more digits than Python takes for a number
            raise ParsingError("the length is no number") from error
        # Who else reads the connection, such as a proxy, could see another end of the last chunk.
        if self.chunked or "TRANSFER_ENCODING" in self.headers:
            raise ParsingError(
                "a request must state its length, as browsers do, and have no chunks"
            )
        forwarded = self.headers.get("X_FORWARDED_FOR")
        if self.adj.trusted_proxy and forwarded is not None and not _ends_in_address(forwarded):
            raise ParsingError("X-Forwarded-For must end in an address, with or without a port")
        is_long = self.content_length >= MOST_BODY_BYTES
        bounds = self.adj
        if is_long and isinstance(bounds, _Bounds):
            self.adj = bounds.of(self.headers.get("COOKIE", ""))


class _OwnAnswer(ErrorTask):
    """What the server answers to what is no request, and where the application fails."""

    def execute(self) -> None:
        self.response_headers = [*self.response_headers, *OF_ERRORS]
        super().execute()


class _Channel(HTTPChannel):
    """A connection that knows since when it is being waited for."""

    parser_class = _Request
    error_task_class = _OwnAnswer
    _began = 0.0

    def readable(self) -> bool:
        # One that was closed just now is still asked; its number may already be another's.
        return self.connected and super().readable()

    def writable(self) -> bool:
        return self.connected and bool(super().writable())

    def received(self, data: bytes) -> bool:
        if self.request is None:
            self._began = time.time()
        return super().received(data)

    @property
    def waits_since(self) -> float:
        """When the request began that is being received, or when anything came or went last."""
        return self.last_activity if self.request is None else self._began

    def is_overdue(self, now: float) -> bool:
        if self.total_outbufs_len:
            return now - self.last_activity > READER_SECONDS
        if self.requests:
            return False
        allowed = IDLE_SECONDS if self.request is None else REQUEST_SECONDS
        return now - self.waits_since > allowed


class BoundedServer(TcpWSGIServer):
    """Serves an application on a listening socket.

    Beyond `MOST_CONNECTIONS` those are closed that have been waited for longest.

    may_upload: says by a request's Cookie header whether its body may be as long as a file. proxy:
    the address of a reverse proxy whose X-Forwarded-For and X-Forwarded-Proto are believed.
    watched: what its loop looks after, by descriptor.
    """

    channel_class = _Channel

    def __init__(
        self,
        app: App,
        listening: socket.socket,
        *,
        may_upload: Callable[[str], bool],
        proxy: str | None = None,
    ) -> None:
        self._most = min(MOST_CONNECTIONS, _descriptors() - _OTHER_DESCRIPTORS)
        self._most = max(self._most, _FEWEST_CONNECTIONS)
        self.watched: dict[int, Any] = {}
        super().__init__(
            app,
            map=self.watched,
            _sock=listening,
            adj=_Bounds(may_upload, proxy),
            sockinfo=(listening.family, listening.type, listening.proto, listening.getsockname()),
            bind_socket=False,
        )

    def readable(self) -> bool:
        """Called before each wait: the time to close connections, as no event of theirs is due."""
        excess = len(self._channels) - self._most
        if excess > 0:
            idle = [channel for channel in self._channels.values() if not channel.requests]
            for channel in nsmallest(excess, idle, key=lambda channel: channel.waits_since):
                channel.handle_close()
        return super().readable()

    def handle_accept(self) -> None:
        """Accept those who wait; one at a time would let others fill the queue."""
        for _ in range(_ACCEPTED_AT_ONCE):
            before = len(self._channels)
            super().handle_accept()
            if len(self._channels) == before:
                return

    def maintenance(self, now: float) -> None:
        """Close what takes too long. waitress would wait until it can write there."""
        for channel in list(self._channels.values()):
            if channel.is_overdue(now):
                channel.handle_close()

    @property
    def _channels(self) -> dict[int, _Channel]:
        return cast("dict[int, _Channel]", self.active_channels)


def _settings(proxy: str | None, most_body_bytes: int) -> dict[str, object]:
    trusted: dict[str, object] = {}
    if proxy is not None:
        trusted = {
            "trusted_proxy": proxy,
            "trusted_proxy_headers": "x-forwarded-for x-forwarded-proto",
        }
    return {
        **trusted,
        "threads": THREADS,
        "ident": "freerun",
        "backlog": BACKLOG,
        "connection_limit": 2 * MOST_CONNECTIONS,  # ours comes first, and refuses nobody
        "channel_timeout": IDLE_SECONDS,
        "cleanup_interval": _LOOK_SECONDS,
        "asyncore_use_poll": True,  # select knows 1,024 descriptors only
        "log_socket_errors": False,  # readers that go away are no errors
        "max_request_header_size": MOST_HEADER_BYTES,
        "max_request_body_size": most_body_bytes,
    }


def _descriptors() -> int:
    """How many files and sockets this process may have open, after asking for enough."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return _WANTED_DESCRIPTORS
    is_free = hard == resource.RLIM_INFINITY
    wanted = _WANTED_DESCRIPTORS if is_free else min(_WANTED_DESCRIPTORS, hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return max(soft, wanted)
