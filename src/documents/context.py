"""What every fragment can see, and the environment that renders it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from jinja2 import (
    Environment,
    FileSystemBytecodeCache,
    FileSystemLoader,
    StrictUndefined,
    TemplateNotFound,
    UndefinedError,
)

from src.analysis.analyse import Analysis, analyse
from src.figures.catalog import Chart, catalog, render
from src.record.config import ExperimentConfig, ProjectConfig
from src.record.errors import InputError
from src.record.load import Record
from src.record.references import BIBLIOGRAPHY, Work
from src.record.tokens import split_word

from .formatting import FILTERS
from .prose import prose, shown, shown_analysis

Target = Literal["site", "hub", "print"]
FRAGMENTS = Path(__file__).parent.parent / "fragments"

CITATION = re.compile(r"\[(@[\w-]+(?:; @[\w-]+)*)\]")
"""How texts cite, as in `[@hu2022; @wilson1927]`; text that is made safe holds neither the brackets nor the sign."""

_SEE = re.compile("\ue000([a-z0-9-]+)\ue001")


@dataclass(frozen=True)
class RepoNames:
    """How the Hub's repositories are called; without a namespace while that is not known."""

    model: str
    dataset: str
    base: str | None
    namespace: str | None

    @classmethod
    def of(cls, record: Record, namespace: str | None = None) -> RepoNames:
        """Derive the names from the record; the namespace is the given one, the config's, or the last publication's."""
        owner = namespace or record.project.namespace or (record.publication and record.publication.namespace) or None
        prefix = f"{owner}/" if owner else ""
        base = record.experiment.base_model
        if record.base_folder is not None:
            base = prefix + record.base_folder.name
        return cls(prefix + record.project.model_repo, prefix + record.project.dataset_repo, base, owner)

    def url(self, repo: str, kind: Literal["model", "dataset"] = "model") -> str | None:
        """Return a repository's address on the Hub, or None while the namespace is not known."""
        if "/" not in repo:
            return None
        return f"https://huggingface.co/{'datasets/' if kind == 'dataset' else ''}{repo}"


@dataclass(frozen=True)
class Context:
    """A record with its analysis, charts and names: all that documents are made from.

    Attributes:
        record: What was run.
        names: How the Hub's repositories are called.
        cache: Folder where the analysis and rendered charts are kept; None to make them again.
        inside_hub: Whether the documents will lie in the repositories that a receipt is about, and so cannot cite it.
    """

    record: Record
    names: RepoNames
    cache: Path | None = None
    inside_hub: bool = False

    @cached_property
    def analysis(self) -> Analysis:
        """The numbers."""
        return analyse(self.record, self.cache and self.cache / "analysis")

    @cached_property
    def project(self) -> ProjectConfig:
        """The project's config as documents show it."""
        return shown(self.record.project)

    @cached_property
    def experiment(self) -> ExperimentConfig:
        """The experiment's config as documents show it."""
        return shown(self.record.experiment)

    @cached_property
    def shown_analysis(self) -> Analysis:
        """The numbers under the names that documents show."""
        return shown_analysis(self.analysis)

    @cached_property
    def charts(self) -> list[Chart]:
        """The charts that there is data for."""
        return catalog(self.analysis, self.record.training_log, self.record.study)

    @cached_property
    def example_tokens(self) -> list[str] | None:
        """The project's example word as the base model's tokens, if both are there."""
        word = self.record.project.example_word
        return split_word(self.record.base_folder, word) if word else None

    def rendered(self, chart: Chart, kind: str) -> bytes:
        """Return a chart as `light.svg`, `dark.svg` or `png`."""
        return render(chart, kind, self.cache and self.cache / "charts")


def _compiled(cache: Path) -> FileSystemBytecodeCache:
    folder = cache / "templates"
    folder.mkdir(parents=True, exist_ok=True)
    return FileSystemBytecodeCache(str(folder))


def environment(target: Target, root: str = "", cache: Path | None = None) -> Environment:
    """Return a Jinja environment for a target; an undefined name is an error.

    Args:
        target: Where the text goes.
        root: Relative path from the page to the root of the site, such as `../`.
        cache: Folder where compiled templates are kept; None to compile them again.
    """
    env = Environment(
        loader=FileSystemLoader(FRAGMENTS),
        extensions=["jinja2.ext.loopcontrols"],
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=False,
        bytecode_cache=_compiled(cache) if cache else None,
    )
    env.filters.update(FILTERS, prose=prose)
    env.globals.update(target=target, root=root)
    env.globals["to"] = env.get_template(f"target_{target}.j2").module
    return env


def compile_fragments(cache: Path) -> None:
    """Compile all fragments ahead of their use, and keep them."""
    env = environment("site", cache=cache)
    for name in env.list_templates(["j2"]):
        env.get_template(name)


class Renderer:
    """Renders the fragments of one document for one target, and knows what they cited, drew and lacked.

    Args:
        context: What the fragments see.
        target: Where the text goes.
        root: Relative path from the page to the root of the site.
        numbered: Whether figures carry numbers.
        lists: Which works the document's own list of references holds. On the site, one without a list points to the report's.
        **extra: More names for all fragments.

    Attributes:
        cited: Keys of the works cited so far.
        figures: RepoNames of the charts shown so far, in order.
        absent: Sentences that say that something is not on record.
    """

    def __init__(
        self,
        context: Context,
        target: Target,
        root: str = "",
        *,
        numbered: bool = False,
        lists: Literal["cited", "all", "none"] = "cited",
        **extra: Any,
    ) -> None:
        self.context = context
        self.target = target
        self.env = environment(target, root, context.cache)
        self.numbered = numbered
        self.lists_all = lists == "all"
        self.works_at = f"{root}report.md" if lists == "none" else ""
        self.extra = extra
        self.cited: list[str] = []
        self.figures: list[str] = []
        self.absent: list[str] = []

    def fragment(self, name: str, **extra: Any) -> str:
        """Render one fragment.

        Args:
            name: File name without `.md.j2`.
            **extra: More names for this fragment.

        Returns:
            Markdown without blank lines around it, and never two in a row.

        Raises:
            InputError: The fragment is missing, names something that does not exist, or cites a work without an entry.
        """
        record = self.context.record
        file = f"src/fragments/{name}.md.j2"
        try:
            text = self.env.get_template(f"{name}.md.j2").render(
                record=record,
                project=self.context.project,
                experiment=self.context.experiment,
                results=record.results,
                log=record.training_log,
                base_training=record.base_training,
                analysis=self.context.shown_analysis,
                charts=self._charts,
                names=self.context.names,
                figure=self._figure,
                see=lambda chart: f"\ue000{chart}\ue001",
                absent=self._absent,
                cited=self._cited_works,
                **{**self.extra, **extra},
            )
        except TemplateNotFound as error:
            raise InputError(
                file, found=f"no fragment {error.name}", expected="a fragment of that name", hint="Restore it."
            ) from None
        except UndefinedError as error:
            raise InputError(
                file,
                found=error.message,
                expected="names that exist",
                hint="Correct the fragment, or declare the name.",
            ) from None
        cited = CITATION.sub(lambda found: self._citation(found, file), text.strip())
        return re.sub(r"\n{3,}", "\n\n", cited)

    def resolve(self, text: str) -> str:
        """Turn references to figures into their numbers, once the whole document is written.

        Raises:
            InputError: A figure is referred to and not shown.
        """

        def number(found: re.Match[str]) -> str:
            name = found[1]
            if name not in self.figures:
                raise InputError(
                    "the report",
                    key=f"see({name!r})",
                    found="a reference to a figure that is not shown",
                    expected=f"one of {', '.join(self.figures) or 'none'}",
                    hint="Show the figure, or take the reference out of its fragment.",
                )
            return str(self._macros.see(name, self.figures.index(name) + 1))

        return _SEE.sub(number, text)

    @property
    def _macros(self) -> Any:
        return self.env.globals["to"]

    @cached_property
    def _charts(self) -> dict[str, Chart]:
        return {chart.name: chart for chart in self.context.charts}

    def _figure(self, name: str) -> str:
        name = name.replace("_", "-")
        if name not in self._charts:
            raise InputError(
                f"the {self.target} text",
                key=f"figure({name!r})",
                found="a figure that is not made",
                expected=f"one of {', '.join(self._charts) or 'none, since the record has no data for charts'}",
                hint="Correct the name in the fragment, or ask for the figure only where the record has its data.",
            )
        self.figures.append(name)
        return str(self._macros.figure(self._charts[name], len(self.figures) if self.numbered else None))

    def _absent(self, sentence: str) -> str:
        self.absent.append(sentence)
        return sentence

    def _cited_works(self) -> list[Work]:
        works = self.context.record.references
        return [work for key, work in works.items() if self.lists_all or key in self.cited]

    def _citation(self, found: re.Match[str], file: str) -> str:
        keys = [key.removeprefix("@") for key in found[1].split("; ")]
        for key in keys:
            if key not in self.context.record.references:
                raise InputError(
                    file,
                    key=f"[@{key}]",
                    found="a citation without an entry",
                    expected=f"a key of {BIBLIOGRAPHY}",
                    hint="Add the entry, or correct the citation.",
                )
        self.cited += keys
        return str(self._macros.cite([self.context.record.references[key] for key in keys], self.works_at))


def check_citations(record: Record) -> None:
    """Check that every work of the bibliography is cited in a fragment or in the project's own texts.

    Raises:
        InputError: The first entry that nothing cites.
    """
    texts = [path.read_text(encoding="utf-8") for path in FRAGMENTS.glob("*.j2")]
    texts.append(record.project.model_dump_json())
    cited = {key.removeprefix("@") for text in texts for found in CITATION.findall(text) for key in found.split("; ")}
    for key in record.references:
        if key not in cited:
            raise InputError(
                record.bibliography,
                key=key,
                found="an entry that nothing cites",
                expected=f"a citation [@{key}] in configs/project.yaml or in a fragment",
                hint="Cite it where it belongs, or remove the entry.",
            )
