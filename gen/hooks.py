"""MkDocs' hooks: what was made in the background is put in place in time, and descriptions are text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from markupsafe import escape
from mkdocs.exceptions import PluginError

import gen


def on_env(env: Any, config: Any, files: Any) -> None:
    """Write the pictures and the PDF over their empty places; all pages have been rendered by now."""
    from src.record.errors import InputError

    finish, gen.pending = gen.pending, None
    if finish is None:
        return
    try:
        late = finish()
    except InputError as error:
        raise PluginError(str(error)) from None
    for path, content in late.items():
        Path(files.get_file_from_path(path).abs_src_path).write_bytes(content)


def on_page_context(context: Any, page: Any, config: Any, nav: Any) -> None:
    """Make a page's description safe for attributes; neither MkDocs nor the theme does."""
    if "description" in page.meta:
        page.meta["description"] = escape(page.meta["description"])
