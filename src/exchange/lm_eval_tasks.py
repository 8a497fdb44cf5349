"""The record's questions as tasks of lm-evaluation-harness, with the very prompts of the record."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import yaml

from src.record.load import Record

FOLDER = "lm_eval"
"""Folder of the tasks, in the dataset's repository and among the site's downloads."""

SHARED = "_dataset_yaml"
"""File that all tasks include: where the questions are. Its name ends so that lm-evaluation-harness takes it for no task."""

NEEDED = ("id", "question", "answer")
"""Columns of the dataset that a task is made from."""


@dataclass(frozen=True)
class HarnessTask:
    """One task.

    Attributes:
        name: Its name for lm-evaluation-harness.
        task: Its name in the record, and of the dataset's config.
        config: Its YAML, as data.
    """

    name: str
    task: str
    config: dict[str, Any]


def group_name(record: Record) -> str:
    """Return the name under which all tasks are run."""
    return re.sub(r"\W", "_", record.project.dataset_repo)


WRITTEN = r"^\s+|\.?\s*$"
"""What is taken out of a written answer before it is compared: spaces around it and a period at its end."""


def harness_tasks(record: Record) -> tuple[list[HarnessTask], dict[str, str]]:
    """Make a task of each of the record's tasks whose prompts follow from the dataset.

    Returns:
        The tasks; and for each task of the record that is none, why.
    """
    tasks, left_out = [], {}
    for name in record.results.tasks:
        made = _task(record, name)
        if isinstance(made, str):
            left_out[name] = made
        else:
            tasks.append(made)
    return tasks, left_out


def harness_files(record: Record, dataset: str | None, base: str | None) -> dict[str, bytes]:
    """Write the tasks as a folder that `lm_eval run --include_path` reads.

    Returns:
        Content by path; empty where no task can be made.
    """
    tasks, left_out = harness_tasks(record)
    if not tasks:
        return {}
    if dataset is not None and "/" not in dataset:
        dataset = None  # without a namespace it is not on the Hub yet
    shared = {"dataset_path": dataset or Path(record.experiment.dataset_config.path).as_posix()}
    files = {SHARED: _yaml(shared), "README.md": _readme(record, tasks, left_out, dataset, base).encode()}
    files |= {f"{task.task}.yaml": _yaml(task.config) for task in tasks}
    files["_group.yaml"] = _yaml({"group": group_name(record), "task": [task.name for task in tasks]})
    return {f"{FOLDER}/{name}": content for name, content in sorted(files.items())}


def _task(record: Record, name: str) -> HarnessTask | str:
    """Make one task, or say why it cannot be made."""
    path = record.data / name / "test.parquet"
    settings = record.results.tasks[name]
    asked = record.answered(next(iter(record.runs)), name)
    if asked is None:
        return "the record has no answers"
    if not path.is_file() or not set(NEEDED) <= set(pq.read_schema(path).names):
        return "the dataset has no questions for it"
    table = pq.ParquetFile(path).read(list(NEEDED))
    if asked["id"].to_pylist() != table["id"].to_pylist():
        return "its questions are not those of the dataset"
    written = record.experiment.evaluation_config.for_task(name).example_format
    questions = [written.replace("{question}", question) for question in table["question"].to_pylist()]
    if [settings.prefix + question for question in questions] != asked.prompts():
        return "its prompts are not those of the dataset"
    config: dict[str, Any] = {
        "include": SHARED,
        "task": f"{group_name(record)}_{name}",
        "dataset_name": name,
        "test_split": "test",
        "num_fewshot": 0,
        "description": _literal(settings.prefix),
        "doc_to_text": "{{question}}".join(_literal(part) for part in written.split("{question}")),
        "doc_to_target": "{{answer}}",
        "target_delimiter": " ",
    }
    answers, references = table["answer"].to_pylist(), asked["reference"].to_pylist()
    if settings.candidates is not None and not asked.has("chosen"):
        if answers != references or not _same_by_index(settings.candidates, answers):
            return "its answers are not among the candidates"
        config |= {
            "output_type": "multiple_choice",
            "doc_to_choice": settings.candidates,
            "metric_list": [_metric("acc")],
        }
    else:
        ignored = WRITTEN if settings.candidates else record.project.ignored_in_answers.get(name)
        if ignored is not None:
            answers = [re.sub(ignored, "", answer).lower() for answer in answers]
        if answers != references:
            return "its right answers are not those of the dataset"
        more = {} if ignored is None else {"regexes_to_ignore": [ignored], "ignore_case": True}
        tokens = record.experiment.evaluation_config.max_new_tokens
        config |= {
            "output_type": "generate_until",
            "generation_kwargs": {"until": ["\n"], "do_sample": False, "max_gen_toks": tokens},
            "metric_list": [_metric("exact_match") | more],
        }
    config["metadata"] = {"version": record.project.version}
    return HarnessTask(config["task"], name, config)


def _same_by_index(candidates: list[str], answers: list[str]) -> bool:
    """Tell whether each answer is a candidate, and the same one if it is read as an index, as it is where it is all digits."""
    return all(
        answer in candidates and (not answer.isdigit() or candidates.index(answer) == int(answer))
        for answer in set(answers)
    )


def _metric(name: str) -> dict[str, Any]:
    return {"metric": name, "aggregation": "mean", "higher_is_better": True}


def _literal(text: str) -> str:
    """Keep Jinja from reading a text that stands in a template; a line break at the end would be dropped."""
    if not text:
        return text
    if "{" not in text and not text.endswith("\n"):
        return text
    return "{{ " + repr(text) + " }}"


def _yaml(data: dict[str, Any]) -> bytes:
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=1000).encode()


def _readme(
    record: Record, tasks: list[HarnessTask], left_out: dict[str, str], dataset: str | None, base: str | None
) -> str:
    group = group_name(record)
    local = None if dataset else record.base_folder and record.experiment.base_model
    model = local or base or "MODEL"
    get = f"hf download {dataset} --repo-type dataset --include '{FOLDER}/*' --local-dir .\n" if dataset else ""
    lines = [
        f"# {record.project.title}: the questions as tasks of lm-evaluation-harness",
        "Each task puts the very prompts that the published results come from, solved examples included.",
        f"```bash\npip install lm_eval\n{get}lm_eval run --model hf --model_args pretrained={model} "
        f"--include_path {FOLDER} --tasks {group} --output_path out --log_samples\n```",
        "With an adapter: `--model_args pretrained=MODEL,peft=ADAPTER`. "
        f"`{SHARED}` names the dataset; put a folder there to read a copy of it.",
        "\n".join(f"- `{task.name}`" for task in tasks),
    ]
    if left_out:
        lines.append("Not among them:\n\n" + "\n".join(f"- `{name}`: {why}" for name, why in left_out.items()))
    return "\n\n".join(lines) + "\n"
