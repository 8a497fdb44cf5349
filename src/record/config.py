"""The configs of the experiment: what a run was asked to do."""

from __future__ import annotations

import datetime
import json
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    NonNegativeInt,
    ValidationInfo,
    field_validator,
    model_validator,
)

from .errors import InputError, did_you_mean
from .licenses import LICENSES
from .model_name import is_path, recorded_name

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,95}$")]
"""A name that is safe as a file name and as part of a Hub repository id."""


Language = Annotated[str, Field(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})?$")]
"""The code of a language, such as `en` or `pt-BR`; YAML reads `no` without quotes as false."""

Line = Annotated[str, Field(pattern=r"^[^\n]*[^\s][^\n]*$")]
"""A text that stands where a line is expected, such as a title."""


class Strict(BaseModel):
    """A model that refuses unknown keys, non-finite numbers and changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, populate_by_name=True)


class PretrainConfig(Strict):
    """How the small base model is trained from scratch (`configs/pretrain/NAME.yaml`)."""

    name: Name
    seed: int = Field(1, ge=0, description="Seed of the weights and of the order of the windows.")
    vocab_size: int = Field(8192, ge=512, le=65535, description="Size of the byte-level BPE vocabulary.")
    n_layer: int = Field(6, ge=1, description="Transformer blocks.")
    n_head: int = Field(8, ge=1, description="Attention heads a block.")
    n_embd: int = Field(256, ge=8, description="Width of the residual stream.")
    context_length: int = Field(256, ge=8, description="Tokens per window.")
    held_out_every: int = Field(40, ge=2, description="Every Nth book is held out for evaluation.")
    max_steps: int = Field(ge=1, description="Optimizer steps.")
    batch_size: int = Field(16, ge=1, description="Windows per step.")
    learning_rate: float = Field(1.5e-3, gt=0, description="Peak learning rate of AdamW.")
    warmup_steps: int = Field(200, ge=0, description="Steps of linear warm-up; linear decay to zero follows.")
    weight_decay: float = Field(0.1, ge=0, description="AdamW weight decay, on matrices only.")
    max_grad_norm: float = Field(1.0, gt=0, description="Gradient norm that is clipped to.")


_PLACES = frozenset(["output_dir", "logging_dir", "resume_from_checkpoint", "hub_token", "push_to_hub_token"])


def _without_places(value: Any) -> Any:
    """Take paths and tokens of the author's machine out of settings that would be published."""
    if isinstance(value, dict):
        kept = {key: entry for key, entry in value.items() if key not in _PLACES and not is_path(entry)}
        return {key: _without_places(entry) for key, entry in kept.items()}
    return [_without_places(entry) for entry in value if not is_path(entry)] if isinstance(value, list) else value


class Settings(BaseModel):
    """Settings that may hold keys of peft or the Trainer which are not understood here: those are shown as they are stated.

    Paths of the author's machine are not taken.
    """

    model_config = ConfigDict(extra="allow", frozen=True, allow_inf_nan=False, populate_by_name=True)
    __pydantic_extra__: dict[str, JsonValue]

    _of_no_machine = model_validator(mode="before")(_without_places)

    @model_validator(mode="after")
    def _spelled_right(self) -> Self:
        aliases = [f"lora_{name}" for name in ("alpha", "dropout")]
        for key in self.others:  # no other key of peft or the Trainer is as near to one of these
            if near := get_close_matches(key, [*type(self).model_fields, *aliases], 1, cutoff=0.9):
                raise ValueError(f"{key}: did you mean {near[0]}?")
        return self

    @property
    def others(self) -> dict[str, Any]:
        """The keys that are not understood, with their values."""
        return self.__pydantic_extra__ or {}

    @property
    def others_written(self) -> dict[str, str]:
        """The keys that are not understood, with their values as one writes them."""
        return {key: value if isinstance(value, str) else json.dumps(value) for key, value in self.others.items()}


class LoraConfig(Settings):
    """The adapter, in the terms of Hu et al. 2021 (arXiv 2106.09685) and peft."""

    r: int = Field(ge=1, description="Rank of the update matrices.")
    alpha: float = Field(
        gt=0,
        validation_alias=AliasChoices("alpha", "lora_alpha"),
        description="Scale: an update is multiplied by alpha / r. `lora_alpha` is accepted too.",
    )
    dropout: float = Field(
        0.0,
        ge=0,
        lt=1,
        validation_alias=AliasChoices("dropout", "lora_dropout"),
        description="Dropout on the adapter's input. `lora_dropout` is accepted too.",
    )
    target_modules: list[str] | str | None = Field(None, description="Adapted modules, `all-linear` or a pattern.")
    use_rslora: bool = Field(False, description="Whether an update is multiplied by alpha / √r instead.")
    bias: Literal["none", "all", "lora_only"] = Field("none", description="Which biases are trained.")
    modules_to_save: list[str] | None = Field(None, description="Modules that are trained in full.")


class TrainingConfig(Settings):
    """How the model is trained, in the terms of transformers' TrainingArguments."""

    @model_validator(mode="before")
    @classmethod
    def _as_the_trainer_writes_it(cls, given: Any) -> Any:
        """Read the Trainer's own ways of saying that something is not set, and of warming up by a share."""
        if not isinstance(given, dict):
            return given
        read = {
            key: value for key, value in given.items() if key not in ("max_steps", "num_train_epochs") or value != -1
        }
        if isinstance(read.get("report_to"), str):
            read["report_to"] = [] if read["report_to"] == "none" else [read["report_to"]]
        if isinstance(read.get("warmup_steps"), float) and 0 < read["warmup_steps"] < 1:
            read["warmup_ratio"] = read.pop("warmup_steps")
        return read

    learning_rate: float | None = Field(None, gt=0, description="Peak learning rate.")
    loraplus_lr_ratio: float = Field(
        1.0, ge=1, description="Learning rate of B over that of A (LoRA+, arXiv 2402.12354)."
    )
    per_device_train_batch_size: int | None = Field(None, ge=1, description="Sequences per device and step.")
    gradient_accumulation_steps: int = Field(1, ge=1, description="Steps whose gradients are added up.")
    max_steps: int | None = Field(None, ge=1, description="Optimizer steps.")
    num_train_epochs: float | None = Field(None, gt=0, description="Epochs, where no steps are stated.")
    optim: str | None = Field(None, max_length=60, description="The optimizer; AdamW in `src.train`.")
    warmup_steps: int = Field(0, ge=0, description="Steps of linear warm-up.")
    warmup_ratio: float | None = Field(None, ge=0, le=1, description="Share of the steps that warms up.")
    lr_scheduler_type: str = Field("linear", pattern="^[a-z_]{3,40}$", description="How the learning rate falls.")
    weight_decay: float = Field(0.0, ge=0, description="Weight decay.")
    max_grad_norm: float = Field(1.0, ge=0, description="Gradient norm that is clipped to; 0 for no clipping.")
    sequence_length: int = Field(256, ge=16, description="Tokens per packed sequence of examples.")
    completion_only_loss: bool = Field(True, description="Whether the prompt is left out of the loss.")
    bf16: bool = Field(True, description="Whether to compute in bfloat16 where autocast allows.")
    torch_compile: bool = Field(False, description="Whether to compile the model (needs a C++ compiler).")
    eval_steps: int = Field(250, ge=1, description="Steps between two measurements of the validation loss.")
    logging_steps: int = Field(25, ge=1, description="Steps between two entries of the log.")
    report_to: list[str] = Field(
        default_factory=lambda: ["wandb"],
        description="Trainer integrations; W&B runs offline unless WANDB_MODE says otherwise.",
    )

    @property
    def sequences_per_step(self) -> int | None:
        """Sequences that a step sees on one device."""
        size = self.per_device_train_batch_size
        return None if size is None else size * self.gradient_accumulation_steps


class DatasetConfig(Strict):
    """Which dataset is built, and which part of it is trained on."""

    path: str = Field("data", description="Folder of the dataset; data/NAME in an experiment that names none.")
    word_list: str = Field("data/words/words.txt", description="Words that questions are about, one per line.")
    seed: int = Field(1, ge=0, description="Seed of every draw.")
    test_questions: dict[str, NonNegativeInt] = Field(
        default_factory=lambda: {"letter_count": 2400, "letter_position": 2304, "spelling": 1000},
        description="Test questions per task.",
    )
    validation_questions: dict[str, NonNegativeInt] = Field(
        default_factory=lambda: {"letter_count": 600, "letter_position": 576, "spelling": 300},
        description="Validation questions per task.",
    )
    validation_share: float = Field(0.2, gt=0, lt=1, description="Share of the eligible words that validation takes.")
    chains: int = Field(150_000, ge=0, description="Made-up words of two or three tokens in the training data.")
    questions: int = Field(0, ge=0, description="Training questions about made-up words, in the test's wording.")
    question_share: float | None = Field(
        None, gt=0, lt=1, description="Share of the tokens that training questions are about."
    )
    material: tuple[Literal["spelling", "questions"], ...] = Field(
        ("spelling",), min_length=1, max_length=2, description="What is trained on; several are mixed."
    )
    shares: dict[str, Annotated[float, Field(gt=0, lt=1)]] | None = Field(
        None, description="Share of each material; equal shares when left out."
    )
    spelled_tokens: Literal["all", "asked"] = Field(
        "all",
        description="Whether spellings are of all tokens, or only of those that training questions are about, with as many "
        "examples; made-up words are then drawn again.",
    )
    letters: Literal["own", "other_word", "shuffled"] = Field(
        "own",
        description="Which letters a spelling writes out: the word's own; those of another word of the same length, drawn "
        "again for each example (a control that learns what a spelling looks like); or its own in random order.",
    )
    leave_out_position_templates: bool = Field(False, description="Leave out templates with first or last letter.")
    leave_out_count_templates: bool = Field(False, description="Leave out templates with the number of letters.")


QuestionFormat = Annotated[str, Field(pattern=r"^[^{}]*\{question\}[^{}]*$")]
"""How a question is written; `{question}` stands for it, and other braces are refused."""


class FixedQuestion(Strict):
    """A word that is asked about in any case: how many of a letter, and which letter is at a position."""

    word: str = Field(pattern="^[a-z]{2,30}$")
    letter: str = Field(pattern="^[a-z]$")
    position: int = Field(ge=1)


class EvaluationConfig(Strict):
    """How questions are put to both models."""

    few_shot: int = Field(5, ge=0, description="Solved examples before each question, from validation words.")
    example_format: QuestionFormat = Field(
        "Question: {question}\nAnswer:", description="How a question is written; a space and the answer follow."
    )
    reworded: int = Field(0, ge=0, description="Questions of each letter task that are also asked in another wording.")
    fixed: list[FixedQuestion] = Field([], description="Words that are asked about in any case.")
    batch_size: int = Field(256, ge=1, description="Questions per batch.")
    max_new_tokens: int = Field(32, ge=1, description="Longest spelling that is generated, in tokens.")


TRAINED = ("base_model", "start_from", "seed", "lora_config", "training_config", "dataset_config")
"""Parts of an experiment's config that the training depends on."""


def _own_folder(parent: str, data: dict[str, Any]) -> str:
    """Return an experiment's folder in one that experiments share; `data` are the keys that were read before."""
    return f"{parent}/{data.get('experiment_name', 'unnamed')}"


class ExperimentConfig(Strict):
    """One experiment (`configs/experiments/NAME.yaml`)."""

    experiment_name: Name = Field(description="Name of the experiment and of its folder in results/.")
    base_model: str | None = Field(None, description="Hub id or local folder of the base model.")
    base_revision: str | None = Field(None, pattern=r"^[\w.-]{1,100}$", description="Commit, branch or tag of it.")
    start_from: str | None = Field(None, description="Folder of an adapter that training continues.")
    seed: int = Field(1, ge=0, description="Seed of the adapter's weights and of the order of the examples.")
    lora_config: LoraConfig | None = Field(None, description="The adapter; left out where it is not known.")
    training_config: TrainingConfig | None = Field(None, description="Its training; left out where it is not known.")
    dataset_config: DatasetConfig = Field(default_factory=lambda data: DatasetConfig(path=_own_folder("data", data)))
    evaluation_config: EvaluationConfig = Field(default_factory=lambda: EvaluationConfig())
    checkpoint: str = Field(
        default_factory=lambda data: _own_folder("checkpoints", data),
        description="Folder of the trained adapter; checkpoints/NAME when left out.",
    )
    note: str | None = Field(None, description="What a reader should know about the run.")
    country_iso_code: str | None = Field(None, pattern="^[A-Z]{3}$", description="Where the machine is, for emissions.")

    @field_validator("dataset_config", mode="before")
    @classmethod
    def _with_a_folder(cls, given: Any, info: ValidationInfo) -> Any:
        """Give a dataset without a path the experiment's own folder, never another experiment's."""
        return {"path": _own_folder("data", info.data), **given} if isinstance(given, dict) else given

    def as_trained(self) -> dict[str, Any]:
        """Return the settings that decide what the training makes, ready for JSON; file locations are left out."""
        settings = self.model_dump(mode="json", include=set(TRAINED))
        del settings["dataset_config"]["path"]
        return settings

    def as_recorded(self) -> dict[str, Any]:
        """Return the settings as a record keeps them, ready for JSON: without paths of the author's machine."""
        settings = self.model_dump(mode="json")
        places = [(settings, key) for key in ("base_model", "checkpoint", "start_from")]
        places += [(settings["dataset_config"], key) for key in ("path", "word_list")]
        for part, key in places:
            if is_path(part[key]):
                part[key] = recorded_name(Path(), part[key])
        return settings

    @property
    def required_base_model(self) -> str:
        """The base model, where a command cannot do without."""
        return str(self._required(self, "base_model"))

    @property
    def required_lora(self) -> LoraConfig:
        """The adapter's settings, where a command cannot do without."""
        found: LoraConfig = self._required(self, "lora_config")
        return found

    @property
    def required_training(self) -> TrainingConfig:
        """The training's settings, where a command cannot do without."""
        found: TrainingConfig = self._required(self, "training_config")
        for key in ("learning_rate", "per_device_train_batch_size", "max_steps"):
            self._required(found, key)
        return found

    def _required(self, part: BaseModel, key: str) -> Any:
        value = getattr(part, key)
        if value is None:
            raise InputError(f"experiment {self.experiment_name}", f"{key}: missing. Add it to the config.")
        return value


ADDRESS = r"^https://[\w.-]+(:\d{1,5})?(/\S*)?$"
"""An address of the web."""

MIT = "MIT License"
"""Name of the license by default."""


class Uses(Strict):
    """What the model is for, in the author's words."""

    direct: str = Field(description="What it can be used for as it is.")
    downstream: str = Field(description="What it can be built into or fine-tuned for.")
    out_of_scope: str = Field(description="What it should not be used for.")


class Grouping(Strict):
    """What results, or the dataset's rows, are counted by; a plain name is the column by its values."""

    column: str = Field(description="Name of the column: `reference`, or one of the project's own.", max_length=60)
    of: Literal["value", "length"] = Field("value", description="Its values, or their lengths: characters or entries.")
    label: Line | None = Field(None, description="What readers see; made from the name when left out.", max_length=80)

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, given: Any) -> Any:
        return {"column": given} if isinstance(given, str) else given

    @property
    def key(self) -> str:
        """Name of the breakdown, for files."""
        return self.column if self.of == "value" else f"{self.column}_length"

    @property
    def name(self) -> str:
        """What readers see."""
        if self.label is not None:
            return self.label
        return ("Right answer" if self.key == "reference" else self.key.replace("_", " ").strip()).capitalize()


class ProjectConfig(Strict):
    """What is published, and what people wrote about it (`configs/project.yaml`)."""

    title: Line = Field(description="Title of the project.")
    question: Line = Field(description="The question in one line.")
    headline: Line | None = Field(None, description="The question in a few words, for the top of the home page.")
    example_word: str | None = Field(
        None, pattern="^[a-z]{2,30}$", description="Word that the home page shows in tokens."
    )
    example_letter: str | None = Field(None, pattern="^[a-z]$", description="The letter that the headline asks for.")
    summary: str = Field(description="What was done, in a few sentences, without results.")
    experiment: str = Field(description="Config of the experiment that the documents show.")
    study: str | None = Field(None, description="Config of the study that the experiment is the published run of.")
    base_model_note: str | None = Field(None, description="What kind of model the base is.")
    version: Line = Field("0.1.0", description="Version of the publication.")
    date: datetime.date | None = Field(None, description="Date of that version; the evaluation's when left out.")
    language: Language | Annotated[list[Language], Field(min_length=1)] = Field(
        "en", description="ISO 639-1 code of the data's language, or several."
    )
    license: str = Field("mit", description="The Hub's license identifier, or `other`.")
    license_name: Line = Field(MIT, validate_default=True, description="The license in words, if it is not `mit`.")
    license_link: str | None = Field(
        None, pattern=r"^(LICENSE$|https://)", description="Address of the text of the license `other`; or LICENSE."
    )
    authors: list[Line] = Field(default_factory=list, description="Who made it; left out of the documents while empty.")
    namespace: Name | None = Field(None, description="User or organization; the logged-in user by default.")
    model_repo: Name = Field(description="Name of the model repository on the Hub.")
    dataset_repo: Name = Field(description="Name of the dataset repository on the Hub.")
    space_repo: Name | None = Field(None, description="Name of the Space in which visitors try the models.")
    visibility: Literal["public", "private"] = Field("public", description="Who sees verified repositories.")
    allow_secrets: dict[str, list[str]] = Field({}, description="SHA-256 of harmless finds, by `role/path`.")
    repository_url: str | None = Field(None, pattern=ADDRESS, description="Where the code is.")
    site_url: str | None = Field(None, pattern=ADDRESS, description="Where the site is.")
    example_prompt: str | None = Field(
        None,
        min_length=1,
        max_length=2000,
        description="What the snippet asks the model; the first question on record by default.",
    )
    pipeline_tag: str | None = Field(None, pattern=r"^[a-z0-9-]+$", description="The Hub's name for what it does.")
    snippet: str | None = Field(None, description="Python code that uses the model, instead of a pipeline.")
    dataset_counts: list[Grouping] = Field([], description="Columns whose values the dataset's card counts.")
    readme_chart: str | None = Field(None, description="Name of the chart that the README shows.")
    try_it_megabytes: int = Field(50, ge=0, description="Most megabytes that the page Try it loads; 0 for none.")
    tags: list[Line] = Field([], description="Further tags of the model on the Hub.")
    texts: dict[str, str] = Field({}, description="Short texts in Markdown, by the name of their template.")
    uses: Uses
    limitations: list[str] = Field(min_length=1, description="What the model and its evaluation cannot do.")
    risks: list[str] = Field(min_length=1, description="Biases and risks.")
    recommendations: list[str] = Field(min_length=1, description="What users should do about them.")
    acknowledgments: list[str] = Field([], description="Data, software and ideas that the work stands on.")
    introduction: str | None = Field(None, description="Introduction of the report; `[@key]` cites a work.")
    related_work: str | None = Field(None, description="What others found, for the report; cites the same way.")
    future_work: list[str] = Field(default_factory=list, description="What remains to be done, for the report.")

    @field_validator("license")
    @classmethod
    def _known_to_the_hub(cls, value: str) -> str:
        if value not in LICENSES:
            raise ValueError(f"the Hub has no license {value}{did_you_mean(value.lower(), LICENSES) or '; use other'}")
        return value

    @field_validator("license_name")
    @classmethod
    def _names_the_license(cls, value: str, info: ValidationInfo) -> str:
        if info.data.get("license", "mit") != "mit" and value == MIT:
            raise ValueError(f"state the name of the license {info.data['license']}; without it, it is the {MIT}")
        return value

    @property
    def languages(self) -> list[str]:
        """The codes of the languages."""
        return [self.language] if isinstance(self.language, str) else self.language


class Only(Strict):
    """The questions that a metric is limited to: those with a number in a range, or with one value."""

    column: str = Field(description="A column of the questions.", max_length=60)
    equals: str | None = Field(None, description="The value, of a column of text.")
    at_least: float | None = Field(None, description="Smallest value.")
    at_most: float | None = Field(None, description="Largest value.")
    control: str | None = Field(None, pattern="^control_[a-z0-9_]{1,50}$", description="Column with another control.")

    @model_validator(mode="after")
    def _one_kind(self) -> Only:
        if self.equals is not None and (self.at_least is not None or self.at_most is not None):
            raise ValueError("either `equals` or a range")
        return self


class MetricConfig(Strict):
    """One metric (`configs/metrics.yaml`)."""

    label: Line = Field(description="Name that readers see.")
    definition: str = Field(description="What it is, in a sentence.")
    direction: Literal["higher", "lower"] = Field(description="Which way is better.")
    unit: Literal["proportion", "distance", "number"] = Field(
        description="proportion: 0 to 1, shown in per cent; distance: 0 to 1, shown as a number; number: any."
    )
    primary: bool = Field(False, description="Whether it is tested with Holm's correction.")
    task: str | None = Field(None, description="Task whose answers it is computed from.")
    measure: str | None = Field(None, description="How it is computed from an answer: a name of `src.record.measures`.")
    value: str | None = Field(None, pattern="^[a-z0-9_]{1,50}$", description="Its column, for the measure `value`.")
    only: tuple[Only, ...] = Field((), description="The questions that it is limited to, by one column or several.")
    breakdowns: list[Grouping] = Field(default_factory=list, description="What it is broken down by.")

    @field_validator("only", mode="before")
    @classmethod
    def _one_or_several(cls, given: Any) -> Any:
        return (given,) if isinstance(given, dict) else given

    @property
    def control(self) -> str | None:
        """Column of the questions with the control, where it is not the usual one."""
        return next((only.control for only in self.only if only.control), None)

    @model_validator(mode="after")
    def _consistent(self) -> MetricConfig:
        if (self.measure == "value") != (self.value is not None):
            raise ValueError("`value` with the measure `value`, and with no other")
        return self

    @property
    def bounded(self) -> bool:
        """Whether its values are between 0 and 1."""
        return self.unit in ("proportion", "distance")


METRICS = Path("configs/metrics.yaml")


class MetricsConfig(Strict):
    """All metrics, by the key that they have in the results."""

    metrics: dict[str, MetricConfig] = Field(min_length=1)
    significance_level: float = Field(0.05, gt=0, lt=1, description="Level of the tests and intervals.")

    @model_validator(mode="after")
    def _told_apart(self) -> Self:
        labels: dict[str, str] = {}
        for key, metric in self.metrics.items():
            if labels.setdefault(metric.label, key) != key:
                raise ValueError(f"{key} has the label of {labels[metric.label]}, so readers cannot tell them apart")
        return self
