"""A study: several runs of one experiment, each with another seed or with the changes of its arm (`configs/studies/NAME.yaml`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from .binding import check_settings, check_trained
from .checkpoint import adapter_config, check_hashes, checkpoint_files, hash_files
from .config import ExperimentConfig, MetricsConfig, Name, Strict
from .errors import InputError, did_you_mean
from .files import load_json, load_yaml, parse_yaml, read_text, validate
from .results import Results, Run, further_run
from .schemas import RunResults

BUDGET = ("max_steps", "per_device_train_batch_size", "gradient_accumulation_steps", "sequence_length")
"""Settings of the training that make up its budget, and are the same for all runs of a study."""

FREE_BUDGET = ("max_steps",)
"""Those that an arm with the role `further` may change."""


class Arm(Strict):
    """Runs that differ in nothing but the seed."""

    label: str = Field(description="Name that readers see.")
    role: Literal["main", "control", "further", "start"] = Field(
        description="main: the recipe that is published; control: what a claim about it is compared with; further: another question, "
        "perhaps with another number of steps; start: its adapters are continued by other runs, and are not evaluated."
    )
    stage: int = Field(2, ge=1, le=2, description="Runs of one stage have the same budget.")
    purpose: str = Field(description="What it is for, in a sentence or two.")
    seeds: list[Annotated[int, Field(ge=0)]] = Field(min_length=1, description="Seeds, a run each.")
    start_from: list[str] = Field([], description="The adapter that each run continues, by seed.")
    changes: dict[str, Any] = Field({}, description="Keys of the experiment's config that differ.")


class StudyConfig(Strict):
    """A study (`configs/studies/NAME.yaml`)."""

    study: Name = Field(description="Name of the study and of its folder in checkpoints/.")
    experiment: str = Field(description="Config of the experiment that all runs share.")
    published: str = Field(description="The run whose adapter is published, as ARM-SEED.")
    also_published: dict[str, Name] = Field({}, description="Further runs that are published, each with its folder.")
    arms: dict[Name, Arm] = Field(min_length=1, description="The arms, by name.")

    @model_validator(mode="after")
    def _consistent(self) -> StudyConfig:
        if [arm.role for arm in self.arms.values()].count("main") != 1:
            raise ValueError("one arm needs the role `main`: what controls are compared with")
        if any(len(set(arm.seeds)) < len(arm.seeds) for arm in self.arms.values()):
            raise ValueError("an arm has a seed twice")
        if any(arm.start_from and len(arm.start_from) != len(arm.seeds) for arm in self.arms.values()):
            raise ValueError("`start_from` names one adapter for each seed")
        return self

    @property
    def main(self) -> str:
        """Name of the arm that is published."""
        return next(name for name, arm in self.arms.items() if arm.role == "main")


@dataclass(frozen=True)
class PlannedRun:
    """A run as it is declared: one of a study, or an experiment of its own.

    Attributes:
        name: ARM-SEED, or the experiment's name.
        arm: Its arm; None for an experiment of its own.
        experiment: Everything that is run.
        results: Folder of the record that it is part of.
        work: Folder of what training keeps while it runs.
        further: Whether it is a run of a study other than the published one.
        evaluated: Whether it is asked the test questions; a run that others only continue is not.
        all_scores: Whether the log-likelihoods of all candidates are kept, since the adapter is published.
    """

    name: str
    arm: str | None
    experiment: ExperimentConfig
    results: Path
    work: Path
    further: bool = False
    evaluated: bool = True
    all_scores: bool = True

    @property
    def log(self) -> Path:
        """Where its training log is written: a file of its own, or part of the run's file."""
        return self.results / "runs" / f"{self.name}.json" if self.further else self.results / "training_log.json"

    @property
    def answers(self) -> Path:
        """Where its answers are written."""
        return self.results / "answers" / f"{self.name if self.arm else 'finetuned'}.parquet"


@dataclass(frozen=True)
class Study:
    """A study and its runs, in the order in which they are declared."""

    path: Path
    config: StudyConfig
    runs: tuple[PlannedRun, ...]

    def run(self, name: str) -> PlannedRun:
        """Return a run by its name."""
        found = {run.name: run for run in self.runs}
        if name not in found:
            raise InputError(self.path, f"arms: no run {name}{did_you_mean(name, found)}")
        return found[name]


def read_study(path: Path, root: Path = Path()) -> Study:
    """Read a study and resolve its runs; paths in it start from the root.

    The published run is the experiment itself: it keeps the experiment's name and checkpoint. The others have their checkpoints in the
    study's folder; all are part of the experiment's record.
    """
    config = load_yaml(root / path, StudyConfig)
    shared = root / config.experiment
    settings = parse_yaml(shared, read_text(shared))
    experiment = load_yaml(shared, ExperimentConfig)
    found = Study(
        path,
        config,
        tuple(
            _run(path, config, settings, experiment, name, arm, place)
            for name, arm in config.arms.items()
            for place in range(len(arm.seeds))
        ),
    )
    published = found.run(config.published)
    if published.arm != config.main or published.experiment != experiment:
        expected = f"{config.main}-{experiment.seed}"
        raise InputError(path, f"published: {config.published} is not {expected}, the experiment itself.")
    for name in config.also_published:
        found.run(name)
    return found


def _run(
    path: Path,
    config: StudyConfig,
    settings: dict[str, Any],
    experiment: ExperimentConfig,
    name: str,
    arm: Arm,
    place: int,
) -> PlannedRun:
    run = f"{name}-{arm.seeds[place]}"
    further = run != config.published
    own: dict[str, Any] = {"seed": arm.seeds[place]}
    shared = {"dataset_config": {"path": experiment.dataset_config.path}}  # of the experiment, whatever a run is called
    if arm.start_from:
        own["start_from"] = arm.start_from[place]
    if further:
        folder = "stage-1" if arm.stage == 1 else config.study
        own |= {"experiment_name": run, "checkpoint": f"checkpoints/{folder}/{run}"}
    stated = _merged(_merged(_merged(settings, shared), arm.changes), own)
    resolved = validate(path, stated, ExperimentConfig, f"Correct arms.{name}.changes.")
    free = FREE_BUDGET if arm.role == "further" else ()
    for key in (key for key in BUDGET if key not in free and arm.stage == 2):
        found, expected = getattr(resolved.required_training, key), getattr(experiment.required_training, key)
        if found != expected:
            raise InputError(path, f"arms.{name}.changes.training_config.{key}: {found}, and {expected} in other runs.")
    return PlannedRun(
        name=run,
        arm=name,
        experiment=resolved,
        results=Path("results") / experiment.experiment_name,
        work=Path("runs") / config.study / run,
        further=further,
        evaluated=arm.role != "start",
        all_scores=not further or run in config.also_published,
    )


def _merged(settings: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(settings)
    for key, value in changes.items():
        inner = merged.get(key)
        merged[key] = _merged(inner, value) if isinstance(inner, Mapping) and isinstance(value, Mapping) else value
    return merged


def read_run(path: Path, name: str | None) -> PlannedRun:
    """Read an experiment, or one run of a study."""
    if name is not None:
        return read_study(path).run(name)
    experiment = load_yaml(path, ExperimentConfig)
    folder = experiment.experiment_name
    return PlannedRun(folder, None, experiment, Path("results") / folder, Path("runs") / folder)


@dataclass(frozen=True)
class LoadedStudy:
    """A study with the results of the runs that are done, and what is missing of the others, in words, by the run's name."""

    study: Study
    runs: dict[str, Run]
    missing: dict[str, str]

    @property
    def config(self) -> StudyConfig:
        """What was declared."""
        return self.study.config

    def adapters(self, root: Path) -> dict[str, Path]:
        """Return the checkpoints of the further runs that are published, by the run's name."""
        folders = {}
        for name in self.config.also_published:
            run = self.study.run(name)
            if name not in self.runs:
                raise InputError(self.study.path, f"also_published: {name} is {self.missing[name]}.")
            folder = root / run.experiment.checkpoint
            hashes = self.runs[name].hashes
            if hashes is not None:
                check_hashes(hash_files(checkpoint_files(folder)), hashes.adapter, folder, "checkpoint")
            folders[name] = folder
        return folders

    def done(self, arm: str) -> list[Run]:
        """Return the runs of an arm that are done, in the order of its seeds."""
        return [self.runs[run.name] for run in self.study.runs if run.arm == arm and run.name in self.runs]


def load_study(root: Path, study: Study, metrics: MetricsConfig, published: Results) -> LoadedStudy:
    """Load the results of a study's runs; runs that are not done are not an error."""
    if published.base is None or published.published.answers is None:
        message = f"answers: {study.config.published}, the published run, or the base model has none. Evaluate it."
        raise InputError(published.path, message)
    declared = {run.name for run in study.runs}
    for place in sorted((published.path.parent / "runs").glob("*.json")):
        if place.stem not in declared:  # leaving out a run that was evaluated would be a choice among results
            raise InputError(
                place, f"a run that {study.path} does not declare. Declare it, or remove what is on record of it."
            )
    runs: dict[str, Run] = {}
    missing: dict[str, str] = {}
    for run in study.runs:
        place = root / run.log
        stored = load_json(place, RunResults) if run.further and place.is_file() else None
        if not run.further:
            runs[run.name] = published.published
        elif stored is not None and stored.answers is not None:
            runs[run.name] = _load_run(root, study.path, run, place, stored, metrics, published)
        elif run.evaluated:
            missing[run.name] = "not trained yet" if stored is None else "trained, not evaluated yet"
    return LoadedStudy(study, runs, missing)


def _load_run(
    root: Path, path: Path, run: PlannedRun, place: Path, stored: RunResults, metrics: MetricsConfig, published: Results
) -> Run:
    """Load a further run, and check it against the published one."""
    for part in ("base", "data"):
        found, expected = (getattr(hashes, part, None) for hashes in (stored.hashes, published.evaluation.hashes))
        if found != expected:
            raise InputError(place, f"hashes.{part}: not the published run's. Evaluate it again.")
    log, checkpoint = stored.training_log, root / run.experiment.checkpoint
    if log is not None:
        check_trained(place, log, stored.hashes)
    ran = {"the evaluation": stored.config, "the training": log.config if log else None}
    adapter = adapter_config(checkpoint) if checkpoint.is_dir() else {}
    check_settings(root / path, run.experiment, place, ran, adapter)
    return further_run(published, run.name, place, stored, metrics)
