"""Read by MkDocs before anything is built: what configs/project.yaml says of the site takes the place of mkdocs.yml."""

import re
import sys
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.plugins import event_priority
from mkdocs.utils import get_relative_url

from gen.site import settings
from src.cli import say
from src.record.errors import CommandError

_ASSETS = re.compile(r'(\s(?:src|srcset|data-[a-z-]+)=")(?:\.\./)*assets/')


@event_priority(100)
def on_config(config: Any) -> Any:
    """Set name, description, address and language, before plugins read them."""
    try:
        root = Path(config["config_file_path"]).parent
        found = settings(root)
    except CommandError as error:  # bad input stops the build with its one line
        raise PluginError(str(error)) from None
    address, language = found.pop("site_url", None), found.pop("language")
    if "serve" not in sys.argv:  # MkDocs sets the local address itself
        config["site_url"] = address
    if "gh-deploy" in sys.argv and address is None:
        say("configs/project.yaml: without site_url, the page for unknown addresses has no style, and links no preview")
    config.update(found)
    config["theme"]["language"] = language
    return config


def on_page_content(html: str, *, page: Any, **_: Any) -> str:
    """Address the assets that are named in HTML from the page's real address, and rank the reference below pages for readers.

    The address depends on `use_directory_urls`.
    """
    if page.file.src_uri.startswith("reference/"):
        page.meta.setdefault("search", {"boost": 0.2})
    assets = get_relative_url("assets/", page.url)
    return _ASSETS.sub(lambda found: f"{found[1]}{assets}", html)
