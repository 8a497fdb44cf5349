"""`python -m gen OUT`: write the whole site's source as plain files, for any builder."""

import json
import re
import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from gen.site import generate
from src.record.errors import InputError
from src.record.files import replacing

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command(name="python -m gen")
def write(
    out: Annotated[Path, typer.Argument(help="Folder for the site's source; it is replaced.")],
) -> None:
    """Write the site's source as plain files: docs/ with every page and asset, overrides/, and mkdocs.yml.

    Builders other than MkDocs, such as ProperDocs and Zensical, build the same site from there, without this package's plugin.
    """
    try:
        files = generate(Path(), Path(".cache"))
        with replacing(out, "OUT") as folder:
            for name in ("docs", "overrides"):
                shutil.copytree(name, folder / name)
            config = _plain_config(Path("mkdocs.yml").read_text(encoding="utf-8"))
            (folder / "mkdocs.yml").write_text(config, encoding="utf-8")
            for path, content in files.items():
                target = folder / "docs" / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content.encode() if isinstance(content, str) else content)
    except InputError as error:
        sys.stderr.write(f"error: {error}\n")
        raise typer.Exit(error.exit_code) from None
    sys.stderr.write(f"{len(files)} generated files in {out}\n")


def _plain_config(text: str) -> str:
    """Take out of mkdocs.yml what only this repository's own build needs."""
    text = re.sub(r"^watch: .*\n", "", text, flags=re.MULTILINE)
    text = re.sub(r"^hooks: .*\n", "", text, flags=re.MULTILINE)
    text = re.sub(r"^  (?:quiet|begun): .*\n", "", text, flags=re.MULTILINE)
    text = re.sub(r"^  - gen-files:\n(?:      .*\n)+", "", text, flags=re.MULTILINE)
    return text.replace("paths: [.]", f"paths: [{json.dumps(str(Path().absolute()))}]")


if __name__ == "__main__":
    app(prog_name="python -m gen")
