"""What the evaluation wrote: `results/NAME/evaluation_results.json` and `training_log.json`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from .config import Name, Strict

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class ModelResults(Strict):
    """One model's metrics."""

    name: str | None = Field(None, description="The model as it was named to the evaluation.")
    metrics: dict[str, Annotated[float, Field(strict=True, ge=-1e100, le=1e100)]] = Field(
        min_length=1, description="Value of each metric."
    )


class FileReference(Strict):
    """A file next to the results, with the hash that it had."""

    file: str = Field(
        pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]*/)?[A-Za-z0-9][A-Za-z0-9._-]*$",
        description="Its name, in this folder or one below.",
    )
    sha256: Sha256
    rows: int | None = Field(None, ge=0)


class PromptField(Strict):
    """What fills one placeholder of a task's template."""

    column: str = Field(description="Column of the questions, or `context` of the answers.")
    form: Literal["text", "ordinal", "letters"] = Field("text", description="As it is, 3 as 3rd, or letter by letter.")


class Task(Strict):
    """How a task's questions were asked and scored."""

    questions: int = Field(ge=1)
    method: str = Field(description="How an answer was obtained.")
    candidates: list[str] | None = Field(None, description="The answers that were chosen from.")
    few_shot: int | None = Field(None, ge=0, description="Solved examples before each question.")
    prefix: str = Field("", description="The solved examples, as they were written before each question.")
    template: str | None = Field(None, description="How a question was written; placeholders are the keys of `fields`.")
    fields: dict[str, PromptField] = Field(default_factory=dict, description="What fills each placeholder.")
    ignores: str | None = Field(None, description="What the control exchanges, such as `the position`.")
    shortcuts: dict[str, str] = Field({}, description="Columns of answers that ignore part of the question, by label.")
    judged: Literal["comparison", "tool"] = Field(
        "comparison", description="By comparing with a reference, or by a tool."
    )
    prompts_differ: str | None = Field(None, description="How the models' prompts differ, in a sentence.")

    @property
    def prompt(self) -> str:
        """What stands before each question, and how one was written."""
        return f"{self.prefix}{self.template or ''}"

    @property
    def shots(self) -> str:
        """The number of solved examples, as documents show it."""
        return "not stated" if self.few_shot is None else str(self.few_shot)


class Environment(Strict):
    """Versions and hardware."""

    python: str | None = None
    system: str | None = None
    packages: dict[str, str]
    cpu: str | None = None
    cores: int | None = None
    threads: int | None = None
    gpu: str | None = None


class GitState(Strict):
    """The code that ran."""

    commit: str = Field(pattern=r"^[0-9a-f]{7,64}$")
    dirty: bool = Field(description="Whether tracked files differed from the commit.")


class Resources(Strict):
    """Time and energy of a run."""

    duration_seconds: float | None = Field(None, ge=0)
    energy_kwh: float | None = Field(None, ge=0)
    emissions_kg: float | None = Field(None, ge=0)
    country_iso_code: str | None = None
    method: str | None = None
    cpu: str | None = None
    gpu: str | None = None
    steps: int | None = None
    steps_measured: int | None = None


class Hashes(Strict):
    """What was used, as SHA-256."""

    base: dict[str, Sha256] = Field({}, description="Files of the base model and its tokenizer.")
    adapter: dict[str, Sha256] = Field(description="Each file of the checkpoint.")
    start: dict[str, Sha256] = Field({}, description="Files of the adapter that training continued.")
    data: dict[str, Sha256] = Field(description="Each Parquet file of the dataset.")


class Source(Strict):
    """Another tool's results that a record was made from."""

    tool: str = Field(description="The tool, with its version where it is stated.")
    files: dict[str, Sha256] = Field(description="Each file that was read, by its name.")
    settings: dict[str, Any] = Field(default_factory=dict, description="What the tool states of the runs.")
    left_out: list[str] = Field(default_factory=list, description="What was not taken over, and why.")


class AnswerFiles(Strict):
    """Both models' answers."""

    base: FileReference | None = None
    finetuned: FileReference


class EvaluationResults(Strict):
    """The results of one experiment; only the fine-tuned model's metrics are required."""

    experiment_name: str | None = None
    config: dict[str, Any] | None = Field(None, description="The whole config of the experiment, as it was run.")
    base_model: ModelResults | None = Field(None, description="Left out where only one model was evaluated.")
    finetuned_model: ModelResults
    runs: list[Name] = Field([], description="Further models, each in `runs/NAME.json`.")
    tasks: dict[str, Task] = Field(default_factory=dict)
    groups: dict[str, list[str]] = Field({}, description="Tasks that are scored together, by the group's name.")
    questions: FileReference | None = Field(None, description="What was asked.")
    answers: AnswerFiles | None = Field(None, description="What both models answered.")
    training_log: FileReference | None = None
    environment: Environment | None = None
    resources: Resources | None = None
    hashes: Hashes | None = None
    git: GitState | None = None
    source: Source | None = None
    finished: datetime | None = Field(None, description="When the evaluation ended.")

    def candidates(self, task: str | None) -> list[str] | None:
        """Return the answers that a task was chosen from; None where there was no choice, or it is not on record."""
        return self.tasks[task].candidates if task in self.tasks else None


class Tracking(Strict):
    """Where the run was tracked."""

    integrations: list[str]
    run_id: str | None = None
    project: str | None = None
    mode: str | None = None
    url: str | None = None
    folder: str | None = None


class LogEntry(Strict):
    """One step of the training log; what was not measured at that step is None."""

    step: int = Field(ge=0)
    loss: float | None = None
    validation_loss: float | None = None
    learning_rate: float | None = None
    grad_norm: float | None = None


class TrainingLog(Strict):
    """What the training wrote."""

    experiment_name: str
    config: dict[str, Any] | None = Field(None, description="The whole config of the experiment, as it was run.")
    best_step: int | None = None
    best_validation_loss: float | None = None
    steps: int = Field(ge=0)
    examples: int | None = Field(None, ge=0)
    sequences: int | None = Field(None, ge=0)
    materials: dict[str, int] = Field({}, description="Examples of each material.")
    used_up: str | None = Field(None, description="The material that ended the mixing.")
    passes: float | None = Field(None, ge=0, description="How often each sequence was seen.")
    parameters: dict[str, int] = Field(description="`trainable` and `total`, as far as they are known.")
    log: list[LogEntry]
    notes: list[str] = Field([], description="What is missing from the log.")
    evaluation: dict[str, float] = Field({}, description="The Trainer's last evaluation.")
    resources: Resources
    tracking: Tracking | None = None
    environment: Environment | None = None
    git: GitState | None = None
    hashes: Hashes | None = None

    def loss_at(self, step: int) -> float | None:
        """Return the last training loss that was logged up to a step."""
        return next((e.loss for e in reversed(self.log) if e.loss is not None and e.step <= step), None)


class RunResults(Strict):
    """A further run (`results/NAME/runs/RUN.json`): what its training wrote, then what its evaluation added."""

    run: str
    name: str | None = Field(None, description="The model as it was named to the evaluation.")
    training_log: TrainingLog | None = None
    config: dict[str, Any] | None = Field(None, description="The whole config of the run, as it was evaluated.")
    metrics: dict[str, float] = Field(default_factory=dict, description="Value of each metric.")
    answers: FileReference | None = None
    hashes: Hashes | None = None
    environment: Environment | None = None
    resources: Resources | None = None
    git: GitState | None = None
    finished: datetime | None = Field(None, description="When the evaluation ended.")


class BaseTraining(Strict):
    """What the pretraining of a local base model wrote (`training.json` in its folder)."""

    config: dict[str, Any]
    corpus_sha256: Sha256
    parameters: int
    books: dict[str, int]
    tokens: dict[str, int]
    held_out_loss: float
    held_out_perplexity: float
    held_out_bits_per_byte: float
    resources: Resources
    compiled: bool
    torch: str
    log: list[dict[str, float]]
    weights_sha256: Sha256
