"""MkDocs' hook: what was left to be made in the background is put in place before MkDocs copies it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

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
