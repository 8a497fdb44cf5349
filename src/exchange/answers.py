"""Two models' answers and metrics as another tool states them, before they become a record."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from src.record.errors import InputError, printable
from src.record.files import text_lines, untrusted_json
from src.record.model_name import parse_model_name
from src.record.schemas import Uncertainty

TOLERANCE = 1e-4
"""How far a stated value may be from the mean of the answers' values; some files state four digits."""

UNNAMED = "score"
"""Name of a metric that the tool does not name."""


MALFORMED = (KeyError, TypeError, IndexError, AttributeError)
"""What reading a row of another shape raises."""


class Unusable(Exception):
    """Why a task, or its answers, cannot be imported: a clause without a path, since it goes on record."""


@dataclass(slots=True)
class Answer:
    """One model's answer to one question.

    Attributes:
        key: The question's id within its task.
        question: What identifies the question and its target; the same for both models.
        prompt: What the model was given.
        answer: What the model answered.
        correct: The tool's verdict; None if it states none.
        references: Accepted answers, the first to be shown; empty if unknown.
        score: The answer's log-likelihood in nats, if known.
        scores: Those of all candidates, in their order.
        candidates: The candidates, if the answer was chosen from some.
        values: Each metric's value for this question, if it has one.
        columns: Further fields of the question.
        own_prompt: The prompt, if it is not the one that both models share.
    """

    key: str
    question: tuple[str, ...]
    prompt: str
    answer: str
    correct: bool | None = None
    references: tuple[str, ...] = ()
    score: float | None = None
    scores: tuple[float, ...] | None = None
    candidates: tuple[str, ...] | None = None
    values: dict[str, float] = field(default_factory=dict)
    columns: dict[str, Any] = field(default_factory=dict)
    own_prompt: str | None = None

    def choose(self, weights: list[float]) -> None:
        """Take the candidate with the largest weight as the answer."""
        best = max(range(len(weights)), key=weights.__getitem__)
        self.answer, self.score = (self.candidates or ())[best], (self.scores or ())[best]


@dataclass
class Metric:
    """A metric of a task, as the tool states it.

    Attributes:
        name: The tool's name for it.
        direction: Which way is better.
        base: The base model's value; `tuned` likewise.
        verdict: Whether it is the share of answers that the tool judged right.
        unit: The unit, if the tool states the range; None to derive it from the answers.
        note: A further sentence of its definition.
        uncertainty: What the tool states of the uncertainty of both values.
    """

    name: str
    direction: Literal["higher", "lower"]
    base: float
    tuned: float
    verdict: bool = False
    unit: Literal["proportion", "distance", "number"] | None = None
    note: str = ""
    uncertainty: tuple[Uncertainty | None, Uncertainty | None] = (None, None)


@dataclass
class Task:
    """A task, or a group of tasks, of both runs.

    Attributes:
        name: Its name, safe as a part of a file's name.
        method: How an answer was obtained, in a sentence.
        metrics: The metrics that both runs state.
        base: The base model's answers; `tuned` in the same order.
        few_shot: Solved examples before each question.
        unpaired: Number of answers without a partner in the other run.
        members: Names of the tasks of a group; empty for a task.
        prompts_differ: How the two models' prompts differ, in a sentence.
    """

    name: str
    method: str
    metrics: list[Metric]
    base: list[Answer] = field(default_factory=list)
    tuned: list[Answer] = field(default_factory=list)
    few_shot: int | None = None
    unpaired: int = 0
    members: tuple[str, ...] = ()
    prompts_differ: str | None = None

    def join(self, base: Iterable[Answer], tuned: Iterable[Answer], reason: str | None = None) -> None:
        """Take over both models' answers, joined by id, question and target, never by order.

        Args:
            base: The base model's answers.
            tuned: The tuned model's answers.
            reason: Why their prompts may differ, if the tool states why.

        Raises:
            Unusable: The prompts or candidates differ without a stated reason, or no question is shared.
        """
        left = {answer.key: answer for answer in tuned}
        by_question: dict[tuple[str, ...], str | None] = {}
        for key, answer in left.items():
            by_question[answer.question] = None if answer.question in by_question else key
        for answer in base:
            key = answer.key
            if key not in left or left[key].question != answer.question:
                key = by_question.get(answer.question) or ""
            if key in left:
                self._pair(answer, left.pop(key), reason)
            else:
                self.unpaired += 1
        if not self.base:
            raise Unusable("the two runs share no question; evaluate both models on the same questions")
        self.unpaired += len(left)

    def _pair(self, answer: Answer, other: Answer, reason: str | None) -> None:
        ours, theirs = answer.candidates or (), other.candidates or ()
        if answer.prompt != other.prompt or ours != theirs:
            if reason is None or len(ours) != len(theirs):
                raise Unusable(f"prompt or candidates of question {answer.key[:40]} differ; evaluate both models alike")
            self.prompts_differ, other.own_prompt = reason, other.prompt
            if theirs:
                other.answer, other.candidates = ours[theirs.index(other.answer)], ours
        other.columns = {}
        self.base.append(answer)
        self.tuned.append(other)


@dataclass
class Import:
    """Two runs of another tool, ready to become a record.

    Attributes:
        tool: The tool, with its version if stated.
        base_model: The base model as the run names it, possibly by a path; `tuned_model` likewise.
        adapter: The tuned model's adapter, likewise; None if the run names none.
        tasks: What was asked, groups included.
        files: The base run's files and the tuned run's.
        settings: What the tool states of the runs, limited to the keys of `settings`.
        said: What was left out, and why.
    """

    tool: str
    base_model: str
    tuned_model: str
    adapter: str | None
    tasks: list[Task]
    files: tuple[list[Path], list[Path]]
    settings: dict[str, Any]
    said: list[str] = field(default_factory=list)


def mapping(value: object) -> dict[str, Any]:
    """Return an object of untrusted JSON; an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def safe_name(name: str) -> str:
    """Make a name safe as a part of a file's name and of a metric's key."""
    return re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_")[:80] or "task"


def few(names: Iterable[str]) -> str:
    """List names; of many, the first five."""
    listed = [printable(name) for name in names]
    return f"{', '.join(listed[:5])}{f' and {len(listed) - 5} more' if len(listed) > 5 else ''}"


def collapsed(said: list[str]) -> list[str]:
    """Put lines `NAME: reason` of one reason together if there are many."""
    names: dict[str, list[str]] = {}
    for line in said:
        name, _, reason = line.partition(": ")
        names.setdefault(reason or line, []).append(name)
    many = {reason: f"{few(of)}: {reason}" for reason, of in names.items() if len(of) > 5}
    return list(dict.fromkeys(many.get(line.partition(": ")[2], line) for line in said))


def json_rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the rows of a JSONL file, each with its place for messages.

    Raises:
        Unusable: The file or a line cannot be read.
    """
    number = 0
    try:
        for number, line in enumerate(text_lines(path, ""), 1):
            if line.strip():
                yield f"line {number} of {path.name}", mapping(untrusted_json(line))
    except InputError as error:
        raise Unusable(f"{path.name} has {error.found}") from None
    except OSError as error:
        raise Unusable(f"{path.name} cannot be read: {error.strerror}") from None
    except ValueError:
        raise Unusable(f"line {number} of {path.name} is not valid JSON; the file may be cut short") from None


def finite(value: object, what: str) -> float:
    """Read a number, which may be written as text.

    Raises:
        Unusable: It is not a number, or not finite.
    """
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise Unusable(f"{what} is {str(value)[:40]!r}, not a finite number")
    return number


_MODELS = re.compile(r"pretrained|model|path|engine|tokenizer|peft|lora_local_path|delta|adapter|id|name")
_KEYS = re.compile(
    r"add_bos_token|attn_implementation|backend|batch_size|calls|date|developer|device|do_sample|dtype|enable_lora|enable_thinking|"
    r"fewshot_as_multiturn|gpu_memory_utilization|limit|lm_eval_version|load_in_[48]bit|max_(?:batch_size|gen_toks|length|lora_rank|"
    r"model_len|tokens)|(?:model|softmax)_dtype|model_num_parameters|model_revision|model_sha|num_(?:beams|concurrent|fewshot)|"
    r"(?:data|tensor)_parallel_size|parallelize|prefix_token_id|quantization|revision|(?:random_|numpy_|torch_|fewshot_)?seed|subfolder|"
    r"temperature|tokenized_requests|tokenizer_backend|top_[kp]|transformers_version|truncation|trust_remote_code|version|git_hash|"
    r"(?:chat_template|system_instruction)_sha"
)
_VALUE = re.compile(r"[\w.:+ -]{1,80}")


def settings(*given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that may be published: a fixed list of keys, plain values, and models by name.

    Everything else is left out, so keys, tokens, headers, hosts and paths never reach a record.
    """
    kept: dict[str, Any] = {}
    for key, value in (pair for part in given for pair in part.items()):
        if isinstance(value, str) and _MODELS.fullmatch(key):
            kept[key] = shown_model(value)
        elif _KEYS.fullmatch(key) and (
            (isinstance(value, int | float) and math.isfinite(value))
            or (isinstance(value, str) and _VALUE.fullmatch(value))
        ):
            kept[key] = value
    return kept


def shown_model(model: str) -> str:
    """Name a model as a document may: by its Hub id, or by the last folder of its path."""
    return printable(parse_model_name(model).id)[:200]


def check_sides(path: Path, key: str, base: tuple[str, str | None], tuned: tuple[str, str | None]) -> None:
    """Refuse two runs that cannot be a base model's and a tuned model's.

    Args:
        path: The tuned model's file, for errors.
        key: Where it names the model.
        base: What identifies the base model, and its adapter.
        tuned: The same of the tuned model.

    Raises:
        InputError: They are of the same model, or only the base run has an adapter.
    """
    found = "the same model in both runs" if base[0] == tuned[0] else None
    if base[1] and not tuned[1]:
        found = f"an adapter ({shown_model(base[1])}) in the base run only, as if the two were exchanged"
    if found:
        raise InputError(
            path, key=key, found=found, expected="another model than the base run's, or the same with an adapter",
            hint="Give the base model's results first and the tuned model's second.",
        )  # fmt: skip
