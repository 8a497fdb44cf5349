"""The report as PDF: pandoc with citeproc writes Typst, Typst sets it; the same record gives the same bytes."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

from src.cache import cached
from src.figures.catalog import Chart, drawn_from
from src.record.errors import InputError, show
from src.record.files import sha256_file

from .context import Context
from .templates import FRAGMENTS

PICTURE_STYLE = (
    "<style>rect{fill:#f6f6f8;stroke:#1d5f8f}text{font-family:'Libertinus Serif';font-size:15px;text-anchor:middle;fill:#1f1f24}"
    "text.note{font-size:11.5px;fill:#55555f}path{fill:none;stroke:#6b7280;stroke-width:1.4}path.head{fill:#6b7280;stroke:none}</style>"
)
"""How the pipeline's picture looks in print; on the site, the site's own style does it."""

PIPELINE = "author/pipeline.svg.j2"
"""The author's picture of the pipeline, which the text may show."""

_CODE = Path(__file__).read_text(encoding="utf-8")

LUA, TYPST = FRAGMENTS / "report.lua", FRAGMENTS / "report.typ"

_MARKDOWN = "markdown-smart-raw_html-raw_tex-tex_math_single_backslash-yaml_metadata_block-simple_tables-multiline_tables-grid_tables-line_blocks-example_lists+lists_without_preceding_blankline"
_TIMEOUT = 120

DISPLAYED = "\n\x20-\x7e\xa0-\u03ff\u0400-\u04ff\u1e00-\u1fff\u2010-\u2040\u2070-\u20bf\u2190-\u23ff\u2500-\u25ff\ufffd"
"""Ranges of characters that the fonts of the PDF have: Latin, Greek, Cyrillic, marks and signs."""

_OTHERS = re.compile(f"[^{DISPLAYED}]")


def pdf_missing() -> str | None:
    """Say which extra to install if the PDF cannot be made; None if it can."""
    missing = [name for name in ("pypandoc", "typst") if importlib.util.find_spec(name) is None]
    if not missing:
        return None
    return f'{" and ".join(missing)} not installed, which the PDF needs: pip install -c constraints.txt -e ".[report]"'


def report_pdf(context: Context, body: str) -> bytes:
    """Make the report as PDF, or take it from the cache; it follows PDF/UA-1, with fonts that Typst brings along."""
    if missing := pdf_missing():
        raise InputError("the report as PDF", f"{missing}.")
    body = displayable(body)
    metadata = displayable(json.dumps(_metadata(context), ensure_ascii=False, sort_keys=True))
    pictures = [chart for chart in context.charts.values() if f'file="charts/{chart.name}.svg"' in body]
    drawn = [part for chart in pictures for part in drawn_from(chart)]
    sources = [path.read_text(encoding="utf-8") for path in (LUA, TYPST, *_bibliographies(context))]
    versions = version("pypandoc_binary"), version("typst")
    key = [_CODE, body, metadata, _pipeline(context, body), *drawn, *sources, *versions]
    return cached(context.cache, "report.pdf", key, lambda: _make(context, body, metadata, pictures))


def _make(context: Context, body: str, metadata: str, pictures: list[Chart]) -> bytes:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "charts").mkdir()
        for chart in pictures:
            (folder / "charts" / f"{chart.name}.svg").write_bytes(context.rendered(chart, "light.svg"))
        if picture := _pipeline(context, body):
            (folder / "pipeline.svg").write_text(picture, encoding="utf-8")
        _run_pandoc(body, metadata, context, folder)
        return _typeset(folder)


def _pipeline(context: Context, body: str) -> str:
    """Return the author's picture of the pipeline, if the text shows it."""
    shown = 'file="pipeline.svg"' in body
    return context.environment.get_template(PIPELINE).render(style=PICTURE_STYLE) if shown else ""


def displayable(text: str) -> str:
    """Name each character that no font of the PDF has, as in `‹U+6F22›`, and keep numbers and their unit on one line."""
    named = _OTHERS.sub(lambda found: f"‹U+{ord(found[0]):04X}›", text)
    return re.sub(r"(?<=\d) %", "\N{NO-BREAK SPACE}%", named)


def _bibliographies(context: Context) -> list[Path]:
    return [path for path in (FRAGMENTS / "references.bib", context.record.bibliography) if path]


def _metadata(context: Context) -> dict[str, object]:
    record, names = context.record, context.names
    facts = [
        ("Version", f"{record.project.version}, {record.project.license_name}"),
        ("Model", f"`{names.model}`"),
        ("Base model", f"`{names.base}`" if names.base else "not stated in the experiment's config"),
        *([("Dataset", f"`{names.dataset}`")] if record.splits else []),
        ("Record", f"`{record.results_path.name}`, SHA-256 `{sha256_file(record.results_path)[:16]}…`"),
    ]
    if record.results.git is not None:
        changed = ", with uncommitted changes" if record.results.git.dirty else ""
        facts.append(("Evaluated with", f"commit `{record.results.git.commit[:12]}`{changed}"))
    return {
        "title": record.project.title,
        "subtitle": record.project.question,
        "authors": record.project.authors,
        "version": record.project.version,
        "keywords": record.project.tags,
        "text-language": record.project.languages[0].split("-")[0],  # pandoc would look for translations of `lang`
        "facts": [{"name": name, "value": value} for name, value in facts],
        "link-citations": True,
        "link-bibliography": True,
    }


def _run_pandoc(body: str, metadata: str, context: Context, folder: Path) -> None:
    """Let pandoc write Typst."""
    import pypandoc

    for name, text in (("report.md", body), ("metadata.json", metadata)):
        (folder / name).write_text(text, encoding="utf-8")
    command = [
        pypandoc.get_pandoc_path(), "report.md", f"--from={_MARKDOWN}", "--to=typst", "--standalone", "--sandbox",
        "--columns=100000", "--wrap=none", "--shift-heading-level-by=-1", "--citeproc",
        *(f"--bibliography={path.absolute()}" for path in _bibliographies(context)),
        f"--lua-filter={LUA}", f"--template={TYPST}", "--metadata-file=metadata.json", "--output=report.typ",
    ]  # fmt: skip
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_TIMEOUT)
    except subprocess.TimeoutExpired:
        raise InputError("the report as PDF", f"no answer of pandoc within {_TIMEOUT} s. Shorten the texts.") from None
    if done.returncode or done.stderr.strip():
        said = (done.stderr.strip() or str(done.returncode)).splitlines()[0]
        raise InputError("the report as PDF", f"pandoc: {show(said)}. Correct that text.")


def _typeset(folder: Path) -> bytes:
    import typst

    options: dict[str, Any] = {"root": folder, "ignore_system_fonts": True, "pdf_standards": ["ua-1"], "timestamp": 0}
    try:
        data, warnings = typst.compile_with_warnings(folder / "report.typ", format="pdf", **options)
        faults = [warning.message for warning in warnings]
    except typst.TypstError as error:
        data, faults = None, [" ".join([error.message.rstrip(), *error.hints])]
    if faults or not isinstance(data, bytes):
        said = show(faults[0]) if faults else "no PDF"
        raise InputError("the report as PDF", f"Typst: {said}. Correct that text or picture.")
    return data
