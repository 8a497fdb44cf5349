"""Put the same questions, in the same prompts, to the base model and to the fine-tuned model.

Base models do not follow instructions, so letter count and letter position are scored the way
lm-evaluation-harness scores multiple choice (Gao et al., https://github.com/EleutherAI/lm-evaluation-harness): after a
few-shot prompt, the candidate continuation with the highest log-likelihood is the answer. Spelling is generated greedily.
"""

from __future__ import annotations

import copy
import random
import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch

from src.record.checkpoint import checkpoint_files, hash_files
from src.record.config import EvaluationConfig, ExperimentConfig, MetricsConfig
from src.record.errors import InputError
from src.record.files import parse_json, read_text, sha256_file, write_json
from src.record.measures import summary
from src.record.predictions import MAX_ANSWER, MODELS, Predictions, read_predictions, write_predictions
from src.record.splits import dataset_files

from .build import CANDIDATES, NEUTRAL, QUESTION_SCHEMA, QUESTIONS, ordinal, read_rows
from .environment import describe_environment, git_state
from .models import base_hashes, check_finite, load_adapter, load_base, load_tokenizer
from .progress import progress_bar

OWN_COLUMNS = ("word", "tokens", "letter", "position")
"""Columns of the questions that the predictions hold beyond those of every project."""

PASS_TOKENS = 64
"""What a pass of the model costs besides its tokens, as a number of tokens: about that of gpt2-mini on one core."""


@dataclass(frozen=True)
class Answer:
    """A model's answer to one question.

    Attributes:
        text: The answer.
        score: Log-likelihood of the answer in nats, given the prompt.
        scores: Those of all candidates, where there was a choice.
    """

    text: str
    score: float
    scores: tuple[float, ...] | None = None


@dataclass(frozen=True)
class Asked:
    """A task as it is put to the models.

    Attributes:
        name: Its name in the record.
        source: The task of the dataset whose questions are asked.
        variant: `letters_shown` or `spelled_first` where the word's letters stand before the question.
    """

    name: str
    source: str
    variant: str | None = None

    @property
    def candidates(self) -> tuple[str, ...] | None:
        """The answers that are chosen from; None where the answer is written freely."""
        return CANDIDATES.get(self.source)


def tasks_of(config: ExperimentConfig) -> list[Asked]:
    """List the tasks that an experiment asks: the dataset's, then the variants of those that ask about letters of a word."""
    sources = list(config.dataset_config.test_questions)
    about_words = [task for task in sources if task in QUESTIONS and task in CANDIDATES]
    return [
        *(Asked(task, task) for task in sources),
        *(
            Asked(f"{task}_{variant}", task, variant)
            for variant in config.evaluation_config.variants
            for task in about_words
        ),
    ]


def solved_examples(config: EvaluationConfig, data: Path, task: str, seed: int) -> list[dict[str, Any]]:
    """Choose the solved examples that stand before each question of a task, from the validation questions.

    The answers of multiple-choice examples are spread: as far as possible no answer comes twice.
    """
    rows = read_rows(data / task / "validation.parquet")
    random.Random(f"{seed}/few-shot/{task}").shuffle(rows)
    chosen: list[dict[str, Any]] = []
    for fresh in (True, False):
        for row in rows:
            repeated = any(row["answer"] == other["answer"] for other in chosen)
            if len(chosen) < config.few_shot and row not in chosen and not (fresh and repeated):
                chosen.append(row)
    random.Random(f"{seed}/few-shot-order/{task}").shuffle(chosen)
    return chosen


def few_shot_prefix(config: EvaluationConfig, data: Path, task: str, seed: int, variant: str | None = None) -> str:
    """Write the solved examples that stand before each question of a task; in a variant with the right letters shown."""
    return "".join(
        f"{config.example_format.format(question=question_of(row, row['word'] if variant else None))} {row['answer']}\n"
        for row in solved_examples(config, data, task, seed)
    )


def question_of(row: dict[str, Any], letters: str | None = None) -> str:
    """Write a question, after the word's letters if some are given."""
    question: str = row["question"]
    if letters is None:
        return question
    spelled = f" {' '.join(letters)}" if letters else ""
    return f"The word {row['word']} is spelled{spelled}. {question}"


def neutral_question(row: dict[str, Any], source: str) -> str:
    """Write a question without what it is about."""
    return NEUTRAL[source].format(letter=row["letter"], ordinal=ordinal(row["position"]) if row["position"] else "")


def letters_of(generated: str) -> str:
    """Read the spelled word out of generated text: the letters a-z of its first line, in lower case.

    Returns:
        At most `MAX_ANSWER` letters.
    """
    line = generated.lstrip("\n").split("\n", 1)[0]
    return re.sub(r"[^a-z]", "", line.lower())[:MAX_ANSWER]


def _shared_tokens(encoded: Sequence[Sequence[int]]) -> int:
    """Choose how many first tokens of the prompts to compute once for all prompts that share them.

    More of them leave fewer tokens to each prompt, but spread the prompts over more passes of the model.

    Returns:
        The number with which the model has least to do; always fewer than the shortest prompt has.
    """

    def effort(shared: int) -> int:
        passes = {(tuple(ids[:shared]), len(ids)) for ids in encoded}
        return sum(len(ids) - shared for ids in encoded) + PASS_TOKENS * len(passes)

    return min(range(min(map(len, encoded), default=0)), key=effort, default=0)


def _batches(encoded: Sequence[Sequence[int]], size: int) -> Iterator[tuple[tuple[int, ...], list[int]]]:
    """Group prompts by their beginning, and by length, so that no batch needs padding, and cut the groups into batches.

    Yields:
        The tokens with which all prompts of a batch begin, and the places of the prompts.
    """
    shared = _shared_tokens(encoded)
    groups: dict[tuple[tuple[int, ...], int], list[int]] = defaultdict(list)
    for index, ids in enumerate(encoded):
        groups[tuple(ids[:shared]), len(ids)].append(index)
    for (beginning, _), indices in sorted(groups.items()):
        for start in range(0, len(indices), size):
            yield beginning, indices[start : start + size]


class Evaluator:
    """A model and its tokenizer, ready to answer questions after a shared prefix that is computed once."""

    def __init__(self, model: Any, tokenizer: Any, prefix: str, config: EvaluationConfig) -> None:
        self.model, self.tokenizer, self.config = model.eval(), tokenizer, config
        self.device = next(model.parameters()).device
        self.prefix = self._encode(prefix)
        if not self.prefix:
            self.prefix = [tokenizer.eos_token_id]
        self._check_fit([], 0)
        with torch.inference_mode():
            ids = torch.tensor([self.prefix], device=self.device)
            self.cache = model(input_ids=ids, use_cache=True).past_key_values
        self.latest: tuple[tuple[int, ...], Any] = ((), self.cache)

    def _encode(self, text: str) -> list[int]:
        return list(self.tokenizer.encode(text, add_special_tokens=False))

    def _check_fit(self, encoded: Sequence[Sequence[int]], answer: int) -> None:
        """Refuse prompts that do not fit the model's context together with their answer."""
        context = getattr(self.model.config, "max_position_embeddings", None)
        longest = len(self.prefix) + max((len(ids) for ids in encoded), default=0) + answer
        if context is not None and longest > context:
            raise InputError(
                "evaluation_config",
                key="few_shot",
                found=f"prompts and answers of up to {longest} tokens",
                expected=f"at most {context}, the model's context",
                hint="Lower few_shot or max_new_tokens, or shorten example_format.",
            )

    def _cache(self, beginning: tuple[int, ...], rows: int) -> Any:
        """Return the keys and values of the shared prefix and of a batch's beginning, which is computed when it is not the last batch's."""
        if beginning != self.latest[0]:
            cache = copy.deepcopy(self.cache)
            ids = torch.tensor([beginning], device=self.device)
            positions = self._positions(len(self.prefix), ids)
            self.model(input_ids=ids, past_key_values=cache, position_ids=positions, use_cache=True, logits_to_keep=1)
            self.latest = (beginning, cache)
        cache = copy.deepcopy(self.latest[1])
        cache.batch_repeat_interleave(rows)
        return cache

    def _positions(self, start: int, ids: torch.Tensor) -> torch.Tensor:
        return torch.arange(start, start + ids.shape[1], device=self.device).expand(len(ids), -1)

    @torch.inference_mode()
    def choose(
        self, prompts: Sequence[str], candidates: Sequence[str], advance: Callable[[int], object] | None = None
    ) -> list[Answer]:
        """Answer by the most likely candidate, each written after a space.

        Args:
            prompts: What follows the shared prefix, one per question.
            candidates: The possible answers.
            advance: Called with the number of questions done.

        Returns:
            An answer per prompt, in order; a score is the sum over the candidate's tokens.
        """
        options = [tuple(self._encode(f" {candidate}")) for candidate in candidates]
        beginnings = {option[:-1] for option in options}
        # One pass gives the probabilities after a beginning and after each shorter one that it starts with.
        passes = [b for b in beginnings if not any(b != other and other[: len(b)] == b for other in beginnings)]
        encoded = [self._encode(prompt) for prompt in prompts]
        self._check_fit(encoded, max(len(option) for option in options))
        answers: list[Answer | None] = [None] * len(prompts)
        for shared, batch in _batches(encoded, self.config.batch_size):
            ids = torch.tensor([encoded[i][len(shared) :] for i in batch], device=self.device)
            after: dict[tuple[int, ...], torch.Tensor] = {}
            for beginning in passes:
                more = torch.tensor(beginning, dtype=torch.long, device=self.device).expand(len(batch), -1)
                fed = torch.cat([ids, more], dim=1)
                logits = self.model(
                    input_ids=fed,
                    past_key_values=self._cache(shared, len(batch)),
                    position_ids=self._positions(len(self.prefix) + len(shared), fed),
                    use_cache=True,
                    logits_to_keep=len(beginning) + 1,
                ).logits
                likely = logits.float().log_softmax(-1)
                after |= {beginning[:n]: likely[:, n] for n in range(len(beginning) + 1)}
            scores = torch.stack(
                [torch.stack([after[o[:n]][:, o[n]] for n in range(len(o))]).sum(0) for o in options], dim=1
            )
            for index, row in zip(batch, scores.tolist(), strict=True):
                best = max(range(len(row)), key=row.__getitem__)
                answers[index] = Answer(candidates[best], row[best], tuple(row))
            if advance:
                advance(len(batch))
        return [answer for answer in answers if answer is not None]

    @torch.inference_mode()
    def spell(self, prompts: Sequence[str], advance: Callable[[int], object] | None = None) -> list[Answer]:
        """Answer by greedy generation up to a line break, the end of the text or `max_new_tokens`.

        Returns:
            An answer per prompt, in order; its score is the sum over the generated tokens.
        """
        stop = {self.tokenizer.eos_token_id, *self._encode("\n")}
        encoded = [self._encode(prompt) for prompt in prompts]
        self._check_fit(encoded, self.config.max_new_tokens)
        answers: list[Answer | None] = [None] * len(prompts)
        for shared, batch in _batches(encoded, self.config.batch_size):
            cache = self._cache(shared, len(batch))
            ids = torch.tensor([encoded[i][len(shared) :] for i in batch], device=self.device)
            position = len(self.prefix) + len(shared)
            written: dict[int, list[int]] = {index: [] for index in batch}
            scores = dict.fromkeys(batch, 0.0)
            running = batch
            for _ in range(self.config.max_new_tokens):
                out = self.model(
                    input_ids=ids,
                    past_key_values=cache,
                    position_ids=self._positions(position, ids),
                    use_cache=True,
                    logits_to_keep=1,
                )
                position += ids.shape[1]
                best = out.logits[:, -1].float().log_softmax(-1).max(dim=-1)
                for index, token, score in zip(running, best.indices.tolist(), best.values.tolist(), strict=True):
                    scores[index] += score
                    written[index].append(token)
                going = [row for row, index in enumerate(running) if written[index][-1] not in stop]
                if not going:
                    break
                if len(going) < len(running):
                    kept = torch.tensor(going, device=self.device)
                    cache.batch_select_indices(kept)
                    running = [running[row] for row in going]
                    best = best.indices[kept]
                else:
                    best = best.indices
                ids = best.unsqueeze(1)
            for index in batch:
                text = self.tokenizer.decode(written[index], skip_special_tokens=True)
                answers[index] = Answer(letters_of(text), scores[index])
            if advance:
                advance(len(batch))
        return [answer for answer in answers if answer is not None]


METHODS = {
    "choice": "Of the candidates, the one with the highest log-likelihood after the prompt.",
    "generation": "Greedy generation up to a line break; the letters a-z of that line are the answer.",
}


class Examiner:
    """Puts questions to one model.

    With several processes (`accelerate launch`) each answers its share, and all get all answers.

    Args:
        model: The model.
        tokenizer: Its tokenizer.
        config: The experiment.
        label: What the progress bars call the model.
    """

    def __init__(self, model: Any, tokenizer: Any, config: ExperimentConfig, label: str) -> None:
        from accelerate import PartialState

        self.model, self.tokenizer, self.config, self.label = model, tokenizer, config, label
        self.processes = PartialState()
        self.data = Path(config.dataset_config.path)
        self._spelled: dict[str, str] = {}

    def prefix(self, task: Asked) -> str:
        """Return the solved examples before each question of a task."""
        settings = self.config.evaluation_config.for_task(task.source)
        return few_shot_prefix(settings, self.data, task.source, self.config.dataset_config.seed, task.variant)

    def questions(self, task: Asked, rows: list[dict[str, Any]]) -> list[str]:
        """Write a task's questions; where the model's own spelling stands before them, ask for that first."""
        if task.variant == "letters_shown":
            return [question_of(row, row["word"]) for row in rows]
        if task.variant == "spelled_first":
            new = sorted({row["word"] for row in rows} - self._spelled.keys())
            spelling = Asked("spelling", "spelling")
            answers = self.ask(spelling, [QUESTIONS["spelling"].format(word=word) for word in new], "its own spellings")
            self._spelled |= {word: answer.text for word, answer in zip(new, answers, strict=True)}
            return [question_of(row, self._spelled[row["word"]]) for row in rows]
        return [question_of(row) for row in rows]

    def ask(self, task: Asked, questions: Sequence[str], doing: str | None = None) -> list[Answer]:
        """Put questions to the model in the way that the task is scored; an answer per question, in order."""
        from accelerate.utils import gather_object

        settings = self.config.evaluation_config.for_task(task.source)
        mine = range(self.processes.process_index, len(questions), self.processes.num_processes)
        prompts = [settings.example_format.format(question=questions[index]) for index in mine]
        evaluator = Evaluator(self.model, self.tokenizer, self.prefix(task), settings)
        with progress_bar() as bar:
            shown = bar.add_task(f"{self.label}, {doing or task.name}", total=len(prompts))
            if task.candidates:
                answers = evaluator.choose(prompts, task.candidates, lambda n: bar.advance(shown, n))
            else:
                answers = evaluator.spell(prompts, lambda n: bar.advance(shown, n))
        if self.processes.num_processes == 1:
            return answers
        everybody: list[tuple[int, Answer]] = gather_object(list(zip(mine, answers, strict=True)))
        return [answer for _, answer in sorted(everybody, key=lambda pair: pair[0])]

    def columns(self, task: Asked, rows: list[dict[str, Any]], model: str) -> dict[str, list[Any]]:
        """Answer a task's questions.

        Returns:
            The model's columns of the predictions, and `prompt`, what both models were given.
        """
        settings = self.config.evaluation_config.for_task(task.source)
        questions = self.questions(task, rows)
        answers = self.ask(task, questions)
        prefix = self.prefix(task)
        neutral: list[tuple[float, ...] | None] = [None] * len(rows)
        if task.candidates:
            without = [neutral_question(row, task.source) for row in rows]
            unique = sorted(set(without))
            found = dict(zip(unique, self.ask(task, unique, f"{task.name}, calibration"), strict=True))
            neutral = [found[question].scores for question in without]
        prompts = [prefix + settings.example_format.format(question=question) for question in questions]
        own = {}
        if task.variant == "spelled_first":  # what the two models were given differs
            own = {f"{model}_prompt": prompts}
            prompts = [prefix + settings.example_format.format(question=row["question"]) for row in rows]
        return {
            "prompt": prompts,
            **own,
            f"{model}_answer": [answer.text for answer in answers],
            f"{model}_correct": [a.text == reference(task, row) for a, row in zip(answers, rows, strict=True)],
            f"{model}_score": [answer.score for answer in answers],
            f"{model}_scores": [answer.scores for answer in answers],
            f"{model}_neutral_scores": neutral,
        }


def reference(task: Asked, row: dict[str, Any]) -> str:
    """Return the right answer: of the candidates, or the word that is to be spelled."""
    return str(row["answer"] if task.candidates else row["word"])


def evaluate(
    config: ExperimentConfig,
    metrics: MetricsConfig,
    split: str,
    output: Path,
    base_from: Path | None = None,
) -> dict[str, Any] | None:
    """Ask both models a split's questions and write results and predictions.

    Args:
        config: The experiment.
        metrics: The metrics; those whose task was asked are computed.
        split: `validation` or `test`.
        output: Folder for `evaluation_results.json` and `predictions.parquet`, and the place of `training_log.json` if there is one.
        base_from: Folder of an evaluation of the same base model on the same questions, whose answers of the base model are taken over.

    Returns:
        What `evaluation_results.json` holds; None in a process that is not the first.

    Raises:
        InputError: Base model, adapter or dataset are missing or malformed, or `base_from` is of another base model or other questions.
    """
    data = Path(config.dataset_config.path)
    checkpoint = Path(config.checkpoint)
    base_name = config.required_base_model
    adapter = hash_files(checkpoint_files(checkpoint))
    tokenizer = load_tokenizer(base_name)
    hashes = {
        "base": base_hashes(base_name),
        "adapter": adapter,
        "data": hash_files(dataset_files(data)),
    }
    asked = tasks_of(config)
    earlier = _earlier_base(base_from, config, hashes) if base_from else None
    base = load_base(base_name)
    base.to(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    began = time.perf_counter()
    questions = {task.name: _questions(config, task, split) for task in asked}
    columns: dict[str, dict[str, list[Any]]] = {task.name: {} for task in asked}
    for model_name in MODELS:
        if model_name == "base" and earlier is not None:
            for task in asked:
                columns[task.name] |= _columns_of(earlier, task, questions[task.name], base_from)
            continue
        # Merged into the base model's weights, which are not needed any more, the adapter costs nothing.
        model = base if model_name == "base" else load_adapter(base, checkpoint).merge_and_unload()
        where = base_name if model_name == "base" else config.checkpoint
        check_finite(model, where, "Restore the weights, or train again.")
        examiner = Examiner(model, tokenizer, config, model_name)
        for task in asked:
            columns[task.name] |= examiner.columns(task, questions[task.name], model_name)
    if not examiner.processes.is_main_process:
        return None
    rows = [row for task in asked for row in _prediction_rows(task, questions[task.name], columns[task.name])]

    output.mkdir(parents=True, exist_ok=True)
    path = output / "predictions.parquet"
    written = write_predictions(path, rows, pa.schema([QUESTION_SCHEMA.field(name) for name in OWN_COLUMNS]))
    predictions = read_predictions(path)
    log = output / "training_log.json"
    result: dict[str, Any] = {
        "experiment_name": config.experiment_name,
        "config": config.model_dump(mode="json"),
        "base_model": {"name": base_name, "metrics": _metrics(metrics, predictions, "base", asked)},
        "finetuned_model": {"name": config.checkpoint, "metrics": _metrics(metrics, predictions, "finetuned", asked)},
        "tasks": {
            task.name: {
                "questions": len(questions[task.name]),
                "method": METHODS["choice" if task.candidates else "generation"],
                "candidates": list(task.candidates) if task.candidates else None,
                "few_shot": config.evaluation_config.for_task(task.source).few_shot,
                "example_format": config.evaluation_config.for_task(task.source).example_format,
            }
            for task in asked
        },
        "predictions": written,
        "training_log": {"file": log.name, "sha256": sha256_file(log)} if log.is_file() else None,
        "environment": describe_environment(),
        "resources": {"duration_seconds": round(time.perf_counter() - began, 1)},
        "hashes": hashes,
        "git": git_state(),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    write_json(output / "evaluation_results.json", result)
    return result


def _questions(config: ExperimentConfig, task: Asked, split: str) -> list[dict[str, Any]]:
    """Read a task's questions; of validation questions without those that serve as solved examples."""
    data = Path(config.dataset_config.path)
    rows = read_rows(data / task.source / f"{split}.parquet")
    if split != "validation":
        return rows
    settings = config.evaluation_config.for_task(task.source)
    solved = solved_examples(settings, data, task.source, config.dataset_config.seed)
    return [row for row in rows if row not in solved]


def _prediction_rows(
    task: Asked, questions: list[dict[str, Any]], columns: dict[str, list[Any]]
) -> Iterator[dict[str, Any]]:
    suffix = f"-{task.variant}" if task.variant else ""
    for index, row in enumerate(questions):
        yield {
            "id": f"{row['id']}{suffix}",
            "task": task.name,
            **{key: row[key] for key in OWN_COLUMNS},
            "reference": reference(task, row),
            **{name: values[index] for name, values in columns.items()},
        }


def _earlier_base(folder: Path, config: ExperimentConfig, hashes: dict[str, Any]) -> Predictions:
    """Read an evaluation whose answers of the base model are to be taken over, and check that it is one of the same questions."""
    path = folder / "evaluation_results.json"
    hint = "Leave --base-from out, and the base model is asked again."
    before = parse_json(path, read_text(path, hint))
    now = {
        "hashes.base": hashes["base"],
        "hashes.data": hashes["data"],
        "config.evaluation_config": config.evaluation_config.model_dump(mode="json"),
        "environment.packages": describe_environment()["packages"],
    }
    for key, value in now.items():
        section, name = key.split(".")
        if (before.get(section) or {}).get(name) != value:
            raise InputError(path, key=key, found="another one", expected="the one of this evaluation", hint=hint)
    return read_predictions(folder / "predictions.parquet").complete


def _columns_of(
    predictions: Predictions, task: Asked, questions: list[dict[str, Any]], folder: Path | None
) -> dict[str, list[Any]]:
    """Return the base model's columns of a task from an earlier evaluation."""
    table = predictions.task(task.name).table
    suffix = f"-{task.variant}" if task.variant else ""
    if table["id"].to_pylist() != [f"{row['id']}{suffix}" for row in questions]:
        raise InputError(
            folder or "",
            key=f"task {task.name}",
            found="other questions",
            expected="the questions of this evaluation",
            hint="Leave --base-from out, and the base model is asked again.",
        )
    names = [name for name in table.column_names if name == "prompt" or name.startswith("base_")]
    return {name: table[name].to_pylist() for name in names}


def _metrics(config: MetricsConfig, predictions: Predictions, model: str, asked: list[Asked]) -> dict[str, float]:
    values = {}
    for key, metric in config.metrics.items():
        task = next((task for task in asked if task.name == metric.task), None)
        if task is not None and metric.measure is not None:
            values[key] = summary(predictions.task(task.name), model, metric, task.candidates)
    return values
