"""Records that tests and benchmarks make out of the tiny one."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from safetensors.numpy import save_file

from src.record.answers import read_answers, write_answers
from src.record.config import MetricsConfig
from src.record.files import load_yaml
from src.record.questions import read_questions, write_questions
from src.record.results import computed
from src.record.schemas import Task

REPO = Path(__file__).parent.parent
GUIDE = REPO / "docs/guides/your-own.md"

HOSTILE = (
    "<script>window.pwned = 1</script>",
    "</script><img src=x onerror=alert(1)>",
    "[x](javascript:alert(1)) ![i](http://evil.example/i.png) **b** `c`",
    "a | b | c\n# heading\n\n- item",
    "\u202egnp.exe\u2066 \u200bhidden",
    "nul\x00 escape\x1b[31m",
    "{{ 7*7 }} {% raw %}",
    '=HYPERLINK("http://evil.example")',
    "https://example.org www.example.org @everyone #1",
    "&lt;b&gt; &amp;#60;",
    "x" * 10_000,
)
"""What a model may write."""

CAUSAL = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": 8, "lora_alpha": 16, "target_modules": ["c_attn"]}

PROJECT = """\
title: A small translator
question: Does an adapter of rank 8 translate greetings better than its base model?
summary: An adapter that translates greetings from German.
experiment: configs/experiments/translation.yaml
version: 1.0.0
language: de
license: mit
license_name: MIT License
model_repo: translator-lora
dataset_repo: greetings
uses: {direct: Greetings., downstream: Other greetings., out_of_scope: Contracts.}
limitations: [Greetings only.]
risks: [A wrong greeting may offend.]
recommendations: [Have it read by somebody who knows the language.]
"""


def checkpoint(
    folder: Path, config: dict[str, Any], shapes: dict[str, tuple[int, ...]] | None = None, fill: float = 0
) -> Path:
    """Write an adapter, or a whole model if its config names no adapter, with tensors of these shapes."""
    names = ("adapter_config.json", "adapter_model") if "peft_type" in config else ("config.json", "model")
    folder.mkdir(parents=True)
    (folder / names[0]).write_text(json.dumps(config))
    weights = {
        name: np.full(shape, fill, np.float32) for name, shape in (shapes or {"x.lora_A.weight": (8, 4)}).items()
    }
    save_file(weights, folder / f"{names[1]}.safetensors")
    return folder


def blocks(language: str) -> list[str]:
    """Return the files of the guide's example in a language."""
    return re.findall(rf"```{language}\n(.*?)```", GUIDE.read_text(encoding="utf-8"), flags=re.DOTALL)


def example(root: Path) -> Path:
    """Make the project of the guide's example, with an adapter and sixty questions."""
    experiment, metrics, criteria, breakdowns = blocks("yaml")[:4]
    for path, text in {
        "configs/project.yaml": PROJECT,
        "configs/metrics.yaml": metrics.replace(
            "    measure: exact_match\n", f"    measure: exact_match\n{breakdowns}"
        ),
        "configs/criteria.yaml": criteria,
        "configs/experiments/translation.yaml": experiment,
        "results/translation/evaluation_results.json": blocks("json")[0],
        "CHANGELOG.md": "# Changelog\n\n## 1.0.0\n\n- First version.\n",
    }.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    shutil.copy(REPO / "LICENSE", root / "LICENSE")
    checkpoint(root / "checkpoints/translation", {"peft_type": "LORA", "r": 8, "lora_alpha": 16})
    with contextlib.chdir(root):
        exec(blocks("python")[0], {})
    asked, base, tuned = tables(root, "translation")
    many = [set_column(table.take([0] * 60), "id", [f"t-{i}" for i in range(60)]) for table in (asked, base, tuned)]
    rewrite(root, *many, name="translation")
    return root


def without_study(root: Path) -> None:
    """Make a project's record one run by itself, without claims about the others."""
    (root / "docs/fragments/finding.md.j2").unlink(missing_ok=True)
    path = root / "configs/project.yaml"
    path.write_text("".join(line for line in path.read_text().splitlines(True) if not line.startswith("study:")))


def edit_text(path: Path, *changes: tuple[str, str], to: Path | None = None) -> Path:
    """Replace parts of a text file, each of which must be in it, or write that to another file."""
    text = path.read_text()
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    (to or path).write_text(text)
    return to or path


def edit_json(path: Path, change: Callable[[dict[str, Any]], object], line: int | None = None) -> None:
    """Change what a JSON file holds, or lines of a JSONL file, by default each of them."""
    lines = [path.read_text()] if path.suffix == ".json" else path.read_text().splitlines()
    for i in range(len(lines)) if line is None else [line]:
        data = json.loads(lines[i])
        change(data)
        lines[i] = json.dumps(data)
    path.write_text("\n".join(lines) + "\n")


def describe_adapter(root: Path, config: dict[str, Any]) -> None:
    """Make the tiny project's checkpoint say something else of itself."""
    (root / "checkpoints/best_model/adapter_config.json").write_text(json.dumps(config))


def tables(root: Path, name: str = "tiny") -> tuple[pa.Table, pa.Table, pa.Table]:
    """Read the questions and both models' answers of a record as they are stored."""
    folder = root / "results" / name
    results = json.loads((folder / "evaluation_results.json").read_text())
    files = [results["questions"], results["answers"]["base"], results["answers"]["finetuned"]]
    return tuple(pq.read_table(folder / entry["file"]) for entry in files)  # type: ignore[return-value]


def set_column(table: pa.Table, name: str, values: list[Any]) -> pa.Table:
    """Replace or add a column of a table."""
    if name not in table.column_names:
        return table.append_column(name, pa.array(values))
    index = table.column_names.index(name)
    return table.set_column(index, name, pa.array(values, type=table.schema.field(name).type))


def rewrite(root: Path, questions: pa.Table, base: pa.Table, finetuned: pa.Table, name: str = "tiny") -> None:
    """Put other questions and answers into a record of one run, and the metrics that are computed from them."""
    without_study(root)
    folder = root / "results" / name
    results = json.loads((folder / "evaluation_results.json").read_text())
    names = questions["task"].to_pylist()
    results["tasks"] = {t: task | {"questions": names.count(t)} for t, task in results["tasks"].items() if t in names}
    tasks = {name: Task.model_validate(task) for name, task in results["tasks"].items()}
    results["questions"] = write_questions(folder / "questions.parquet", questions)
    asked = read_questions(folder / "questions.parquet")
    declared = load_yaml(root / "configs/metrics.yaml", MetricsConfig)
    for model, section, table in (("base", "base_model", base), ("finetuned", "finetuned_model", finetuned)):
        path = folder / results["answers"][model]["file"]
        results["answers"][model] = write_answers(path, table)
        given = read_answers(path, asked, tasks)
        others = {key: v for key, v in results[section]["metrics"].items() if key not in declared.metrics}
        results[section]["metrics"] = others | computed(declared, asked, given, tasks)
    (folder / "evaluation_results.json").write_text(json.dumps(results))


def hostile_answers(root: Path, texts: Sequence[str], **columns: Any) -> None:
    """Let one model answer each question with one of these texts and the other rightly, in turns; set columns of every question."""
    found = tables(root)
    rows = [table.to_pylist() for table in found]
    for at, (row, *both) in enumerate(zip(*rows, strict=True)):
        row.update(columns)
        both[at % 2].update(answer=texts[at % len(texts)], correct=False)
        both[1 - at % 2].update(answer=row["reference"], correct=True)
    changed = (pa.Table.from_pylist(new, schema=table.schema) for new, table in zip(rows, found, strict=True))
    rewrite(root, *changed)


def without_settings(root: Path) -> None:
    """Take out what the record itself says of the adapter."""
    path = root / "configs/experiments/tiny.yaml"
    stated = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump({key: value for key, value in stated.items() if key != "lora_config"}))
    edit_json(
        root / "results/tiny/evaluation_results.json",
        lambda data: data.update(config=None, hashes=None, training_log=None),
    )
    (root / "results/tiny/training_log.json").unlink()
    without_study(root)
