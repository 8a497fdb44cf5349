"""Load a whole record and check that its parts agree."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from .answers import Answered
from .binding import check_weights
from .checkpoint import TOKENIZER_FILES, base_files, check_hashes, checkpoint_files, hash_files, json_object
from .config import METRICS, ExperimentConfig, MetricsConfig, ProjectConfig
from .criteria import CriteriaConfig, SignificantImprovement
from .errors import InputError, did_you_mean
from .files import Model as Schema
from .files import load_json, load_yaml, sha256_file
from .model import Model, read_model
from .model_name import ModelName, parse_model_name
from .publication import Publication
from .references import BIBLIOGRAPHY
from .results import Results, Run, load_results
from .schemas import BaseTraining, EvaluationResults, TrainingLog
from .splits import Split, dataset_files, file_split, read_splits, split_name
from .study import LoadedStudy, load_study, read_study

PROJECT = Path("configs/project.yaml")
CRITERIA = Path("configs/criteria.yaml")
WORDS = Path("docs/fragments")
"""The author's templates, relative to the repository: what only this project can say."""


@dataclass(frozen=True)
class Record:
    """Everything that was run and declared, validated; read-only.

    Attributes:
        root: Folder that relative paths start from.
        loaded: The results.
        study: The study whose published run the experiment is.
        configs: The files that declare it.
    """

    root: Path
    project: ProjectConfig
    metrics: MetricsConfig
    experiment: ExperimentConfig
    loaded: Results
    publication: Publication | None = None
    criteria: CriteriaConfig = field(default_factory=CriteriaConfig)
    study: LoadedStudy | None = None
    configs: tuple[Path, ...] = ()

    @property
    def results(self) -> EvaluationResults:
        """What `evaluation_results.json` says."""
        return self.loaded.evaluation

    @property
    def results_path(self) -> Path:
        """Where `evaluation_results.json` is."""
        return self.loaded.path

    @cached_property
    def runs(self) -> dict[str, Run]:
        """Every model that was evaluated, by name: the base model, then the published run, then the others."""
        of_study = self.study.runs.values() if self.study else ()
        found = (self.loaded.base, self.loaded.published, *of_study, *self.loaded.others)
        return {run.name: run for run in found if run is not None}

    @property
    def training_log(self) -> TrainingLog | None:
        """The published run's training log, if it is on record."""
        return self.loaded.published.log

    @property
    def has_answers(self) -> bool:
        """Whether both models' answers are on record."""
        return all(run is not None and run.answers is not None for run in (self.loaded.base, self.loaded.published))

    @property
    def tested(self) -> bool:
        """Whether some run's answers are on record: whether statistics have anything to say."""
        return any(run.answers is not None for run in self.runs.values())

    def answered(self, run: str, task: str | None) -> Answered | None:
        """Return the answers of a run, by its name, to the questions of one task, if they are on record."""
        return self.loaded.answered(self.runs[run], task)

    @property
    def report_path(self) -> Path:
        """The final report's path, whether or not it exists."""
        return self.results_path.parent / "final_report.json"

    @property
    def written(self) -> list[Path]:
        """The files that its author wrote: configs, and the words about it."""
        own = [self.root / BIBLIOGRAPHY, self.root / "CHANGELOG.md", *sorted((self.root / WORDS).rglob("*.j2"))]
        files = [*self.configs, self.root / "LICENSE", *own]
        return [path for path in files if path.is_file()]

    @property
    def bibliography(self) -> Path | None:
        """The author's bibliography, if there is one."""
        path = self.root / BIBLIOGRAPHY
        return path if path.is_file() else None

    @property
    def publication_path(self) -> Path:
        """The path of the last publication's receipt, whether or not it exists."""
        return self.results_path.parent / "publication.json"

    @property
    def publication_is_current(self) -> bool:
        """Whether the results on record are the published ones."""
        return self.publication is not None and self.publication.results_sha256 == sha256_file(self.results_path)

    @property
    def checkpoint(self) -> Path:
        """The adapter's folder."""
        return self.root / self.experiment.checkpoint

    @property
    def lacks_adapter(self) -> bool:
        """Whether there is no adapter yet, and the results name none."""
        return not self.checkpoint.is_dir() and self.results.hashes is None

    @property
    def data(self) -> Path:
        """The dataset's folder."""
        return self.root / self.experiment.dataset_config.path

    @cached_property
    def splits(self) -> list[Split]:
        """The dataset's splits; empty if there is no dataset next to the record."""
        return read_splits(self.data, self.project.dataset_counts, PROJECT)

    @property
    def training_split(self) -> Split | None:
        """The training examples of the run: those that its log names, or the first there are."""
        splits = [split for split in self.splits if split.name == "train"]
        hashes = self.training_log.hashes if self.training_log else None
        used = [s for s in splits if hashes and f"{s.config}/{s.name}.parquet" in hashes.data]
        return next(iter(used or splits), None)

    @cached_property
    def published_splits(self) -> list[Split]:
        """The splits of the dataset as it is published: the dataset's, then the questions and every model's answers."""
        if not self.splits or self.loaded.questions is None:
            return self.splits
        answers = {name: run.answers.path for name, run in self.runs.items() if run.answers is not None}
        asked = file_split("questions", "test", self.loaded.questions.path)
        return [*self.splits, asked, *(file_split("answers", split_name(n), path) for n, path in answers.items())]

    @property
    def run_name(self) -> str:
        """Name of the published run."""
        return self.loaded.published.name

    @cached_property
    def further_adapters(self) -> dict[str, Path]:
        """Folders of the further adapters that are published next to the main one, by the run's name."""
        return self.study.adapters(self.root) if self.study else {}

    @property
    def further_folders(self) -> dict[str, Path]:
        """The same by the name of each one's folder in the model's repository."""
        named = self.study.config.also_published if self.study else {}
        return {named[run]: path for run, path in self.further_adapters.items()}

    @property
    def first_stage(self) -> Run | None:
        """The study's run whose adapter the published run continues, if it is on record."""
        start = self.experiment.start_from
        runs = self.study.study.runs if self.study and start else ()
        return next((self.runs[r.name] for r in runs if r.experiment.checkpoint == start and r.name in self.runs), None)

    @cached_property
    def model(self) -> Model:
        """What the checkpoint says of itself."""
        return read_model(self.checkpoint)

    @property
    def pipeline_tag(self) -> str | None:
        """The Hub's name for what the model does, as the author or the checkpoint states it."""
        return self.project.pipeline_tag or (self.model.head.pipeline if self.model.head else None)

    @property
    def resized(self) -> int | None:
        """Number of token embeddings that an adapter was saved with, unless it is known to be the base model's."""
        rows = None if self.model.full else self.model.vocabulary
        base = json_object(self.base_folder / "config.json") if self.base_folder else {}
        return rows if rows != base.get("vocab_size") else None

    @property
    def settings_recorded(self) -> bool:
        """Whether the settings that documents show are known to be those that were run."""
        return self.results.config is not None

    @property
    def checkpoint_has_tokenizer(self) -> bool:
        """Whether a tokenizer is next to the weights; a record without a checkpoint is taken to have one.

        With a full model's config.json, transformers reads a tokenizer of any files; next to an adapter it needs the tokenizer's config.
        """
        names = TOKENIZER_FILES if self.model.full else ("tokenizer_config.json",)
        return not self.checkpoint.is_dir() or any((self.checkpoint / name).is_file() for name in names)

    @cached_property
    def base_folder(self) -> Path | None:
        """The base model's folder, if it is a local one."""
        if self.experiment.base_model is None:
            return None
        name = parse_model_name(self.experiment.base_model)
        folder = self.root / self.experiment.base_model
        # A path into a cache names a model of the Hub.
        return folder if folder.is_dir() and (name.local or name.id == self.experiment.base_model) else None

    @property
    def base_name(self) -> ModelName | None:
        """Name of the base model, without any path; its revision is the config's, or its path's.

        Where the config states none, it is the Hub id that the adapter or the results name.
        """
        stated = self.results.base_model.name if self.results.base_model else None
        own = None if self.model.full else self.model.config.get("base_model_name_or_path")
        found = [parse_model_name(name) for name in (own, stated) if isinstance(name, str) and name]
        if self.experiment.base_model is None:
            return next((name for name in found if not name.local), None)
        name = parse_model_name(self.experiment.base_model)
        return replace(name, revision=self.experiment.base_revision or name.revision)

    @property
    def base_pinned(self) -> str | None:
        """The revision of a base model on the Hub, where config, name or adapter pin it."""
        if self.base_folder is not None:
            return None
        return (self.base_name.revision if self.base_name else None) or self.model.revision

    @cached_property
    def base_training(self) -> BaseTraining | None:
        """How a local base model was pretrained, if its folder says so."""
        if self.base_folder is None or not (self.base_folder / "training.json").is_file():
            return None
        return load_json(self.base_folder / "training.json", BaseTraining)

    def check_adapter(self) -> None:
        """Refuse an adapter that is not the one that was evaluated."""
        files = hash_files(checkpoint_files(self.checkpoint))
        if self.results.hashes is not None:
            check_hashes(files, self.results.hashes.adapter, self.checkpoint, "checkpoint")

    def check_evaluated(self) -> None:
        """Refuse weights and data that are not the ones that were evaluated."""
        self.check_adapter()
        if self.results.hashes is None:
            return
        evaluated = self.results.hashes
        if evaluated.data:
            check_hashes(hash_files(dataset_files(self.data)), evaluated.data, self.data, "dataset")
        self._check_adapters()
        if self.base_folder is not None and evaluated.base:
            check_hashes(hash_files(base_files(self.base_folder)), evaluated.base, self.base_folder, "base model")

    def _check_adapters(self) -> None:
        """Refuse adapters in the repository that are not those that a run was evaluated with, or continued."""
        planned = {run.name: run.experiment for run in self.study.study.runs} if self.study else {}
        for name, experiment in ({self.run_name: self.experiment} | planned).items():
            run = self.runs.get(name)
            known = {experiment.checkpoint: run.hashes.adapter} if run and run.hashes else {}
            if experiment.start_from is not None and run and run.log and run.log.hashes:
                known[experiment.start_from] = run.log.hashes.start
            for place, hashes in known.items():
                folder = self.root / place
                if hashes and folder.is_dir():
                    check_hashes(hash_files(checkpoint_files(folder)), hashes, folder, "checkpoint")


def load_record(
    root: Path,
    *,
    project: Path = PROJECT,
    results: Path | None = None,
    checkpoint: Path | None = None,
) -> Record:
    """Load a record and check it.

    Args:
        root: Folder that relative paths start from.
        project: Project config, which names the experiment.
        results: Evaluation results; `results/NAME/evaluation_results.json` by default.
        checkpoint: The adapter's folder; the one that the experiment names by default.
    """
    project_config = load_yaml(root / project, ProjectConfig)
    config_path = root / project_config.experiment
    experiment = load_yaml(config_path, ExperimentConfig)
    if checkpoint is not None:
        experiment = experiment.model_copy(update={"checkpoint": str(checkpoint)})
    path = root / (results or Path("results") / experiment.experiment_name / "evaluation_results.json")
    metrics = load_yaml(root / METRICS, MetricsConfig)
    study = read_study(Path(project_config.study), root) if project_config.study else None
    if study is not None and study.config.experiment != project_config.experiment:
        about = f"{study.path} is about {study.config.experiment}, not {project_config.experiment}"
        raise InputError(project, f"study: {about}. Remove it, or name another.")
    published = study.config.published if study else "finetuned"
    weights = root / experiment.checkpoint
    found = load_results(path, metrics, experiment, config_path, weights, published)
    check_weights(config_path, experiment, found.evaluation)
    declared = (project, METRICS, CRITERIA, *([study.path] if study else ()))
    return Record(
        root,
        project_config,
        metrics,
        experiment,
        found,
        _receipt(path, project_config),
        _criteria(root / CRITERIA, metrics),
        load_study(root, study, metrics, found) if study else None,
        (config_path, *(root / name for name in declared)),
    )


def _receipt(results: Path, project: ProjectConfig) -> Publication | None:
    """Read the receipt next to the results, unless it is about other results in repositories that this project does not publish."""
    receipt = _next_to(results, "publication.json", Publication)
    if receipt is None or receipt.results_sha256 == sha256_file(results):
        return receipt
    own = {"model": project.model_repo, "dataset": project.dataset_repo, "space": project.space_repo}
    named = [repo.repo_id.split("/")[1] == own[repo.role] for repo in receipt.repos if repo.role in own]
    return receipt if any(named) or not named else None


def _next_to(results: Path, name: str, model: type[Schema]) -> Schema | None:
    """Read a file next to the results, if it is there."""
    path = results.parent / name
    return load_json(path, model) if path.exists() else None


def _criteria(path: Path, metrics: MetricsConfig) -> CriteriaConfig:
    """Read the success criteria, if some are declared; each metric that they name must be a declared primary one."""
    if not path.is_file():
        return CriteriaConfig()
    config = load_yaml(path, CriteriaConfig)
    primary = [key for key, metric in metrics.metrics.items() if metric.primary]
    for key, criterion in config.criteria.items():
        for evidence in criterion.evidence:
            if isinstance(evidence, SignificantImprovement) and evidence.metric not in primary:
                meant = did_you_mean(evidence.metric, primary)
                raise InputError(path, f"criteria.{key}: {evidence.metric} is not a primary metric{meant}")
    return config
