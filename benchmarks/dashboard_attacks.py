"""What strangers do to the dashboard's server, and what its users notice.

    python benchmarks/dashboard_attacks.py --logins 10000 --connections 3000

serves an empty database by `freerun dashboard`. A user who is logged in asks for the studies ten
times a second, on a new connection each time, while strangers at another address try passwords,
hold idle connections, and send headers and bodies byte by byte, one after the other. Prints a line
of JSON for each attack: what strangers got, how long the user's slowest answer took, what was not
answered by 200, and the server's memory. Linux only, for the second loopback address.
"""

import argparse
import json
import re
import resource
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from threading import Event, Thread
from urllib.parse import urlencode

from search.dashboard.credentials import Credentials
from search.storage.opening import open_storage

USER, STRANGER = "127.0.0.1", "127.0.0.2"
PASSWORD = "countess of lovelace"
PATIENCE_SECONDS = 60.0
AT_ONCE = 8
ROUNDS = 5


@dataclass
class Noticed:
    """What the user saw during an attack. others: answers but 200, and errors, by name."""

    answers: int = 0
    slowest_seconds: float = 0.0
    others: Counter[str] = field(default_factory=Counter)


def log_in(port: int, password: str, address: str = USER) -> tuple[int, str]:
    """Try a password; the status, and the session's cookie, "" where none was given."""
    connection = HTTPConnection("127.0.0.1", port, PATIENCE_SECONDS, source_address=(address, 0))
    try:
        return _log_in(connection, password)
    finally:
        connection.close()


def _log_in(connection: HTTPConnection, password: str) -> tuple[int, str]:
    content = urlencode({"user": "ada", "password": password})
    headers = {"Origin": f"http://127.0.0.1:{connection.port}"}
    connection.request("POST", "/login", content, headers)
    answer = connection.getresponse()
    answer.read()
    return answer.status, (answer.getheader("Set-Cookie") or "").partition(";")[0]


@contextmanager
def noticing(port: int, cookie: str) -> Iterator[Noticed]:
    """A user who asks for the studies while the block runs, and once more at its end."""
    noticed, ended = Noticed(), Event()

    def ask() -> None:
        began = time.monotonic()
        connection = HTTPConnection("127.0.0.1", port, PATIENCE_SECONDS, source_address=(USER, 0))
        try:
            connection.request("GET", "/api/studies", headers={"Cookie": cookie})
            status = connection.getresponse().status
        except (OSError, HTTPException) as error:
            noticed.others[type(error).__name__] += 1
        else:
            noticed.answers += status == 200
            if status != 200:
                noticed.others[str(status)] += 1
        finally:
            connection.close()
        noticed.slowest_seconds = max(noticed.slowest_seconds, time.monotonic() - began)

    def ask_again() -> None:
        while not ended.wait(0.1):
            ask()

    thread = Thread(target=ask_again)
    thread.start()
    try:
        yield noticed
    finally:
        ended.set()
        thread.join()
        ask()


def try_passwords(port: int, count: int) -> Counter[str]:
    """Wrong passwords over several connections; how often which status came."""
    statuses: Counter[str] = Counter()

    def try_some(share: int) -> None:
        connection = HTTPConnection(
            "127.0.0.1", port, PATIENCE_SECONDS, source_address=(STRANGER, 0)
        )
        for number in range(share):
            status, _ = _log_in(connection, f"wrong {number}")
            statuses[str(status)] += 1
        connection.close()

    threads = [Thread(target=try_some, args=(count // AT_ONCE,)) for _ in range(AT_ONCE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return statuses


def hold_idle(port: int, count: int) -> Counter[str]:
    """Connections that say nothing; how many the server keeps."""
    return _hold(port, count, b"", b"")


def send_slow_headers(port: int, count: int) -> Counter[str]:
    """Headers that come byte by byte and never end."""
    return _hold(port, count, b"GET / HTTP/1.1\r\nX-Padding: ", b"x")


def send_slow_bodies(port: int, count: int) -> Counter[str]:
    """Forms that come byte by byte and never end."""
    head = b"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 4000\r\n\r\n"
    return _hold(port, count, head, b"x")


def _hold(port: int, count: int, first: bytes, again: bytes) -> Counter[str]:
    with ExitStack() as stack:
        held = [
            stack.enter_context(
                socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS, (STRANGER, 0))
            )
            for _ in range(count)
        ]
        open_ones = [one for one in held if _sent(one, first)]
        for _ in range(ROUNDS):
            time.sleep(0.5)
            open_ones = [one for one in open_ones if _sent(one, again)]
        kept = sum(_is_open(one) for one in held)
    return Counter({"kept": kept, "closed": count - kept})


def _sent(connection: socket.socket, content: bytes) -> bool:
    try:
        connection.sendall(content)
    except OSError:
        return False
    return True


def _is_open(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return connection.recv(1) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


ATTACKS: dict[str, Callable[[int, int], Counter[str]]] = {
    "passwords": try_passwords,
    "idle": hold_idle,
    "slow headers": send_slow_headers,
    "slow bodies": send_slow_bodies,
}


@contextmanager
def _server(folder: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    command = [sys.executable, "-m", "search", "dashboard", "--port", "0"]
    (folder / "login").write_text(Credentials.of("ada", PASSWORD).to_line())
    storage = f"sqlite:///{folder}/empty.db"
    open_storage(storage, create=True).close()
    process = subprocess.Popen(
        [*command, "--login-file", str(folder / "login"), "--storage", storage],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        said = ""
        for line in process.stderr:
            said += line
            if found := re.search(r"http://127\.0\.0\.1:([0-9]+)", line):
                yield process, int(found[1])
                return
        raise RuntimeError(f"the dashboard did not start: {said}")
    finally:
        process.kill()
        process.communicate()


def memory_mib(process_id: int) -> float:
    """Resident memory of a process."""
    pages = int(Path(f"/proc/{process_id}/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def main() -> None:
    """Read the options, and attack."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--logins", type=int, default=10_000)
    parser.add_argument("--connections", type=int, default=3000)
    options = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = options.connections + 200
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, wanted), hard))
    with tempfile.TemporaryDirectory() as folder, _server(Path(folder)) as (process, port):
        status, cookie = log_in(port, PASSWORD)
        assert status == 303, status
        for name, attack in ATTACKS.items():
            count = options.logins if name == "passwords" else options.connections
            began = time.monotonic()
            with noticing(port, cookie) as noticed:
                got = attack(port, count)
            seconds = time.monotonic() - began
            again, _ = log_in(port, PASSWORD)
            figures = {
                **{"attack": name, "count": count, "seconds": round(seconds, 1), "got": got},
                **{"user": asdict(noticed), "login": again},
                "server_mib": round(memory_mib(process.pid)),
            }
            sys.stdout.write(json.dumps(figures) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
