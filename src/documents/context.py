"""What every fragment can see, and the environment that renders it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from jinja2 import Environment, FileSystemBytecodeCache, FileSystemLoader, StrictUndefined

from src.analysis.analyse import Analysis, analyse
from src.figures.catalog import Chart, catalog, render
from src.record.load import Record
from src.record.tokens import split_word

from .formatting import FILTERS

Target = Literal["site", "hub"]
FRAGMENTS = Path(__file__).parent.parent / "fragments"


@dataclass(frozen=True)
class Names:
    """How the Hub's repositories are called; without a namespace while that is not known."""

    model: str
    dataset: str
    base: str | None
    namespace: str | None

    @classmethod
    def of(cls, record: Record, namespace: str | None = None) -> Names:
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
        cache: Folder where the analysis and rendered charts are kept; None to make them anew.
    """

    record: Record
    names: Names
    cache: Path | None = None

    @cached_property
    def analysis(self) -> Analysis:
        """The numbers."""
        return analyse(self.record, self.cache and self.cache / "analysis")

    @cached_property
    def charts(self) -> list[Chart]:
        """The charts that there is data for."""
        return catalog(self.analysis, self.record.training_log)

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
        cache: Folder where compiled templates are kept; None to compile them anew.
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
    env.filters.update(FILTERS)
    env.globals.update(target=target, root=root)
    env.globals["to"] = env.get_template(f"target_{target}.j2").module
    return env


class Renderer:
    """Renders fragments of one context for one target."""

    def __init__(self, context: Context, target: Target, root: str = "") -> None:
        self.context = context
        self.target = target
        self.env = environment(target, root, context.cache)

    def fragment(self, name: str, **extra: Any) -> str:
        """Render one fragment.

        Args:
            name: File name without `.md.j2`.
            **extra: More names for this fragment.

        Returns:
            Markdown without blank lines around it, and never two in a row.
        """
        record = self.context.record
        text = (
            self.env.get_template(f"{name}.md.j2")
            .render(
                record=record,
                project=record.project,
                experiment=record.experiment,
                results=record.results,
                log=record.training_log,
                base_training=record.base_training,
                analysis=self.context.analysis,
                charts={chart.name: chart for chart in self.context.charts},
                names=self.context.names,
                **extra,
            )
            .strip()
        )
        return re.sub(r"\n{3,}", "\n\n", text)
