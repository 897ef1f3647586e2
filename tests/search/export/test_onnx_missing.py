"""Without the package onnx, the remedy is said."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from search.errors import UsageError
from search.export.of_study import export_of
from search.export.onnx import onnx_model

if TYPE_CHECKING:
    from tests.search.invented import Invented


def test_the_remedy_is_to_install_the_extra(
    finished: Invented, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [own for own in sys.modules if own.startswith("search.export.onnx.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(UsageError, match=r"needs the package onnx.* pip install 'freerun\[onnx\]'"):
        onnx_model(export_of(finished.store))
