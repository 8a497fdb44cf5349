"""The notebook in the model's repository: it loads the models, asks them, reads the dataset, and draws the results."""

from __future__ import annotations

import base64
import inspect
import io
import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

from src.cache import cached
from src.record.answers import MAX_ANSWER
from src.record.files import sha256_file

from .context import Context
from .demo import Demo
from .renderer import Renderer

PATH = "notebooks/try-it.ipynb"
"""Where it lies in the model's repository."""


def draw(results: dict[str, Any]) -> Any:
    """Draw every metric of both models, from evaluation_results.json."""
    from matplotlib.figure import Figure

    models = {"base": results["base_model"]["metrics"], "fine-tuned": results["finetuned_model"]["metrics"]}
    names = list(models["base"])[::-1]
    figure = Figure(figsize=(8, 0.32 * len(names) + 1), layout="constrained")
    axes = figure.add_subplot()
    for shift, (label, metrics) in zip((0.2, -0.2), models.items(), strict=True):
        places = [i + shift for i in range(len(names))]
        axes.barh(places, [metrics[name] for name in names], height=0.4, label=label)
    axes.set_yticks(range(len(names)), [name.replace("_", " ") for name in names])
    axes.legend(loc="lower right")
    return figure


def notebook(context: Context, demo: Demo) -> str:
    """Write the notebook with its outputs, which are those on record; the chart is drawn by the code that it shows.

    Args:
        context: What is published.
        demo: The questions that can be asked.

    Returns:
        JSON in the notebook format 4.5.
    """
    renderer = Renderer(context, "hub")
    split = next((split for split in context.record.splits if split.name == "test"), None)
    code = {
        name: renderer.render(
            f"notebook/{name}.md",
            split=split,
            source=inspect.getsource(draw),
            questions=_questions(demo),
            most_letters=MAX_ANSWER,
        )
        for name in ("intro", "load", "ask", "questions", "dataset", "chart")
    }
    said = "".join(_said(row) for row in _first(demo))
    cells = [
        _text("intro", code["intro"]),
        _code("load", code["load"], 1),
        _code("ask", code["ask"], 2),
        _code("questions", code["questions"], 3, _stream(said)),
    ]
    if split is not None:
        columns = ", ".join(sorted(split.columns))
        cells.append(_code("dataset", code["dataset"], 4, _stream(f"{split.rows} rows: {columns}\n")))
    cells.append(_code("chart", code["chart"], len(cells), _picture(context)))
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    data = {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(data, indent=1, ensure_ascii=False) + "\n"


def _first(demo: Demo) -> list[dict[str, Any]]:
    """Return the first question of each kind."""
    return list({row["task"]: row for row in reversed(demo.examples)}.values())[::-1]


def _questions(demo: Demo) -> str:
    """Write the questions as Python: prompt, candidates and right answer."""
    candidates = {question.task: question.candidates for question in demo.questions.values()}
    rows = [(row["prompt"], candidates[row["task"]], row["reference"]) for row in _first(demo)]
    return "[\n" + "".join(f"    {row!r},\n" for row in rows) + "]"


def _said(row: dict[str, Any]) -> str:
    return f"{row['question']} base: {row['base_answer']}, fine-tuned: {row['finetuned_answer']}, right: {row['reference']}\n"


def _picture(context: Context) -> dict[str, Any]:
    results = context.record.results

    def picture() -> bytes:
        out = io.BytesIO()
        draw(results.model_dump(mode="json")).savefig(out, format="png", dpi=80, metadata={"Software": None})
        return out.getvalue()

    key = (version("matplotlib"), sha256_file(Path(__file__)), results.model_dump_json())
    data = {
        "image/png": base64.b64encode(cached(context.cache, "notebook.png", key, picture)).decode(),
        "text/plain": ["<IPython.core.display.Image object>"],
    }
    return {"output_type": "display_data", "data": data, "metadata": {}}


def _stream(text: str) -> dict[str, Any]:
    return {"output_type": "stream", "name": "stdout", "text": text.splitlines(True)}


def _text(name: str, source: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "id": name, "metadata": {}, "source": source.splitlines(True)}


def _code(name: str, source: str, count: int, *outputs: dict[str, Any]) -> dict[str, Any]:
    return {
        "cell_type": "code",
        "id": name,
        "metadata": {},
        "execution_count": count,
        "source": source.splitlines(True),
        "outputs": list(outputs),
    }
