"""A run's results in the community's shared form, Every Eval Ever: one aggregate JSON for each model, and a JSONL of its answers."""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from src import ENGINE
from src.analysis.statistics import Interval
from src.record.answers import Answers
from src.record.config import MetricConfig, MetricsConfig
from src.record.measures import available, per_question
from src.record.results import Results
from src.record.schemas import EvaluationResults, Hashes

SCHEMA_VERSION = "0.3.0"
"""Version of the schemas that this follows."""

FOLDER = "every_eval_ever"
LIBRARY = ENGINE
UNKNOWN = "unknown"

SCORED = ("exact_match", "character_accuracy", "normalized_levenshtein", "value")
"""Measures whose values are written as the score of an answer."""


@dataclass(frozen=True)
class Subject:
    """Whose results are written.

    Attributes:
        model: `base`, `finetuned`, or `run` for a further run of a study.
        model_id: The model's name on the Hub, or as near to it as is known.
        label: Name that readers see.
    """

    model: str
    model_id: str
    label: str


@dataclass(frozen=True)
class Source:
    """Where the results come from.

    Attributes:
        dataset: The dataset's name on the Hub, or as near to it as is known.
        organization: Who evaluated.
        confidence: The level of the intervals, such as 0.95.
    """

    dataset: str
    organization: str
    confidence: float


def every_eval_ever(
    loaded: Results,
    answers: Answers | None,
    stated: dict[str, float],
    hashes: Hashes | None,
    metrics: MetricsConfig,
    subject: Subject,
    source: Source,
    intervals: dict[str, Interval],
) -> dict[str, bytes]:
    """Write one model's results.

    Args:
        loaded: The results that it is part of.
        answers: Its answers; None to leave them out.
        stated: Its metrics.
        hashes: What was evaluated, as SHA-256.
        metrics: The declared metrics.
        subject: Whose results are written.
        source: Where they come from.
        intervals: Interval of each metric, where it is known.

    Returns:
        Content by path, laid out as the community's own collection is.
    """
    results = loaded.evaluation
    base = subject.model == "base"
    time = str(int(results.finished.timestamp())) if results.finished else UNKNOWN
    identifier = f"{source.dataset}/{subject.model_id}/{time}"
    place = _place(subject, source, identifier, stated)
    files = {}
    detailed = None
    if answers is not None:
        lines = list(_lines(loaded, answers, metrics, subject, identifier, stated))
        content = ("\n".join(lines) + "\n").encode() if lines else b""
        path = f"{place}_samples.jsonl"
        files[f"{FOLDER}/{path}"] = content
        detailed = {
            "format": "jsonl", "file_path": path, "hash_algorithm": "sha256",
            "checksum": hashlib.sha256(content).hexdigest(), "total_rows": len(lines),
        }  # fmt: skip
    packages = results.environment.packages if results.environment else {}
    aggregate: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "evaluation_id": identifier,
        **({"evaluation_timestamp": time} if time != UNKNOWN else {}),
        "retrieved_timestamp": time,
        "source_metadata": {
            "source_name": source.dataset,
            "source_type": "evaluation_run",
            "source_organization_name": source.organization,
            "evaluator_relationship": "first_party",
        },
        "eval_library": {
            "name": results.source.tool if results.source else LIBRARY,
            "version": results.git.commit if results.git else UNKNOWN,
            "additional_details": {key: str(value) for key, value in sorted(packages.items())},
        },
        "model_info": {
            "name": subject.label,
            "id": subject.model_id,
            **(
                {"additional_details": {"deployment_type": UNKNOWN, "model_availability": UNKNOWN}}
                if results.source
                else _deployed(packages.get("transformers", UNKNOWN), hashes, base=base)
            ),
        },
        "evaluation_results": [
            _result(key, value, metrics.metrics[key], results, source, intervals.get(key))
            for key, value in stated.items()
        ],
        **({"detailed_evaluation_results": detailed} if detailed else {}),
    }
    files[f"{FOLDER}/{place}.json"] = (json.dumps(aggregate, indent=2, ensure_ascii=False) + "\n").encode()
    return files


def _place(subject: Subject, source: Source, identifier: str, stated: dict[str, float]) -> str:
    """Return where a model's results lie: `data/BENCHMARK/DEVELOPER/MODEL/UUID`, the UUID made from what they are."""
    digest = hashlib.sha256(repr((identifier, sorted(stated.items()))).encode()).digest()
    developer, _, model = (
        subject.model_id.rpartition("/") if "/" in subject.model_id else ("local", "", subject.model_id)
    )
    parts = (source.dataset.split("/")[-1], developer, model)
    safe = [re.sub(r"[^A-Za-z0-9._-]", "_", part) or "unnamed" for part in parts]
    return "/".join(["data", *safe, str(uuid.UUID(bytes=digest[:16], version=4))])


def _deployed(transformers: str, hashes: Hashes | None, *, base: bool) -> dict[str, Any]:
    """Say how the project's own evaluation ran a model; how another tool did is not on record."""
    files = (hashes.base if base else hashes.adapter) if hashes else {}
    weights = {f"sha256 {name}": digest for name, digest in sorted(files.items()) if name.endswith(".safetensors")}
    return {
        "inference_engine": {"name": "transformers", "version": str(transformers)},
        "additional_details": {"deployment_type": "self_deployed", "model_availability": "open_weights", **weights},
    }


def _result(
    key: str, value: float, metric: MetricConfig, results: EvaluationResults, given: Source, bounds: Interval | None
) -> dict[str, Any]:
    task = results.tasks.get(metric.task or "")
    uncertainty: dict[str, Any] = {"num_samples": task.questions} if task else {}
    if bounds is not None:
        method = (
            "Wilson" if metric.measure == "exact_match" else "percentile bootstrap" if metric.measure else "as stated"
        )
        uncertainty["confidence_interval"] = {
            "lower": bounds.low, "upper": bounds.high, "confidence_level": given.confidence, "method": method,
        }  # fmt: skip
    source = {"dataset_name": metric.task or given.dataset}
    data = {"source_type": "hf_dataset", "hf_repo": given.dataset, "hf_split": "test"}
    low, high = (0, 1) if metric.bounded else (None, None)
    described: dict[str, Any] = {
        "evaluation_result_id": key,
        "evaluation_name": metric.task or key,
        "source_data": source | (data if "/" in given.dataset else {"source_type": "other"}),
        "metric_config": {
            "evaluation_description": metric.definition,
            "metric_id": key,
            "metric_name": metric.label,
            "metric_kind": metric.measure or key,
            "metric_unit": metric.unit,
            "lower_is_better": metric.direction == "lower",
            "score_type": "continuous",
            "min_score": low,
            "max_score": high,
        },
        "score_details": {"score": value, **({"uncertainty": uncertainty} if uncertainty else {})},
    }
    if task is not None:
        details = {"method": task.method}
        if task.few_shot is not None:
            details["few_shot"] = str(task.few_shot)
        described["generation_config"] = {"additional_details": details}
    return described


def _lines(
    loaded: Results,
    answers: Answers,
    metrics: MetricsConfig,
    subject: Subject,
    identifier: str,
    stated: dict[str, float],
) -> Iterator[str]:
    """Yield one line per answer, scored by the first metric of its task that has a value for each question."""
    encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
    for name in loaded.tasks:
        rows = loaded.answered_by(answers, name)
        if rows is None:
            continue
        single = [
            key
            for key in stated
            if metrics.metrics[key].task == name
            and metrics.metrics[key].only is None
            and metrics.metrics[key].measure in SCORED
            and available(rows, metrics.metrics[key])
        ]
        correct = rows["correct"].to_pylist()
        scores: list[float | None] = [None if value is None else float(value) for value in correct]
        joined = {}
        if single:
            scores = per_question(rows, metrics.metrics[single[0]]).tolist()
            joined = {"evaluation_result_id": single[0]}
        columns = {key: rows[key].to_pylist() for key in ("id", "reference", "references", "answer")}
        prompts, shared = rows.prompts(), rows.shared_prompts()
        own = (
            {key: _texts(rows.questions[key]) for key in loaded.questions.own if key != "prompt"}
            if loaded.questions
            else {}
        )
        method = "highest log-likelihood" if rows.candidates else "custom"
        for i, identity in enumerate(columns["id"]):
            if correct[i] is None or scores[i] is None:
                continue  # the schema requires a verdict and a score
            references = columns["references"][i] or [text for text in [columns["reference"][i]] if text is not None]
            answer = columns["answer"][i]
            yield encode(
                {
                    "schema_version": SCHEMA_VERSION,
                    "evaluation_id": identifier,
                    "model_id": subject.model_id,
                    "evaluation_name": name,
                    **joined,
                    "sample_id": identity,
                    "sample_hash": hashlib.sha256((shared[i] + "".join(references)).encode()).hexdigest(),
                    "interaction_type": "single_turn",
                    "input": {
                        "raw": shared[i],
                        **({"formatted": prompts[i]} if prompts[i] != shared[i] else {}),
                        "reference": references,
                        **({"choices": list(rows.candidates)} if rows.candidates else {}),
                    },
                    "output": {"raw": [answer]},
                    "answer_attribution": [
                        {
                            "turn_idx": 0, "source": "output.raw", "extracted_value": answer, "extraction_method": method,
                            "is_terminal": True,
                        }
                    ],
                    "evaluation": {"score": scores[i], "is_correct": correct[i]},
                    "metadata": {key: values[i] for key, values in own.items() if values[i] is not None},
                }
            )  # fmt: skip


def _texts(column: pa.ChunkedArray) -> list[str | None]:
    """Write a column's values as text, lists as JSON."""
    values = column.to_pylist()
    if pa.types.is_list(column.type):
        return [None if value is None else json.dumps(value, ensure_ascii=False) for value in values]
    return [None if value is None else str(value) for value in values]
