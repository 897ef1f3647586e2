"""Notebooks as pages: their text, and their code as blocks."""

import json
from pathlib import Path


def notebook_page(path: Path) -> str:
    """A notebook (nbformat 4) as Markdown, without outputs."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    parts = []
    for cell in notebook["cells"]:
        text = "".join(cell["source"]).strip("\n")
        parts.append(text if cell["cell_type"] == "markdown" else f"```python\n{text}\n```")
    return "\n\n".join(parts) + "\n"
