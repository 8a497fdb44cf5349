"""Success criteria, decided by evidence: met, not met, or not decided yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from src.record.criteria import (
    CompleteDocuments,
    EvidenceConfig,
    SignificantImprovement,
    TrackingRun,
    VerifiedPublication,
)
from src.record.load import Record

from .analyse import Analysis
from .evidence import Comparison

Decision = Literal["met", "not met", "not decided yet"]


@dataclass(frozen=True)
class Completeness:
    """How much of a document's list of sections it holds: their number, the titles of missing ones and of those that say nothing."""

    sections: int
    missing: tuple[str, ...] = ()
    empty: tuple[str, ...] = ()


@dataclass(frozen=True)
class Evidence:
    """What one kind of evidence says, and the facts it stands on; the words for a reason are a fragment's."""

    kind: str
    outcome: Decision
    reason: str
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Criterion:
    """One criterion, decided."""

    key: str
    label: str
    outcome: Decision
    evidence: tuple[Evidence, ...]


def decide(
    record: Record, analysis: Analysis, documents: Mapping[str, Completeness], *, inside_hub: bool = False
) -> tuple[Criterion, ...]:
    """Decide every declared criterion.

    Args:
        record: Holds the declarations, the receipt and the tracking run.
        analysis: Holds the tests.
        documents: Completeness of each document, by name.
        inside_hub: Whether the outcome will be in the repositories themselves. There no receipt can be cited, since it names
            the commit that it would be part of, so a publication is not decided.

    Returns:
        The criteria in the order of the declaration. One is met if all of its evidence is, and not met if any is not.
    """
    found = []
    for key, criterion in record.criteria.criteria.items():
        evidence = tuple(_evidence(e, record, analysis, documents, inside_hub) for e in criterion.evidence)
        outcomes = {e.outcome for e in evidence}
        outcome: Decision = "met" if outcomes == {"met"} else "not met" if "not met" in outcomes else "not decided yet"
        found.append(Criterion(key, criterion.label, outcome, evidence))
    return tuple(found)


def _evidence(
    config: EvidenceConfig,
    record: Record,
    analysis: Analysis,
    documents: Mapping[str, Completeness],
    inside_hub: bool,
) -> Evidence:
    match config:
        case SignificantImprovement():
            return _improvement(config, analysis)
        case CompleteDocuments():
            return _documents(config, documents)
        case VerifiedPublication():
            return _publication(config, record, inside_hub)
        case TrackingRun():
            return _tracking(config, record)


def _improvement(config: SignificantImprovement, analysis: Analysis) -> Evidence:
    result = next((m for m in analysis.metrics if m.key == config.metric), None)
    facts: dict[str, Any] = {"metric": config.metric, "level": analysis.level, "arm": config.arm}
    runs: tuple[Comparison, ...] = () if result is None else (result.run,)
    if config.arm is not None:
        arms = analysis.study.all_arms if analysis.study else ()
        found = [
            arm.metrics[config.metric].runs for arm in arms if arm.name == config.arm and config.metric in arm.metrics
        ]
        runs = found[0] if found else ()
    if result is None or not runs:
        return Evidence(config.kind, "not decided yet", "not measured", facts)
    run = max(runs, key=lambda each: each.verdict != "improved")  # one that did not improve decides
    facts |= {name: getattr(run, name) for name in ("verdict", "change", "test", "p_adjusted")}
    facts |= {name: getattr(run.figures, name) for name in ("value", "control", "control_p", "answered")}
    if run.verdict == "not tested":
        return Evidence(config.kind, "not decided yet", "not tested", facts)
    return Evidence(config.kind, "met" if run.verdict == "improved" else "not met", "tested", facts)


def _documents(config: CompleteDocuments, documents: Mapping[str, Completeness]) -> Evidence:
    named = {name: documents[name] for name in config.documents if name in documents}
    facts: dict[str, Any] = {
        name: {"sections": c.sections, "missing": list(c.missing), "empty": list(c.empty)} for name, c in named.items()
    }
    absent = [name for name in config.documents if name not in named]
    if absent:
        return Evidence(config.kind, "not met", "no document", facts | {"absent": absent})
    missing = any(c.missing or c.empty for c in named.values())
    return Evidence(config.kind, "not met" if missing else "met", "missing" if missing else "complete", facts)


def _publication(config: VerifiedPublication, record: Record, inside_hub: bool) -> Evidence:
    receipt = record.publication
    if inside_hub:
        return Evidence(config.kind, "not decided yet", "inside", {"endpoint": config.endpoint})
    if receipt is None:
        return Evidence(config.kind, "not decided yet", "no receipt", {"endpoint": config.endpoint})
    facts = {
        "endpoint": receipt.endpoint,
        "time": receipt.time.isoformat(),
        "commits": {repo.repo_id: repo.commit for repo in receipt.repos},
        "visibility": {repo.repo_id: repo.visibility for repo in receipt.repos},
        "checks": {name: receipt.count(name) for name in ("passed", "failed", "not checked")},
    }
    there = {repo.role for repo in receipt.repos}
    absent = [role for role in config.repositories if role not in there]
    if receipt.endpoint.rstrip("/") != config.endpoint.rstrip("/"):
        return Evidence(config.kind, "not decided yet", "elsewhere", facts | {"wanted": config.endpoint})
    if receipt.count("failed"):
        return Evidence(config.kind, "not met", "failed", facts)
    if not record.publication_is_current:
        return Evidence(config.kind, "not decided yet", "older", facts)
    if absent:
        return Evidence(config.kind, "not decided yet", "absent", facts | {"absent": absent})
    if receipt.count("not checked"):
        return Evidence(config.kind, "not decided yet", "unchecked", facts)
    return Evidence(config.kind, "met", "verified", facts)


def _tracking(config: TrackingRun, record: Record) -> Evidence:
    facts: dict[str, Any] = {"integration": config.integration}
    if record.training_log is None:
        return Evidence(config.kind, "not decided yet", "no log", facts)
    run = record.training_log.tracking
    if run is None or config.integration not in run.integrations or run.run_id is None:
        return Evidence(config.kind, "not met", "not tracked", facts)
    facts |= {"run_id": run.run_id, "project": run.project, "mode": run.mode, "folder": run.folder, "url": run.url}
    return Evidence(config.kind, "met", "tracked", facts)
