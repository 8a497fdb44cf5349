"""What every publisher does before it looks at its environment, done once for all that are forked: imports, and compiling the fragments.

huggingface_hub is not among the imports: it reads the Hub's address from the environment when it is imported.
"""

from pathlib import Path

import detect_secrets.plugins.aws
import pybtex.database.input.bibtex
import rich.progress
import typer

from src.documents.templates import FRAGMENTS, environment

from . import publishing

__all__ = ["detect_secrets", "publishing", "pybtex", "rich", "typer"]

for path in FRAGMENTS.rglob("*.j2"):
    environment(Path()).get_template(path.relative_to(FRAGMENTS).as_posix())
