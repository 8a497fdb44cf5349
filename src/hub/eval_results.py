"""The Hub's own evaluation results: `.eval_results/NAME.yaml` in the model's and the base model's repository."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import huggingface_hub as hf
import yaml

from src.documents.context import Context
from src.exchange.shared import benchmark_tasks
from src.record.config import MetricConfig
from src.record.publication import Publication, Role

from .bundle import Repository, bytes_file
from .client import Hub
from .errors import Refused

FOLDER = ".eval_results"
_COMMIT = re.compile(r"[0-9a-f]{40}")


def file_name(context: Context) -> str:
    """Return where a repository's results lie: one file for the one benchmark."""
    return f"{FOLDER}/{context.record.project.dataset_repo}.yaml"


def entries(context: Context, role: Role, revision: str | None) -> list[hf.EvalResultEntry]:
    """List a model's results, one for each task of the benchmark; a distance, which is better when lower, has no place there.

    Args:
        context: What is published.
        role: `base` or `model`.
        revision: The dataset's commit; None while it is not known.
    """
    record, names = context.record, context.names
    results = record.results.base_model if role == "base" else record.results.finetuned_model
    page = names.url(names.dataset, "dataset")
    if page is None:
        return []
    source = context.record.project.site_url or page
    found = []
    for task in benchmark_tasks(record):
        key = _metric(record.metrics.metrics, results.metrics, task)
        if key is None:
            continue
        found.append(
            hf.EvalResultEntry(
                dataset_id=names.dataset,
                task_id=task,
                value=round(results.metrics[key], 6),
                dataset_revision=revision,
                date=record.results.finished.date().isoformat() if record.results.finished else None,
                source_url=source,
                source_name=record.project.title,
                notes=_notes(
                    record.results.tasks[task].few_shot,
                    record.metrics.metrics[key],
                    choice=record.results.tasks[task].candidates is not None,
                ),
            )
        )
    return found


def _metric(declared: dict[str, MetricConfig], measured: dict[str, float], task: str) -> str | None:
    """Return the metric that stands for a task: a primary one, or the first that is better when higher."""
    fitting = [k for k, m in declared.items() if m.task == task and k in measured and m.direction == "higher"]
    return next((k for k in fitting if declared[k].primary), next(iter(fitting), None))


def _notes(few_shot: int | None, metric: MetricConfig, *, choice: bool) -> str:
    parts = [f"{few_shot}-shot"] if few_shot is not None else []
    return ", ".join([*parts, "log-likelihood choice" if choice else "greedy generation", metric.label])


def with_eval_results(context: Context, repo: Repository, revision: str | None) -> Repository:
    """Return a repository with the Hub's evaluation results in it; others stay as they are."""
    if repo.role not in ("base", "model"):
        return repo
    found = entries(context, repo.role, revision)
    if not found:
        return repo
    text = yaml.safe_dump(hf.eval_result_entries_to_yaml(found), sort_keys=False, allow_unicode=True, width=1000)
    name = file_name(context)
    return replace(repo, files=dict(sorted({**repo.files, name: bytes_file(name, text.encode())}.items())))


def has_results(repos: list[Repository]) -> bool:
    """Tell whether there are evaluation results in any of the repositories."""
    return any(path.startswith(f"{FOLDER}/") for repo in repos for path in repo.files)


def lacks_revision(context: Context, repo: Repository) -> bool:
    """Tell whether a repository holds results that do not name the dataset's commit yet."""
    file = repo.files.get(file_name(context))
    return file is not None and any(e.dataset_revision is None for e in read_entries(file.content.decode()) or ())


def known_revision(
    hub: Hub, context: Context, repos: list[Repository], receipt: Publication | None, folder: Path
) -> str | None:
    """Return the dataset's commit that results refer to, if it will not change; the one they name already, if it holds the same files.

    Args:
        hub: The Hub.
        context: What is published.
        repos: The repositories as they should be.
        receipt: The last publication, for a dataset that is not among them.
        folder: Where what has to be looked at is downloaded.
    """
    dataset = next((repo for repo in repos if repo.role == "dataset"), None)
    now = hub.read(context.names.dataset, "dataset")
    if now is None:
        return None
    if dataset is not None:
        if not now.holds(dataset):
            return None
    else:
        last = receipt.repo("dataset") if receipt is not None and receipt.endpoint == hub.endpoint else None
        if last is None or (last.repo_id, last.commit) != (context.names.dataset, now.head):
            return None
    for named in {_named(hub, context, repo, folder) for repo in repos if repo.role in ("base", "model")} - {
        None,
        now.head,
    }:
        try:
            before = hub.read(context.names.dataset, "dataset", named)
        except Refused:  # no such commit
            continue
        if before is not None and before.files == now.files:
            return named
    return now.head


def _named(hub: Hub, context: Context, repo: Repository, folder: Path) -> str | None:
    """Return the dataset's commit that the results on the Hub name."""
    remote = hub.read(repo.repo_id, repo.kind)
    name = file_name(context)
    if remote is None or name not in remote.files or remote.files[name].size > 100_000:
        return None
    path = hub.call(
        hub.api.hf_hub_download,
        repo.repo_id,
        name,
        repo_type=repo.kind,
        revision=remote.head,
        local_dir=folder / "named" / repo.role,
    )
    found = read_entries(Path(path).read_text(encoding="utf-8", errors="replace"))
    revision = found[0].dataset_revision if found else None
    return revision if isinstance(revision, str) and _COMMIT.fullmatch(revision) else None


def read_entries(text: str) -> list[hf.EvalResultEntry] | None:
    """Parse a file of results; None where it is none."""
    try:
        data: Any = yaml.safe_load(text)
        return hf.parse_eval_result_entries(data) if isinstance(data, list) else None
    except (yaml.YAMLError, KeyError, TypeError, AttributeError, ValueError, RecursionError):
        return None
