"""Run by mkdocs-gen-files during a build: writes every generated file into the site."""

import sys
from pathlib import Path

import mkdocs_gen_files
from mkdocs.exceptions import PluginError

from gen.site import generate, navigation
from src.record.errors import CommandError

root = Path(mkdocs_gen_files.config["config_file_path"]).parent
try:
    serving = "serve" in sys.argv  # a claim that does not hold is then marked in its place
    files = generate(root, root / ".cache", lenient=serving)
except CommandError as error:  # bad input stops the build with its one line
    raise PluginError(str(error)) from None
mkdocs_gen_files.config["nav"] = navigation(mkdocs_gen_files.config["nav"], files, root / "docs")
for path, content in files.items():
    with mkdocs_gen_files.open(path, "wb") as stream:
        stream.write(content)
