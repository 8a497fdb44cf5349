"""What the page Try it asks and shows: both models' files, and their questions as they stand in the record."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from src.record.answers import MAX_ANSWER, Answered
from src.record.checkpoint import adapter_config, check_safetensors
from src.record.files import parse_json, read_text, sha256_file
from src.record.load import Record
from src.record.questions import ordinal, question_text

from .formatting import plain

Kind = Literal["spelling", "count", "position"]

SHOWN = 3
"""Questions of each kind that the page shows without a script."""

RECORDED = 20_000
"""Most answers on record that the page can show next to the live ones."""

BASE_FILES = ("config.json", "tokenizer.json", "model.safetensors")
ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")

_LINEAR = re.compile(
    r"base_model\.model\.transformer\.h\.\d+\.(?:attn\.c_attn|(?:attn|mlp)\.c_proj|mlp\.c_fc)\.lora_[AB]\.weight"
)
_NOT_PLAIN = ("use_dora", "rank_pattern", "alpha_pattern", "layer_replication", "use_qalora", "use_bdlora", "lora_bias")


@dataclass(frozen=True)
class Question:
    """A task that can be asked about any word, in the words of the record.

    Attributes:
        shown: The shortest task that asks the same: its questions are shown before anything is loaded.
        prefix: The solved examples that stand before each question.
        template: The question, with `{word}`, `{letter}` and `{ordinal}` in place of what it is about.
        candidates: The answers that are chosen from; None where the answer is written freely.
        ordinals: How positions are written, by position.
    """

    task: str
    shown: str
    prefix: str
    template: str
    candidates: tuple[str, ...] | None
    ordinals: dict[int, str]


@dataclass(frozen=True)
class DemoFile:
    """A file of the models, as the widget loads it.

    Attributes:
        path: What it is: `base/` or `adapter/`, and its name.
        url: Its address, absolute or relative to the manifest.
    """

    path: str
    url: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Demo:
    """What a browser needs to ask the models.

    Attributes:
        files: The models' files, by their path in the site.
        adapters: Folder of each adapter in the site, by the run's name; the published one first.
    """

    record: Record
    files: dict[str, Path]
    adapters: dict[str, str]
    questions: dict[Kind, Question]

    @property
    def load(self) -> int:
        """Bytes that are loaded before the first question can be asked."""
        return sum(path.stat().st_size for path in self.files.values()) + len(self.recorded.encode())

    @property
    def examples(self) -> list[dict[str, Any]]:
        """The first questions of each kind's shortest task, with what each model answered, whether it is right, and whether it spells."""
        found: list[dict[str, Any]] = []
        for question in self.questions.values():
            answered = _answered(self.record, question.shown, [model["key"] for model in self.models()])
            rows = answered["base"].questions.slice(0, SHOWN).to_pylist() if answered else []
            for i, row in enumerate(rows):
                said = {name: of["answer"][i].as_py() for name, of in answered.items()}
                asked = question_text(self.record.results.tasks[question.shown], row)
                answers = []
                for name, line in said.items():
                    spells = bool(question.candidates) and _spells(line)
                    answers.append((line or "", bool(answered[name]["correct"][i].as_py()), spells))
                found.append(
                    row
                    | {"task": question.task, "question": asked, "prompt": question.prefix + asked, "answers": answers}
                    | {"base_answer": said["base"], "finetuned_answer": said[self.record.run_name]}
                )
        return found

    @cached_property
    def recorded(self) -> str:
        """The answers on record, as JSON: by kind, column by column."""
        return _json({kind: _columns(self.record, kind, question) for kind, question in self.questions.items()})

    def manifest(self, files: Sequence[DemoFile]) -> str:
        """Write what the widget reads first, as JSON."""
        words = [word for q in self.questions.values() for word in _words(self.record, q.task)]
        recorded = len(self.recorded.encode())
        return _json(
            {
                "word": self.word,
                "letter": self.record.project.example_letter,
                "bytes": sum(file.bytes for file in files) + recorded,
                "files": [asdict(file) for file in files],
                "models": self.models(),
                "recorded": {"url": "recorded.json", "bytes": recorded},
                "questions": {
                    kind: {
                        "prefix": q.prefix,
                        "template": q.template,
                        "candidates": q.candidates,
                        "ordinals": q.ordinals,
                    }
                    for kind, q in self.questions.items()
                },
                "most_tokens": self.record.experiment.evaluation_config.max_new_tokens,
                "most_letters": MAX_ANSWER,
                "lengths": [len(min(words, key=len)), len(max(words, key=len))],
            }
        )

    @property
    def word(self) -> str:
        """The word that the page begins with: the project's, or the first of the record."""
        return self.record.project.example_word or _words(self.record, next(iter(self.questions.values())).task)[0]

    @cached_property
    def chips(self) -> list[str]:
        """Words to begin with: the project's, the first that all adapters spell right, and the first that none does."""
        words = [self.word]
        question = self.questions.get("spelling")
        if question is None:
            return words
        answers = json.loads(self.recorded)["spelling"]
        spelled = [[answers[name][i] == word for name in self.adapters] for i, word in enumerate(answers["word"])]
        for wanted in (all, lambda right: not any(right)):
            found = next((word for word, right in zip(answers["word"], spelled, strict=True) if wanted(right)), None)
            words += [found] if found else []
        return words

    def models(self) -> list[dict[str, Any]]:
        """Return each model that can be asked: its key, what readers call it, and the folder of its adapter."""
        study = self.record.study
        names = {"base": "Base model"}
        for name in self.adapters:
            run = study.study.run(name) if study else None
            label = study.config.arms[run.arm].label if study and run and run.arm else "Fine-tuned model"
            names[name] = label
        found = [
            {"key": key, "label": label, "folder": self.adapters.get(key), "published": key == self.record.run_name}
            for key, label in names.items()
        ]
        return sorted(found, key=lambda model: bool(model["published"]))  # what a reader came for comes last

    def site_files(self) -> dict[str, bytes]:
        """Return what the page needs besides its own code, by path inside the site."""
        here = [DemoFile(name, name, path.stat().st_size, sha256_file(path)) for name, path in self.files.items()]
        files = {name: path.read_bytes() for name, path in self.files.items()}
        files |= {"demo.json": self.manifest(here).encode(), "recorded.json": self.recorded.encode()}
        return {f"assets/demo/{name}": content for name, content in files.items()}


def find_demo(record: Record) -> Demo | str:
    """Return what a browser needs to ask a record's models, or why it cannot.

    It can where the base model has the GPT-2 architecture and a byte-level BPE tokenizer, the adapters are plain LoRA on its linear
    layers, the files are those that were evaluated and not larger than the project's limit, and the questions are about words.
    """
    if not record.has_answers:
        return "the record has no answers"
    if record.base_folder is None or not record.checkpoint.is_dir():
        return "base model and adapter are not both in the repository"
    adapters = {record.run_name: "adapter"} | {name: f"adapters/{name}" for name in record.further_adapters}
    folders = {record.run_name: record.checkpoint} | record.further_adapters
    files = {f"base/{name}": record.base_folder / name for name in BASE_FILES}
    for name, place in adapters.items():
        files |= {f"{place}/{file}": folders[name] / file for file in ADAPTER_FILES}
    missing = next((path for path in files.values() if not path.is_file()), None)
    if missing is not None:
        return f"{missing.name} is missing"
    limit = record.project.try_it_megabytes
    if sum(path.stat().st_size for path in files.values()) > limit * 1_000_000:
        return f"the models' files are larger than try_it_megabytes, {limit} MB"
    reason = _unknown_base(record.base_folder) or next(filter(None, map(_unknown_adapter, folders.values())), None)
    if reason is not None:
        return reason
    hashes = record.results.hashes
    for name, path in files.items():
        if name.startswith("adapters/"):
            continue  # checked with its run
        known = hashes and (hashes.base if name.startswith("base/") else hashes.adapter).get(path.name)
        if known and known != sha256_file(path):
            return f"{path.name} is not the one that was evaluated"
    questions = _questions(record)
    return Demo(record, files, adapters, questions) if questions else "the questions are not about the letters of words"


def _unknown_base(folder: Path) -> str | None:
    config, tokenizer = (
        parse_json(folder / name, read_text(folder / name, "Save the base model again with `save_pretrained`."))
        for name in BASE_FILES[:2]
    )
    if config.get("model_type") != "gpt2":
        return "the base model is not a GPT-2"
    usual = {"scale_attn_weights": True, "scale_attn_by_inverse_layer_idx": False, "add_cross_attention": False}
    if config.get("activation_function", "gelu_new") not in ("gelu_new", "gelu_pytorch_tanh") or any(
        config.get(key, value) != value for key, value in usual.items()
    ):
        return "the base model is an unusual GPT-2"
    pre = tokenizer.get("pre_tokenizer") or {}
    if tokenizer["model"].get("type") != "BPE" or pre.get("type") != "ByteLevel" or tokenizer.get("normalizer"):
        return "the tokenizer is not a plain byte-level BPE"
    return None


def _unknown_adapter(folder: Path) -> str | None:
    config = adapter_config(folder)
    if not config:
        return "the published model is not an adapter"
    names = check_safetensors(folder / "adapter_model.safetensors").keys() - {"__metadata__"}
    unusual = [key for key in _NOT_PLAIN if config.get(key)]
    if config.get("peft_type") != "LORA" or unusual or not all(_LINEAR.fullmatch(name) for name in names):
        return "the adapter is not a plain LoRA on the linear layers"
    return None


def _answered(record: Record, task: str, names: Sequence[str]) -> dict[str, Answered]:
    """Return the answers of models to a task, by name; nothing where one of them did not answer it."""
    found = {name: rows for name in names if (rows := record.answered(name, task)) is not None}
    return found if len(found) == len(names) else {}


def _spells(line: str | None) -> bool:
    letters = re.findall(r"[^\W\d_]+", line or "")
    return len(letters) > 2 and all(len(letter) == 1 for letter in letters)


def _words(record: Record, task: str) -> list[str]:
    rows = record.answered("base", task)
    return [str(word) for word in rows["word"].to_pylist()] if rows is not None else []


def _questions(record: Record) -> dict[Kind, Question]:
    """Find for each kind the first task that asks it about a word, and the shortest one in the same words."""
    found: dict[Kind, Question] = {}
    for name, task in record.results.tasks.items():
        rows = record.answered("base", name)
        kind = _kind(rows) if rows is not None else None
        if rows is None or kind is None or task.template is None or set(task.fields) - {"word", "letter", "ordinal"}:
            continue
        if (first := found.get(kind)) is not None:
            if task.template == first.template and len(rows) < len(_words(record, first.shown)):
                found[kind] = replace(first, shown=name)
            continue
        places = sorted({p for p in rows["position"].to_pylist() if p}) if kind == "position" else []
        written = {place: ordinal(place) for place in places}
        candidates = tuple(task.candidates) if task.candidates else None
        found[kind] = Question(name, name, task.prefix, task.template, candidates, written)
    return found


def _kind(rows: Answered) -> Kind | None:
    """Return what a task asks about its words, judged by its right answers; None if it is something else."""
    columns = rows.questions.column_names
    if "word" not in columns or not rows.has("word") or not pa.types.is_string(rows["word"].type):
        return None
    words, references = rows["word"].to_pylist(), rows["reference"].to_pylist()
    if not rows.candidates:
        return "spelling" if words == references else None
    if rows.has("letter") and pa.types.is_string(rows["letter"].type):
        counts = [str(word.count(letter)) for word, letter in zip(words, rows["letter"].to_pylist(), strict=True)]
        return "count" if counts == references else None
    if rows.has("position") and pa.types.is_integer(rows["position"].type):
        letters = [word[at - 1 : at] for word, at in zip(words, rows["position"].to_pylist(), strict=True)]
        return "position" if letters == references else None
    return None


def _columns(record: Record, kind: Kind, question: Question) -> dict[str, list[Any]]:
    """Return the words that were asked about and each model's answers, column by column; a shorter task's come first."""
    about = {"count": "letter", "position": "position"}.get(kind)
    found: dict[str, list[Any]] = {}
    for task in dict.fromkeys((question.shown, question.task)):
        rows = _answered(record, task, ("base", record.run_name, *record.further_adapters))
        if not rows:
            continue
        columns = {"word": rows["base"]["word"]} | ({"about": rows["base"][about]} if about else {})
        for name, column in (columns | {name: each["answer"] for name, each in rows.items()}).items():
            values = [value if isinstance(value, int) else plain(value, 80) for value in column.to_pylist()]
            found.setdefault(name, []).extend(values)
    return {name: values[:RECORDED] for name, values in found.items()}


def _json(data: Any) -> str:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))
