"""The collector of garbage while a command starts, in an interpreter of its own."""

import json
import subprocess
import sys
from typing import Any

CODE = """
import gc, json, weakref
from search.start import IMPORTED_CONTAINERS, look_for_garbage_later

class Node:
    pass

def cycle():
    node = Node()
    node.itself = node
    return weakref.ref(node)

def looks():
    return sum(own["collections"] for own in gc.get_stats())

gc.collect()
usual, callbacks, before = gc.get_threshold(), list(gc.callbacks), looks()
look_for_garbage_later()
early = cycle()
imported = [[] for _ in range(IMPORTED_CONTAINERS - 2000)]
meanwhile = looks() - before, early() is None
imported += [[] for _ in range(3000)]
after = gc.get_threshold() == usual, gc.callbacks == callbacks, early() is None
kept, first = gc.get_freeze_count(), looks()
late, more = cycle(), [[] for _ in range(usual[0] * 3)]
print(json.dumps([meanwhile, after, kept > IMPORTED_CONTAINERS, looks() > first, late() is None]))
"""


def said(code: str) -> Any:
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    return json.loads(ended.stdout)


def test_garbage_waits_for_imports_and_is_collected_as_usual_afterwards() -> None:
    assert said(CODE) == [[0, False], [True, True, True], True, True, True]
