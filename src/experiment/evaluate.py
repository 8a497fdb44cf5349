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
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from src.record.checkpoint import checkpoint_files, hash_files
from src.record.config import EvaluationConfig, ExperimentConfig, MetricsConfig
from src.record.dataset import dataset_files
from src.record.errors import InputError
from src.record.files import sha256_file, write_json
from src.record.predictions import MODELS, Predictions, measure, read_predictions, write_predictions

from .dataset import CANDIDATES, read_rows
from .environment import describe_environment, git_state
from .models import load_adapter, load_base, load_tokenizer
from .progress import progress_bar

MAX_SPELLED = 64
"""Letters of a generated spelling that are kept."""


@dataclass(frozen=True)
class Answer:
    """A model's answer to one question.

    Attributes:
        text: The answer.
        score: Log-likelihood of the answer in nats, given the prompt.
    """

    text: str
    score: float


def few_shot_prefix(config: EvaluationConfig, data: Path, task: str, seed: int) -> str:
    """Write the solved examples that stand before each question of a task, drawn from validation words.

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
    return "".join(f"{config.example_format.format(question=row['question'])} {row['answer']}\n" for row in chosen)


def letters_of(generated: str) -> str:
    """Read the spelled word out of generated text: the letters a-z of its first line, in lower case.

    Returns:
        At most `MAX_SPELLED` letters.
    """
    line = generated.lstrip("\n").split("\n", 1)[0]
    return re.sub(r"[^a-z]", "", line.lower())[:MAX_SPELLED]


def _batches(encoded: Sequence[Sequence[int]], size: int) -> Iterator[list[int]]:
    """Group indices by length, so that no batch needs padding, and cut the groups into batches."""
    groups: dict[int, list[int]] = defaultdict(list)
    for index, ids in enumerate(encoded):
        groups[len(ids)].append(index)
    for _, indices in sorted(groups.items()):
        for start in range(0, len(indices), size):
            yield indices[start : start + size]


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
                mend="Lower few_shot or max_new_tokens, or shorten example_format.",
            )

    def _forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Return the log-probabilities after each prompt: shape (batch, vocabulary)."""
        cache = copy.deepcopy(self.cache)
        cache.batch_repeat_interleave(len(ids))
        start = len(self.prefix)
        positions = torch.arange(start, start + ids.shape[1], device=self.device).expand(len(ids), -1)
        logits: torch.Tensor = self.model(
            input_ids=ids, past_key_values=cache, position_ids=positions, use_cache=True
        ).logits
        return logits[:, -1].float().log_softmax(-1)

    @torch.inference_mode()
    def choose(self, prompts: Sequence[str], candidates: Sequence[str], advance: Any = None) -> list[Answer]:
        """Answer by the most likely candidate, each written after a space.

        Args:
            prompts: What follows the shared prefix, a question each.
            candidates: The possible answers.
            advance: Called with the number of questions done.

        Returns:
            An answer a prompt, in order; its score is the sum over the candidate's tokens.
        """
        options = [self._encode(f" {candidate}") for candidate in candidates]
        beginnings = sorted({tuple(o[:n]) for o in options for n in range(len(o))})
        encoded = [self._encode(prompt) for prompt in prompts]
        self._check_fit(encoded, max(len(option) for option in options))
        answers: list[Answer | None] = [None] * len(prompts)
        for batch in _batches(encoded, self.config.batch_size):
            ids = torch.tensor([encoded[i] for i in batch], device=self.device)
            after = {}
            for beginning in beginnings:
                more = torch.tensor(beginning, dtype=torch.long, device=self.device).expand(len(batch), -1)
                after[beginning] = self._forward(torch.cat([ids, more], dim=1))
            scores = torch.stack(
                [torch.stack([after[tuple(o[:n])][:, o[n]] for n in range(len(o))]).sum(0) for o in options], dim=1
            )
            best = scores.max(dim=1)
            for index, pick, score in zip(batch, best.indices.tolist(), best.values.tolist(), strict=True):
                answers[index] = Answer(candidates[pick], score)
            if advance:
                advance(len(batch))
        return [answer for answer in answers if answer is not None]

    @torch.inference_mode()
    def spell(self, prompts: Sequence[str], advance: Any = None) -> list[Answer]:
        """Answer by greedy generation up to a line break, the end of the text or `max_new_tokens`.

        Returns:
            An answer a prompt, in order; its score is the sum over the generated tokens.
        """
        stop = {self.tokenizer.eos_token_id, *self._encode("\n")}
        encoded = [self._encode(prompt) for prompt in prompts]
        self._check_fit(encoded, self.config.max_new_tokens)
        answers: list[Answer | None] = [None] * len(prompts)
        for batch in _batches(encoded, self.config.batch_size):
            cache = copy.deepcopy(self.cache)
            cache.batch_repeat_interleave(len(batch))
            ids = torch.tensor([encoded[i] for i in batch], device=self.device)
            position = len(self.prefix)
            written: list[list[int]] = [[] for _ in batch]
            scores = [0.0] * len(batch)
            running = [True] * len(batch)
            for _ in range(self.config.max_new_tokens):
                positions = torch.arange(position, position + ids.shape[1], device=self.device).expand(len(batch), -1)
                out = self.model(input_ids=ids, past_key_values=cache, position_ids=positions, use_cache=True)
                position += ids.shape[1]
                best = out.logits[:, -1].float().log_softmax(-1).max(dim=-1)
                for row, (token, score) in enumerate(zip(best.indices.tolist(), best.values.tolist(), strict=True)):
                    if running[row]:
                        scores[row] += score
                        running[row] = token not in stop
                        written[row].append(token)
                if not any(running):
                    break
                ids = best.indices.unsqueeze(1)
            for row, index in enumerate(batch):
                text = self.tokenizer.decode(written[row], skip_special_tokens=True)
                answers[index] = Answer(letters_of(text), scores[row])
            if advance:
                advance(len(batch))
        return [answer for answer in answers if answer is not None]

    def answer(self, task: str, prompts: Sequence[str], advance: Any = None) -> list[Answer]:
        """Answer a task's prompts in the way that the task is scored."""
        if task in CANDIDATES:
            return self.choose(prompts, CANDIDATES[task], advance)
        return self.spell(prompts, advance)


METHODS = {
    "choice": "Of the candidates, the one with the highest log-likelihood after the prompt.",
    "generation": "Greedy generation up to a line break; the letters a-z of that line are the answer.",
}


def evaluate(config: ExperimentConfig, metrics: MetricsConfig, split: str, output: Path) -> dict[str, Any]:
    """Ask both models a split's questions and write results and predictions.

    Args:
        config: The experiment.
        metrics: The metrics; those whose task was asked are computed.
        split: `validation` or `test`.
        output: Folder for `evaluation_results.json` and `predictions.parquet`, and the place of `training_log.json` if there is one.

    Returns:
        What `evaluation_results.json` holds.

    Raises:
        InputError: Base model, adapter or dataset are missing or malformed.
    """
    data = Path(config.dataset_config.path)
    checkpoint = Path(config.checkpoint)
    base_name = config.required_base_model
    adapter_files = hash_files(checkpoint_files(checkpoint))
    tokenizer = load_tokenizer(base_name)
    base = load_base(base_name)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    base.to(device)
    began = time.perf_counter()
    questions = {task: read_rows(data / task / f"{split}.parquet") for task in config.dataset_config.test_questions}
    answers: dict[str, dict[str, list[Answer]]] = {}
    for model_name in MODELS:
        model = base if model_name == "base" else load_adapter(base, checkpoint)
        answers[model_name] = {
            task: _ask(model, tokenizer, config, task, rows, model_name) for task, rows in questions.items()
        }
    rows = [row for task in questions for row in _prediction_rows(config, task, questions[task], answers)]

    output.mkdir(parents=True, exist_ok=True)
    path = output / "predictions.parquet"
    written = write_predictions(path, rows)
    predictions = read_predictions(path)
    log = output / "training_log.json"
    result: dict[str, Any] = {
        "experiment_name": config.experiment_name,
        "base_model": {"name": base_name, "metrics": _metrics(metrics, predictions, "base")},
        "finetuned_model": {"name": config.checkpoint, "metrics": _metrics(metrics, predictions, "finetuned")},
        "tasks": {
            task: {
                "questions": len(rows),
                "method": METHODS["choice" if task in CANDIDATES else "generation"],
                "candidates": list(CANDIDATES[task]) if task in CANDIDATES else None,
                "few_shot": config.evaluation_config.for_task(task).few_shot,
                "example_format": config.evaluation_config.for_task(task).example_format,
            }
            for task, rows in questions.items()
        },
        "predictions": written,
        "training_log": {"file": log.name, "sha256": sha256_file(log)} if log.is_file() else None,
        "environment": describe_environment(),
        "resources": {"duration_seconds": round(time.perf_counter() - began, 1)},
        "hashes": {
            "base_weights": _base_weights_sha256(base_name),
            "adapter": adapter_files,
            "data": hash_files(dataset_files(data)),
        },
        "git": git_state(),
    }
    write_json(output / "evaluation_results.json", result)
    return result


def _ask(
    model: Any, tokenizer: Any, config: ExperimentConfig, task: str, rows: list[dict[str, Any]], model_name: str
) -> list[Answer]:
    settings = config.evaluation_config.for_task(task)
    prefix = few_shot_prefix(settings, Path(config.dataset_config.path), task, config.dataset_config.seed)
    evaluator = Evaluator(model, tokenizer, prefix, settings)
    prompts = [settings.example_format.format(question=row["question"]) for row in rows]
    with progress_bar() as bar:
        shown = bar.add_task(f"{model_name}, {task}", total=len(rows))
        return evaluator.answer(task, prompts, lambda n: bar.advance(shown, n))


def _prediction_rows(
    config: ExperimentConfig, task: str, rows: list[dict[str, Any]], answers: dict[str, dict[str, list[Answer]]]
) -> Iterator[dict[str, Any]]:
    settings = config.evaluation_config.for_task(task)
    prefix = few_shot_prefix(settings, Path(config.dataset_config.path), task, config.dataset_config.seed)
    for index, row in enumerate(rows):
        reference = row["answer"] if task in CANDIDATES else row["word"]
        out = {key: row[key] for key in ("id", "task", "word", "tokens", "letter", "position")}
        out |= {"prompt": prefix + settings.example_format.format(question=row["question"]), "reference": reference}
        for model in MODELS:
            answer = answers[model][task][index]
            out |= {
                f"{model}_answer": answer.text,
                f"{model}_correct": answer.text == reference,
                f"{model}_score": answer.score,
            }
        yield out


def _metrics(config: MetricsConfig, predictions: Predictions, model: str) -> dict[str, float]:
    values = {}
    for key, metric in config.metrics.items():
        if metric.task is None or metric.measure is None:
            continue
        rows = predictions.task(metric.task)
        if len(rows):
            values[key] = float(measure(rows, model, metric.measure).mean())
    return values


def _base_weights_sha256(name: str) -> str:
    """Hash a base model's weights: the local file, or the cached download of a Hub id."""
    if Path(name).is_dir():
        return sha256_file(Path(name) / "model.safetensors")
    from huggingface_hub import hf_hub_download

    return sha256_file(Path(hf_hub_download(name, "model.safetensors")))
