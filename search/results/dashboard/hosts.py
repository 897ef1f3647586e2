"""Only names that this dashboard is known by: a page of another name, whose address was changed to
ours (DNS rebinding), must not reach it through a visitor's browser."""

import ipaddress
import socket
from collections.abc import Collection
from http import HTTPStatus

from search.results.dashboard.wsgi import App, Body, Environ, Start, header, refusal

_ALWAYS = frozenset({"localhost"})


class HostCheck:
    """Answers 400 where the Host header is none of `names`.

    names: of hosts, without ports, which a proxy or a container may have changed. Loopback
    addresses are always known; any address is where `any_address`, since a browser that was asked
    for an address by number was not misled.
    """

    def __init__(self, app: App, names: Collection[str], *, any_address: bool) -> None:
        self._app = app
        self._names = _ALWAYS | {name.lower().rstrip(".") for name in names}
        self._any_address = any_address

    def __call__(self, environ: Environ, start: Start) -> Body:
        host = host_name(header(environ, "Host"))
        if self._is_known(host):
            return self._app(environ, start)
        reason = f"the dashboard is not known as {host!r}; --allow-host names it so"
        return refusal(start, HTTPStatus.BAD_REQUEST, reason)

    def _is_known(self, host: str) -> bool:
        if host in self._names:
            return True
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return False
        return address.is_loopback or self._any_address


def host_name(value: str) -> str:
    """The name or address in a Host header or an origin's authority, without its port."""
    value = value.strip().lower()
    if value.startswith("["):
        return value[1:].partition("]")[0]
    return value.partition(":")[0].rstrip(".")


def own_names(listening_on: str) -> set[str]:
    """Under which names a dashboard that listens there is reached, beside loopback."""
    if is_wildcard(listening_on):
        return {socket.gethostname()}
    return {listening_on}


def is_wildcard(host: str) -> bool:
    """Whether a host stands for all addresses of this machine."""
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def is_loopback(host: str) -> bool:
    """Whether a host is reached from this machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
