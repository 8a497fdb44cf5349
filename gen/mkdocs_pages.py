"""Run by mkdocs-gen-files during a build: writes what `gen.site` generates into the site."""

from pathlib import Path

import mkdocs_gen_files
from mkdocs.exceptions import PluginError

from gen.kept import generate_or_keep
from src.record.errors import InputError


def main() -> None:
    """Write every generated file into the running build; bad input stops the build with its one line."""
    root = Path(mkdocs_gen_files.config["config_file_path"]).parent
    try:
        files = generate_or_keep(root, root / ".cache")
    except InputError as error:
        raise PluginError(str(error)) from None
    for path, content in files.items():
        with mkdocs_gen_files.open(path, "wb") as stream:
            stream.write(content.encode() if isinstance(content, str) else content)


main()
