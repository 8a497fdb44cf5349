"""A study: several runs of one experiment, each with another seed or with the changes of its arm (`configs/studies/NAME.yaml`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import pyarrow.parquet as pq
from pydantic import Field

from .checkpoint import check_hashes, checkpoint_files, hash_files
from .config import ExperimentConfig, MetricsConfig, Name, Strict
from .errors import InputError
from .files import load_yaml, parse_yaml, read_text, validate
from .results import Results, load_results
from .splits import Split

BUDGET = ("max_steps", "per_device_train_batch_size", "gradient_accumulation_steps", "sequence_length")
"""Settings of the training that make up its budget, and are the same for all runs of a study."""


class Arm(Strict):
    """Runs that differ in nothing but the seed."""

    label: str = Field(description="Name that readers see.")
    role: Literal["main", "control", "further"] = Field(
        description="main: the recipe that is published; control: what a claim about it is compared with; further: another question."
    )
    purpose: str = Field(description="What it is for, in a sentence or two.")
    seeds: list[Annotated[int, Field(ge=0)]] = Field(min_length=1, description="Seeds, a run each.")
    changes: dict[str, Any] = Field(
        default_factory=dict, description="Keys of the experiment's config that differ, nested as they are there."
    )


class StudyConfig(Strict):
    """A study (`configs/studies/NAME.yaml`)."""

    study: Name = Field(description="Name of the study and of its folder in results/.")
    experiment: str = Field(description="Config of the experiment that all runs share.")
    published: str = Field(description="The run whose adapter is published, as ARM-SEED.")
    arms: dict[Name, Arm] = Field(min_length=1, description="The arms, by name.")


@dataclass(frozen=True)
class Run:
    """One run of a study, or an experiment of its own.

    Attributes:
        name: ARM-SEED, or the experiment's name.
        arm: Its arm; None for an experiment of its own.
        experiment: Everything that is run.
        results: Folder of its results.
        work: Folder of what training keeps while it is under way.
    """

    name: str
    arm: str | None
    experiment: ExperimentConfig
    results: Path
    work: Path


@dataclass(frozen=True)
class Study:
    """A study and its runs, in the order in which they are declared."""

    path: Path
    config: StudyConfig
    runs: tuple[Run, ...]

    def run(self, name: str) -> Run:
        """Return a run by its name.

        Raises:
            InputError: There is no such run.
        """
        found = next((run for run in self.runs if run.name == name), None)
        if found is None:
            names = ", ".join(run.name for run in self.runs)
            raise InputError(
                self.path, key="arms", found=f"no run {name}", expected=f"one of {names}", hint="Name one of these."
            )
        return found


def read_study(path: Path, root: Path = Path()) -> Study:
    """Read a study and resolve its runs; paths in it start from the root.

    The published run is the experiment itself: it keeps the experiment's name, checkpoint and results. The others have theirs in
    folders of the study.

    Raises:
        InputError: A file is missing or malformed, a seed comes twice, there is not exactly one main arm, the published run is not
            the experiment itself, or a run has another budget than the others.
    """
    config = load_yaml(root / path, StudyConfig)
    mains = [name for name, arm in config.arms.items() if arm.role == "main"]
    if len(mains) != 1:
        raise _refused(
            path, "arms", f"{len(mains)} arms with the role main", "exactly one, which the controls are compared with"
        )
    for name, arm in config.arms.items():
        twice = next((seed for seed in arm.seeds if arm.seeds.count(seed) > 1), None)
        if twice is not None:
            raise _refused(path, f"arms.{name}.seeds", f"{twice} twice", "each seed once")
    shared = root / config.experiment
    settings = parse_yaml(shared, read_text(shared, "Correct `experiment` in the study."))
    experiment = load_yaml(shared, ExperimentConfig)
    runs = tuple(
        _run(path, config, settings, experiment, name, arm, seed)
        for name, arm in config.arms.items()
        for seed in arm.seeds
    )
    published = next((run for run in runs if run.name == config.published), None)
    if published is None or published.arm != mains[0] or published.experiment != experiment:
        raise _refused(
            path,
            "published",
            config.published,
            f"the run of {mains[0]} with the seed of {config.experiment}, {experiment.seed}",
        )
    return Study(path, config, runs)


def _run(
    path: Path,
    config: StudyConfig,
    settings: dict[str, Any],
    experiment: ExperimentConfig,
    name: str,
    arm: Arm,
    seed: int,
) -> Run:
    run = f"{name}-{seed}"
    if run == config.published:
        folder = experiment.experiment_name
        own: dict[str, Any] = {"seed": seed}
    else:
        folder = f"{config.study}/{run}"
        own = {"seed": seed, "experiment_name": run, "checkpoint": f"checkpoints/{folder}"}
    resolved = validate(
        path,
        _merged(_merged(settings, arm.changes), own),
        ExperimentConfig,
        f"Correct arms.{name}.changes; its keys are those of an experiment.",
    )
    for key in BUDGET:
        found, expected = getattr(resolved.required_training, key), getattr(experiment.required_training, key)
        if found != expected:
            raise _refused(
                path, f"arms.{name}.changes.training_config.{key}", found, f"{expected}, as in {config.experiment}"
            )
    return Run(run, name, resolved, Path("results") / folder, Path("runs") / folder)


def _merged(settings: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(settings)
    for key, value in changes.items():
        inner = merged.get(key)
        merged[key] = _merged(inner, value) if isinstance(inner, Mapping) and isinstance(value, Mapping) else value
    return merged


def _refused(path: Path, key: str, found: object, expected: str) -> InputError:
    return InputError(path, key=key, found=found, expected=expected, hint="Correct the study's config.")


def read_run(path: Path, name: str | None) -> Run:
    """Read an experiment, or one run of a study.

    Args:
        path: Config of an experiment; with `name`, of a study.
        name: The run.

    Raises:
        InputError: The config is missing or malformed, or has no such run.
    """
    if name is not None:
        return read_study(path).run(name)
    experiment = load_yaml(path, ExperimentConfig)
    folder = experiment.experiment_name
    return Run(folder, None, experiment, Path("results") / folder, Path("runs") / folder)


@dataclass(frozen=True)
class LoadedStudy:
    """A study with the results of the runs that are done.

    Attributes:
        study: What was to be run.
        results: The results of each run that is done, by name.
        missing: What is not done yet, by the run's name, in words.
    """

    study: Study
    results: dict[str, Results]
    missing: dict[str, str]

    @property
    def config(self) -> StudyConfig:
        """What was declared."""
        return self.study.config

    @cached_property
    def main(self) -> str:
        """Name of the arm that is published."""
        return next(name for name, arm in self.config.arms.items() if arm.role == "main")

    def prediction_splits(self) -> list[Split]:
        """Return the predictions of every run as splits of a dataset; a split's name may hold no hyphen."""
        return [
            Split(
                config="predictions",
                name=name.replace("-", "_").replace(".", "_"),
                path=found.predictions.path,
                rows=len(found.predictions),
                columns={field.name: str(field.type) for field in pq.read_schema(found.predictions.path)},
                sample=[],
                examples={},
                counts={},
            )
            for name, found in self.results.items()
            if found.predictions is not None
        ]

    def adapters(self, root: Path) -> dict[str, Path]:
        """Return the checkpoints of the runs that are not the published one, by the run's name.

        Raises:
            InputError: A checkpoint is not the one that was evaluated.
        """
        folders = {}
        for run in self.study.runs:
            found = self.results.get(run.name)
            if found is None or run.name == self.config.published:
                continue
            folder = root / run.experiment.checkpoint
            if found.evaluation.hashes is not None:
                check_hashes(
                    hash_files(checkpoint_files(folder)), found.evaluation.hashes.adapter, folder, "checkpoint"
                )
            folders[run.name] = folder
        return folders

    def done(self, arm: str) -> list[Run]:
        """Return the runs of an arm that are done, in the order of its seeds."""
        return [run for run in self.study.runs if run.arm == arm and run.name in self.results]


def load_study(root: Path, path: Path, metrics: MetricsConfig, published: Results) -> LoadedStudy:
    """Load the results of a study's runs; runs that are not done are no error.

    Args:
        root: Folder that relative paths start from.
        path: The study's config.
        metrics: The declared metrics.
        published: The results of the published run, which were loaded before.

    Raises:
        InputError: The study or the results of a run are malformed, or a run was made with other settings, another base model or other
            data than the study says.
    """
    study = read_study(path, root)
    results: dict[str, Results] = {}
    missing: dict[str, str] = {}
    for run in study.runs:
        place = root / run.results / "evaluation_results.json"
        if run.name == study.config.published:
            found = published
        elif not place.is_file():
            trained = (place.parent / "training_log.json").is_file()
            missing[run.name] = "trained, and not evaluated yet" if trained else "not trained yet"
            continue
        else:
            found = load_results(place, metrics, run.experiment, root / path, root / run.experiment.checkpoint)
        problem = _unlike(found, published)
        if problem is not None:
            key, expected = problem
            raise InputError(
                found.path,
                key=key,
                found="another one than the published run's",
                expected=expected,
                hint=f"Evaluate {run.name} again, or take it out of {path}.",
            )
        if found.predictions is None:
            missing[run.name] = "evaluated without predictions, so it cannot be compared"
            continue
        results[run.name] = found
    return LoadedStudy(study, results, missing)


def _unlike(found: Results, published: Results) -> tuple[str, str] | None:
    """Return what differs between a run and the published one and must not."""
    a, b = found.evaluation.hashes, published.evaluation.hashes
    if a is None or b is None:
        return None if a is b else ("hashes", "hashes of base model and data in all runs or in none")
    if a.base != b.base:
        return "hashes.base", "the same base model in every run"
    if a.data != b.data:
        return "hashes.data", "the same dataset in every run"
    if found.predictions is not None and published.predictions is not None:
        ids = [r.table["id"] for r in (found.predictions, published.predictions)]
        if not ids[0].equals(ids[1]):
            return "predictions", "the same questions in the same order in every run"
        columns = [
            {field.name: field.type for field in pq.read_schema(r.path)}
            for r in (found.predictions, published.predictions)
        ]
        if columns[0] != columns[1]:
            return "predictions", "the same columns in every run, since all are splits of one dataset"
    return None
