"""What the page Try it asks and shows: both models' files, and their questions as they stand in the record."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import takewhile
from pathlib import Path
from typing import Any, Literal

from src.record.checkpoint import adapter_config, check_safetensors
from src.record.files import parse_json, read_text, sha256_file
from src.record.load import Record
from src.record.predictions import MAX_ANSWER, MODELS, Predictions
from src.record.schemas import EvaluationResults

from .formatting import plain
from .habits import Habit, habit

Kind = Literal["spelling", "count", "position"]

SHOWN = 3
"""Questions of each kind that the page shows without a script."""

RECORDED = 20_000
"""Most answers on record that the page can show beside the live ones."""

BASE_FILES = ("config.json", "tokenizer.json", "model.safetensors")
ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")

_LINEAR = re.compile(
    r"base_model\.model\.transformer\.h\.\d+\.(?:attn\.c_attn|(?:attn|mlp)\.c_proj|mlp\.c_fc)\.lora_[AB]\.weight"
)
_PLAIN_LORA = (
    "use_dora",
    "rank_pattern",
    "alpha_pattern",
    "layer_replication",
    "use_qalora",
    "use_bdlora",
    "lora_bias",
)
_FIELD = re.compile(r"\{(word|letter|ordinal)\}")


@dataclass(frozen=True)
class Question:
    """A task that can be asked about any word, in the words of the record.

    Attributes:
        kind: How a word is spelled, how often it has a letter, or which letter stands at a position.
        task: Its name in the record.
        prefix: The solved examples that stand before each question.
        template: The question, with `{word}`, `{letter}` and `{ordinal}` in place of what it is about.
        candidates: The answers that are chosen from; None where the answer is written freely.
        ordinals: How the record writes the positions that were asked for, by position.
    """

    kind: Kind
    task: str
    prefix: str
    template: str
    candidates: tuple[str, ...] | None
    ordinals: dict[int, str]

    def prompt(self, row: dict[str, Any]) -> str:
        """Write what the models are given to answer a row of the predictions."""
        values = {"word": row["word"], "letter": row["letter"], "ordinal": self.ordinals.get(row["position"])}
        return self.prefix + _FIELD.sub(lambda found: str(values[found[1]]), self.template)


@dataclass(frozen=True)
class DemoFile:
    """A file of the models, as the widget loads it.

    Attributes:
        path: What it is: `base/` or `adapter/`, and its name.
        url: Where it lies, absolute or relative to the manifest.
        bytes: Its size.
        sha256: Hex digest of its content.
    """

    path: str
    url: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Demo:
    """What a browser needs to ask both models.

    Attributes:
        record: What was run.
        predictions: The answers on record.
        files: The models' files, by their path in the site.
        questions: What can be asked, by kind.
    """

    record: Record
    predictions: Predictions
    files: dict[str, Path]
    questions: dict[Kind, Question]

    @property
    def load(self) -> int:
        """Bytes that are loaded before the first question can be asked."""
        return sum(path.stat().st_size for path in self.files.values()) + len(self.recorded.encode())

    @property
    def tasks(self) -> list[str]:
        """Names of the tasks that can be asked."""
        return [question.task for question in self.questions.values()]

    @cached_property
    def habits(self) -> dict[Kind, dict[str, Habit]]:
        """What each model answers most often and where it is right, by kind."""
        tasks = {kind: self.predictions.task(question.task) for kind, question in self.questions.items()}
        return {kind: {model: habit(rows, model) for model in MODELS} for kind, rows in tasks.items()}

    @cached_property
    def counts(self) -> dict[Kind, int]:
        """How many questions are on record, by kind."""
        return {kind: len(self.predictions.task(question.task)) for kind, question in self.questions.items()}

    @property
    def examples(self) -> list[dict[str, Any]]:
        """The first questions of each kind with both models' answers."""
        found = []
        for question in self.questions.values():
            for row in _rows(self.predictions, question.task, SHOWN):
                found.append(row | {"question": row["prompt"][len(question.prefix) :]})
        return found

    @cached_property
    def recorded(self) -> str:
        """The answers on record, as JSON: by kind, column by column."""
        return _json({kind: _answers(self.predictions.task(q.task), kind) for kind, q in self.questions.items()})

    def manifest(self, files: Iterable[DemoFile] | None = None) -> str:
        """Write what the widget reads first, as JSON.

        Args:
            files: The models' files; by default those that lie beside the manifest.
        """
        words = [row["word"] for q in self.questions.values() for row in _rows(self.predictions, q.task)]
        listed = list(files or self._here())
        recorded = len(self.recorded.encode())
        return _json(
            {
                "word": self.record.project.example_word or words[0],
                "letter": self.record.project.example_letter,
                "bytes": sum(file.bytes for file in listed) + recorded,
                "files": [asdict(file) for file in listed],
                "recorded": {"url": "recorded.json", "bytes": recorded},
                "questions": {
                    kind: {
                        "prefix": q.prefix,
                        "template": q.template,
                        "candidates": q.candidates,
                        "ordinals": {str(position): text for position, text in sorted(q.ordinals.items())},
                    }
                    for kind, q in self.questions.items()
                },
                "most_tokens": self.record.experiment.evaluation_config.max_new_tokens,
                "most_letters": MAX_ANSWER,
                "lengths": [len(min(words, key=len)), len(max(words, key=len))],
            }
        )

    def _here(self) -> list[DemoFile]:
        return [DemoFile(name, name, path.stat().st_size, sha256_file(path)) for name, path in self.files.items()]

    def site_files(self) -> dict[str, bytes]:
        """Return what the page needs besides its own code, by path inside the site."""
        files = {name: path.read_bytes() for name, path in self.files.items()}
        files |= {"demo.json": self.manifest().encode(), "recorded.json": self.recorded.encode()}
        return {f"assets/demo/{name}": content for name, content in files.items()}


def find_demo(record: Record) -> Demo | str:
    """Return what a browser needs to ask both models of a record, or why it cannot.

    It can where the base model has the GPT-2 architecture and a byte-level BPE tokenizer, the adapter is a plain LoRA on its linear
    layers, the files are those that were evaluated and not larger than the project's limit, and the record's questions are about words.
    """
    if record.predictions is None:
        return "the record holds no predictions"
    if record.base_folder is None or not record.checkpoint.is_dir():
        return "base model and adapter do not both lie beside the record"
    files = _files(record.base_folder, record.checkpoint)
    missing = next((path for path in files.values() if not path.is_file()), None)
    if missing is not None:
        return f"there is no {missing.name}"
    limit = record.project.try_it_megabytes
    if sum(path.stat().st_size for path in files.values()) > limit * 1_000_000:
        return f"the models' files are larger than try_it_megabytes, {limit} MB"
    reason = _unknown_base(record.base_folder) or _unknown_adapter(record.checkpoint)
    if reason is not None:
        return reason
    hashes = record.results.hashes
    for name, path in files.items():
        known = hashes and (hashes.base if name.startswith("base/") else hashes.adapter).get(path.name)
        if known and known != sha256_file(path):
            return f"{path.name} is not the one that was evaluated"
    predictions = record.predictions.complete
    questions = _questions(record.results, predictions)
    return (
        Demo(record, predictions, files, questions)
        if questions
        else "the record's questions are not about the letters of words"
    )


def _files(base: Path, adapter: Path) -> dict[str, Path]:
    return {f"base/{name}": base / name for name in BASE_FILES} | {
        f"adapter/{name}": adapter / name for name in ADAPTER_FILES
    }


def _unknown_base(folder: Path) -> str | None:
    config, tokenizer = (
        parse_json(folder / name, read_text(folder / name, "Save the base model again with `save_pretrained`."))
        for name in BASE_FILES[:2]
    )
    if config.get("model_type") != "gpt2":
        return "the base model is no GPT-2"
    usual = {"scale_attn_weights": True, "scale_attn_by_inverse_layer_idx": False, "add_cross_attention": False}
    if config.get("activation_function", "gelu_new") not in ("gelu_new", "gelu_pytorch_tanh") or any(
        config.get(key, value) != value for key, value in usual.items()
    ):
        return "the base model is an unusual GPT-2"
    pre = tokenizer.get("pre_tokenizer") or {}
    if tokenizer["model"].get("type") != "BPE" or pre.get("type") != "ByteLevel" or tokenizer.get("normalizer"):
        return "the tokenizer is no plain byte-level BPE"
    return None


def _unknown_adapter(folder: Path) -> str | None:
    config = adapter_config(folder)
    names = check_safetensors(folder / "adapter_model.safetensors").keys() - {"__metadata__"}
    unusual = [key for key in _PLAIN_LORA if config.get(key)]
    if config.get("peft_type") != "LORA" or unusual or not all(_LINEAR.fullmatch(name) for name in names):
        return "the adapter is no plain LoRA on the linear layers"
    return None


def _rows(predictions: Predictions, task: str, most: int | None = None) -> list[dict[str, Any]]:
    """Return a task's rows; columns of the project's own are None where there are none, or where they hold something else."""
    table = predictions.task(task).table.slice(0, most)
    given = table.select(["task", "prompt", "reference", *(f"{m}_{k}" for m in MODELS for k in ("answer", "correct"))])
    rows: list[dict[str, Any]] = given.to_pylist()
    for name, kind in (("word", str), ("letter", str), ("position", int)):
        values = table[name].to_pylist() if name in table.column_names else [None] * len(rows)
        for row, value in zip(rows, values, strict=True):
            row[name] = value if type(value) is kind else None
    return rows


def _questions(results: EvaluationResults, predictions: Predictions) -> dict[Kind, Question]:
    """Find for each kind the first task whose template, taken from one prompt, gives back every prompt of the record."""
    found: dict[Kind, Question] = {}
    for task in results.tasks:
        candidates = results.candidates(task)
        rows = _rows(predictions, task)
        kind = _kind(rows, candidates)
        if kind is None or kind in found:
            continue
        prefix = _shared_lines([row["prompt"] for row in rows])
        ordinals = {row["position"]: row for row in rows if row["position"] is not None}
        written = {place: _ordinal(row["prompt"][len(prefix) :], place) for place, row in ordinals.items()}
        for template in _templates(rows, len(prefix), written):
            question = Question(kind, task, prefix, template, tuple(candidates) if candidates else None, written)
            if all(question.prompt(row) == row["prompt"] for row in rows):
                found[kind] = question
                break
    return found


def _kind(rows: list[dict[str, Any]], candidates: list[str] | None) -> Kind | None:
    """Tell by the right answers what a task asks about its words."""
    if len(rows) < 2 or not all(row["word"] for row in rows):
        return None
    if candidates is None:
        return "spelling" if all(row["reference"] == row["word"] for row in rows) else None
    if all(row["letter"] and row["reference"] == str(row["word"].count(row["letter"])) for row in rows):
        return "count"
    if all(row["position"] and row["reference"] == row["word"][row["position"] - 1 : row["position"]] for row in rows):
        return "position"
    return None


def _shared_lines(prompts: list[str]) -> str:
    """Return the whole lines that all prompts begin with: what lies between the first and the last in order begins as they do."""
    lines = zip(min(prompts).splitlines(True)[:-1], max(prompts).splitlines(True), strict=False)
    return "".join(one for one, _ in takewhile(lambda pair: pair[0] == pair[1], lines))


def _ordinal(question: str, position: int) -> str:
    found = re.search(rf"(?<!\w){position}\w*", question)
    return found[0] if found else str(position)


def _templates(rows: list[dict[str, Any]], start: int, ordinals: dict[int, str]) -> Iterator[str]:
    """Make templates of some questions; a letter such as the s of 's may stand in more places than its own, hence several."""
    for row in {row["letter"]: row for row in rows}.values():
        values = {"word": row["word"], "letter": row["letter"], "ordinal": ordinals.get(row["position"])}
        template = row["prompt"][start:]
        for name, value in values.items():
            if value:
                template = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", f"{{{name}}}", template)
        yield template


def _answers(predictions: Predictions, kind: Kind) -> dict[str, list[Any]]:
    table = predictions.table.slice(0, RECORDED)
    about = {"count": "letter", "position": "position"}.get(kind)
    columns = {"word": "word", "base": "base_answer", "finetuned": "finetuned_answer"} | (
        {"about": about} if about else {}
    )
    return {
        name: [value if isinstance(value, int) else plain(value, 80) for value in table[column].to_pylist()]
        for name, column in columns.items()
    }


def _json(data: Any) -> str:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))
