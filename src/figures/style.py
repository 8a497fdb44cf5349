"""How every chart looks, in both color schemes, and how it is saved."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from src import ENGINE
from src.record.files import sha256_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Scheme:
    """Colors of one scheme, checked for contrast of at least 3:1 against the page behind."""

    text: str
    faint: str
    base: str
    finetuned: str
    accent: str


LIGHT = Scheme(text="#1f1f24", faint="#d7d7de", base="#6b7280", finetuned="#b4234a", accent="#1d6fa5")
DARK = Scheme(text="#e6e6eb", faint="#474a57", base="#a3a9b8", finetuned="#ff8fa8", accent="#6fb7e6")

FONTS = tuple(sorted((Path(__file__).parent / "fonts").glob("*.ttf")))
"""The site's typeface, Inter, as outlines that Matplotlib reads; license: docs/assets/fonts/inter-OFL.txt."""

_CODE = Path(__file__).read_text(encoding="utf-8")


@cache
def fingerprint() -> str:
    """Return what every drawing follows from besides its data and its own code, for the cache."""
    return "".join((version("matplotlib"), _CODE, *map(sha256_file, FONTS)))


@cache
def _add_fonts() -> None:
    from matplotlib.font_manager import fontManager

    for path in FONTS:
        fontManager.addfont(path)


@contextmanager
def styled(scheme: Scheme) -> Iterator[None]:
    """Draw with the project's style in a scheme."""
    import matplotlib as mpl

    _add_fonts()
    settings: dict[Any, Any] = {
        "font.family": ["Inter", "DejaVu Sans"],  # the second one where Inter lacks a sign
        "font.size": 10,
        "axes.edgecolor": scheme.faint,
        "axes.labelcolor": scheme.text,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": scheme.faint,
        "grid.linewidth": 0.6,
        "text.color": scheme.text,
        "xtick.color": scheme.text,
        "ytick.color": scheme.text,
        "legend.frameon": False,
        "figure.constrained_layout.use": True,
        "text.parse_math": False,  # a label with two dollar signs is not a formula
        "svg.fonttype": "path",
        "svg.hashsalt": ENGINE,
        "figure.facecolor": "none",
        "axes.facecolor": "none",
        "savefig.facecolor": "none",
    }
    with mpl.rc_context(settings):
        yield


@cache
def _letters() -> frozenset[int]:
    """Return the code points that the charts' fonts can draw."""
    from matplotlib import get_data_path
    from matplotlib.ft2font import FT2Font

    paths = [*FONTS, Path(get_data_path()) / "fonts/ttf/DejaVuSans.ttf"]
    return frozenset(code for path in paths for code in FT2Font(str(path)).get_charmap()) | {ord("\n")}


def legible(text: str) -> str:
    """Name each letter that no font of the charts has, as in `‹U+6F22›`."""
    return "".join(letter if ord(letter) in _letters() else f"‹U+{ord(letter):04X}›" for letter in text)


def _make_legible(figure: Figure) -> None:
    """Name the letters that cannot be drawn in every text of a figure, the labels of ticks included."""
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        text.set_text(legible(text.get_text()))
    for axis in (axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)):
        stated = [label.get_text() for label in axis.get_ticklabels()]
        shown = [legible(label) for label in stated]
        if shown != stated:
            axis.set_ticks(axis.get_ticklocs(), shown)


def save_svg(figure: Figure) -> bytes:
    """Render a figure as SVG, drawn once: `Figure.savefig` would draw twice, the first time for the layout."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    _make_legible(figure)
    out = io.StringIO()
    FigureCanvasSVG(figure).print_svg(out, metadata={"Date": None, "Creator": None})  # type: ignore[no-untyped-call]
    return out.getvalue().encode()


def darkened(svg: bytes) -> bytes:
    """Turn a chart drawn in the light scheme into the dark one: it differs in nothing but the colors."""
    pairs = dict(zip(astuple(LIGHT), astuple(DARK), strict=True))
    return re.sub(r"#[0-9a-f]{6}", lambda found: pairs.get(found[0], found[0]), svg.decode()).encode()


def on_white(svg: str) -> str:
    """Put a white background behind a chart, for pages whose color scheme is not known."""
    return re.sub("<svg[^>]*>", r'\g<0>\n <rect width="100%" height="100%" fill="#ffffff"/>', svg, count=1)


def save_png(figure: Figure) -> bytes:
    """Render a figure as PNG on white, for pages whose background is not ours to choose; drawn once too."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    _make_legible(figure)
    figure.set_dpi(160)
    figure.set_facecolor("white")
    out = io.BytesIO()
    FigureCanvasAgg(figure).print_png(out, metadata={"Software": None})  # type: ignore[no-untyped-call]
    return out.getvalue()
