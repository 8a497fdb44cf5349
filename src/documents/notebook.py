"""The notebook in the model's repository: a template's fenced code as cells, with the outputs that are on record."""

from __future__ import annotations

import json
import re
from typing import Any

from src.record.answers import MAX_ANSWER

from .context import Context
from .demo import Demo
from .renderer import Renderer

PATH = "notebooks/try-it.ipynb"
"""Its path in the model's repository."""

_CODE = re.compile(r"^```python\n(.*?)^```$", flags=re.DOTALL | re.MULTILINE)


def notebook(context: Context, demo: Demo) -> str:
    """Write the notebook, in the notebook format 4.5."""
    asked = _questions(demo)
    split = next((split for split in context.record.splits if split.name == "test"), None)
    written = "[\n" + "".join(f"    {(row['prompt'], row['reference'])!r},\n" for row in asked) + "]"
    more = {"questions": written, "split": split, "most_letters": MAX_ANSWER}
    parts = _CODE.split(Renderer(context, "hub").render("documents/notebook.md", **more))
    answers = "".join(
        f"{row['question']} base: {row['base_answer']}, fine-tuned: {row['finetuned_answer']}, right: {row['reference']}\n"
        for row in asked
    )
    outputs = ["", answers]
    if split is not None:
        outputs.append(f"{split.rows} rows: {', '.join(sorted(split.columns))}\n")
    cells: list[dict[str, Any]] = [_cell("markdown", "about", parts[0])]
    for number, (source, output) in enumerate(zip(parts[1::2], outputs, strict=True), 1):
        printed = [{"output_type": "stream", "name": "stdout", "text": output.splitlines(True)}] if output else []
        cells.append(_cell("code", f"cell-{number}", source) | {"execution_count": number, "outputs": printed})
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    data = {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(data, indent=1, ensure_ascii=False) + "\n"


def _cell(kind: str, name: str, source: str) -> dict[str, Any]:
    return {"cell_type": kind, "id": name, "metadata": {}, "source": source.strip().splitlines(True)}


def _questions(demo: Demo) -> list[dict[str, Any]]:
    """Return the first question of each kind whose answer is a letter or a number."""
    tasks = {question.task for question in demo.questions.values() if question.candidates}
    return list({row["task"]: row for row in reversed(demo.examples) if row["task"] in tasks}.values())[::-1]
