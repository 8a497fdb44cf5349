"""What documents are made from: a record with its numbers, its charts, and the names of its repositories."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from jinja2 import Environment
from pydantic import TypeAdapter

from src.analysis.analyse import Analysis, analyse
from src.analysis.inputs import analysis_inputs
from src.cache import cached
from src.figures.catalog import Chart, catalog, render
from src.record.config import ExperimentConfig, ProjectConfig
from src.record.files import parse_json, read_text
from src.record.load import Record
from src.record.model_name import parse_model_name
from src.record.references import Work, read_references

from .claims import conditions
from .demo import Demo, find_demo
from .downloads import downloads
from .prose import prose, shown, shown_analysis
from .snippet import Prompt, snippet_prompt
from .templates import AUTHOR, FRAGMENTS, environment


@dataclass(frozen=True)
class RepoNames:
    """How the Hub's repositories are called; without a namespace while that is not known."""

    model: str
    dataset: str
    base: str | None
    namespace: str | None
    space: str | None = None

    @classmethod
    def of(cls, record: Record, namespace: str | None = None) -> RepoNames:
        """Derive the names from the record; the namespace is the given one, the config's, or the last publication's."""
        owner = namespace or record.project.namespace or (record.publication and record.publication.namespace) or None
        prefix = f"{owner}/" if owner else ""
        base = record.base_name.id if record.base_name else None
        if record.base_folder is not None:
            base = prefix + record.base_folder.name
        elif record.base_name and record.base_name.local:
            base = None  # such as a folder of another machine, which no visitor can load
        space = record.project.space_repo and prefix + record.project.space_repo
        return cls(prefix + record.project.model_repo, prefix + record.project.dataset_repo, base, owner, space)

    def url(self, repo: str, kind: Literal["model", "dataset", "space"] = "model") -> str | None:
        """Return a repository's address on the Hub, or None while the namespace is not known."""
        if "/" not in repo:
            return None
        return f"https://huggingface.co/{'' if kind == 'model' else kind + 's/'}{repo}"


PICTURES = (".png", ".jpg", ".jpeg", ".svg", ".webp")
"""Kinds of pictures that an author can show."""


@dataclass(frozen=True)
class Context:
    """A record with its analysis, charts and names; each is computed once, when it is first asked for.

    Attributes:
        cache: The cache's folder; None for no cache.
        inside_hub: Whether the documents will be in the repositories that a receipt is about, and so cannot cite it.
        base_obstacle: What visitors need to load the base model, as the Hub said.
    """

    record: Record
    names: RepoNames
    cache: Path | None = None
    inside_hub: bool = False
    base_obstacle: str | None = None

    @cached_property
    def analysis(self) -> Analysis:
        """The numbers, from the cache if record and code are the same."""
        adapter, key = TypeAdapter(Analysis), analysis_inputs(self.record)
        data = cached(self.cache, "analysis.json", key, lambda: adapter.dump_json(analyse(self.record)))
        return adapter.validate_json(data)

    def written_by_author(self, name: str) -> bool:
        """Return whether the author wrote a template or a short text of that name."""
        return self.has_template(name) or name in self.project.texts

    def has_template(self, name: str) -> bool:
        """Return whether the author wrote a template of that name, which is shown in place of a short text."""
        return (self.record.root / AUTHOR / f"{name}.md.j2").is_file()

    @cached_property
    def pictures(self) -> dict[str, Path]:
        """The author's own pictures, by file name."""
        folder = self.record.root / AUTHOR / "pictures"
        return {path.name: path for path in sorted(folder.glob("*")) if path.suffix.lower() in PICTURES}

    @cached_property
    def makes_claims(self) -> bool:
        """Whether one of the author's templates makes a claim."""
        folder = self.record.root / AUTHOR
        return any(conditions(self.environment, path.read_text(encoding="utf-8")) for path in folder.rglob("*.j2"))

    @property
    def year(self) -> str:
        """Year of the version: of the project's date, or of the evaluation."""
        finished = self.record.results.finished
        date = self.record.project.date
        return str(date.year) if date else str(finished.year) if finished else "n.d."

    @cached_property
    def project(self) -> ProjectConfig:
        """The project's config as documents show it."""
        return shown(self.record.project)

    @cached_property
    def experiment(self) -> ExperimentConfig:
        """The experiment's config as documents show it: its note is the author's prose, the rest is settings."""
        experiment = self.record.experiment
        base = experiment.base_model
        shown = base if self.record.base_folder or base is None else parse_model_name(base).id
        return experiment.model_copy(update={"note": experiment.note and prose(experiment.note), "base_model": shown})

    @cached_property
    def shown_analysis(self) -> Analysis:
        """The numbers under the names that documents show."""
        return shown_analysis(self.analysis)

    @cached_property
    def charts(self) -> dict[str, Chart]:
        """The charts that there is data for, by name."""
        return {c.name: c for c in catalog(self.analysis, self.record.training_log, self.record.study)}

    @cached_property
    def downloads(self) -> dict[str, bytes]:
        """What readers and other tools can take along, by file name."""
        return downloads(self.record)

    @cached_property
    def demo(self) -> Demo | str:
        """What a browser needs to ask both models, or why it cannot."""
        return find_demo(self.record)

    @property
    def space(self) -> str | None:
        """The Space in which visitors try the models, if one is published: they must be able to read the models."""
        return self.names.space if isinstance(self.demo, Demo) and self.record.project.visibility == "public" else None

    @cached_property
    def example_tokens(self) -> list[str] | None:
        """The project's example word as the base model's tokens, if both are there."""
        word, folder = self.record.project.example_word, self.record.base_folder
        if not word or folder is None or not (folder / "tokenizer.json").is_file():
            return None
        from tokenizers import Tokenizer

        text = read_text(folder / "tokenizer.json")
        parse_json(folder / "tokenizer.json", text)  # the error of Tokenizer names no file
        spaced = f" {word}"  # as in a sentence
        offsets = Tokenizer.from_str(text).encode(spaced, add_special_tokens=False).offsets
        return [part for start, end in offsets if (part := spaced[start:end].strip())]

    @cached_property
    def snippet_prompt(self) -> Prompt:
        """What the card's snippet asks."""
        return snippet_prompt(self.record)

    @cached_property
    def environment(self) -> Environment:
        """The Jinja environment; what a target differs in are its macros and the name `target`."""
        return environment(self.record.root)

    @cached_property
    def works(self) -> dict[str, Work]:
        """The works that can be cited: those that the engine's own fragments cite, and the author's."""
        own = self.record.bibliography
        return read_references(FRAGMENTS / "references.bib", *([own] if own else []))

    def stated(self, section: str) -> set[str]:
        """Return the keys of a section of the experiment's config that documents may state: what was run, or what the config says.

        A default that is not on record was not run.
        """
        config = getattr(self.record.experiment, section) if section else self.record.experiment
        if config is None:
            return set()
        return set(type(config).model_fields) if self.record.settings_recorded else config.model_fields_set

    def rendered(self, chart: Chart, kind: str) -> bytes:
        """Return a chart as `light.svg`, `dark.svg` or `png`."""
        return render(chart, kind, self.cache)
