"""Real processes for benchmarks, forked from one that has imported everything: importing torch and
Optuna anew would take longer than what is measured. Nothing may be open when they are started."""

import gc
import json
import os
import sys
import traceback
from collections.abc import Callable
from typing import Any


def fork(work: Callable[[], object]) -> int:
    """Start a process that does the work and ends: with 0, or with 1 if it raised."""
    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        work()
        code = 0
    finally:
        try:
            if code:
                traceback.print_exc()
        finally:
            # At once: freeing what was imported would copy all of it for each process.
            os._exit(code)


def together(number: int, work: Callable[[int], Any]) -> list[Any]:
    """Return work(0), work(1), ..., done by processes that are let go at the same moment.

    The results are JSON values, in the order in which they came. Raises RuntimeError where one of
    the processes did not end well.
    """
    gc.freeze()
    gate_read, gate_write = os.pipe()
    answer_read, answer_write = os.pipe()

    def wait_and_work(index: int) -> None:
        os.close(gate_write)
        os.read(gate_read, 1)
        # One write, so that lines of several processes don't mix.
        os.write(answer_write, (json.dumps(work(index)) + "\n").encode())

    children = [fork(lambda index=index: wait_and_work(index)) for index in range(number)]  # type: ignore[misc]
    for end in (gate_read, gate_write, answer_write):
        os.close(end)
    with os.fdopen(answer_read) as answers:
        found = [json.loads(line) for line in answers]
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    if any(codes):
        raise RuntimeError(f"processes must end with 0, but ended with {codes}")
    return found
