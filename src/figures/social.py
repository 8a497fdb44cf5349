"""The picture that link previews show."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from src.cache import cached

from . import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH, HEIGHT = 1200, 630
"""Size in pixels that link previews ask for."""

_CODE = Path(__file__).read_text(encoding="utf-8")


def social_card(headline: str, title: str, tokens: list[str], cache: Path | None) -> bytes:
    """Draw the headline, the tokens of the example word and the project's title."""
    code = style.fingerprint() + _CODE
    return cached(cache, "social.png", (headline, title, *tokens, code), lambda: _draw(headline, title, tokens))


def _fitting(figure: Figure, renderer: Any, bottom: float, words: str, size: int, **look: Any) -> None:
    """Write a line as large as it fits."""
    line = figure.text(0.06, bottom, words, fontsize=size, **look)
    wide = line.get_window_extent(renderer).width / WIDTH
    if wide > 0.88:
        line.set_fontsize(size * 0.88 / wide)


def _draw(headline: str, title: str, tokens: list[str]) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with style.styled(style.DARK):
        figure = Figure(figsize=(WIDTH / 100, HEIGHT / 100), facecolor="#4a1023")
        figure.set_layout_engine("none")
        renderer = FigureCanvasAgg(figure).get_renderer()  # type: ignore[no-untyped-call]
        _fitting(figure, renderer, 0.72, style.legible(headline), 46, color="white", weight="bold")
        left = 0.06
        for token in tokens[:8]:
            drawn = figure.text(
                left + 0.02, 0.42, style.legible(token), fontsize=40, color="#ffd9e2",
                bbox={"boxstyle": "round,pad=0.35", "facecolor": "#7a1a38", "edgecolor": "#ff9db3", "linewidth": 2},
            )  # fmt: skip
            box = drawn.get_window_extent(renderer)
            left = box.x1 / WIDTH + 0.045
        _fitting(figure, renderer, 0.12, style.legible(title), 22, color="#ff9db3")
        out = io.BytesIO()
        figure.savefig(out, format="png", dpi=100, facecolor=figure.get_facecolor(), metadata={"Software": None})
    return out.getvalue()
