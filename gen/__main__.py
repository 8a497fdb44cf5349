"""`python -m gen OUT`: write the whole site's source as plain files, for any builder."""

import shutil
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from gen.site import generate, navigation, settings
from src.record.errors import CommandError
from src.record.files import replacing

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command(name="python -m gen")
def write(out: Annotated[Path, typer.Argument(help="Folder for the site's source; it is replaced.")]) -> None:
    """Write the site's source as plain files: docs/ with every page and asset, overrides/, and mkdocs.yml.

    Builders other than MkDocs, such as ProperDocs and Zensical, build the same site from there, without this package's plugin.
    """
    try:
        files = generate(Path(), Path(".cache"))
        with replacing(out, "OUT") as folder:
            shutil.copytree("docs", folder / "docs", ignore=shutil.ignore_patterns("fragments"))
            shutil.copytree("overrides", folder / "overrides")
            plain, found = _plain_config(Path("mkdocs.yml")), settings(Path())
            plain["theme"]["language"] = found.pop("language")
            plain |= found | {"nav": navigation(plain["nav"], files, Path("docs"))}
            config = yaml.safe_dump(plain, sort_keys=False, allow_unicode=True)
            (folder / "mkdocs.yml").write_text(config, encoding="utf-8")
            for path, content in files.items():
                target = folder / "docs" / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)
    except CommandError as error:
        sys.stderr.write(f"error: {error}\n")
        raise typer.Exit(error.exit_code) from None
    sys.stderr.write(f"{len(files)} generated files in {out}\n")


class _Loader(yaml.SafeLoader):
    """Leaves out what has one of MkDocs' own tags: what that stands for belongs to this repository's build."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Construct a mapping of the keys whose value is plain YAML."""
        node.value = [(key, value) for key, value in node.value if value.tag in self.yaml_constructors]
        return super().construct_mapping(node, deep)


def _plain_config(path: Path) -> dict[str, Any]:
    """Read mkdocs.yml without what only this repository's own build needs."""
    config: dict[str, Any] = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    for key in ("watch", "exclude_docs", "hooks"):
        del config[key]
    config["plugins"] = [plugin for plugin in config["plugins"] if "gen-files" not in plugin]
    for plugin in config["plugins"]:
        if "mkdocstrings" in plugin:
            plugin["mkdocstrings"]["handlers"]["python"]["paths"] = [str(Path().absolute())]
    return config


if __name__ == "__main__":
    app(prog_name="python -m gen")
