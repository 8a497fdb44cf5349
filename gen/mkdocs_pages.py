"""Run by mkdocs-gen-files during a build: writes every generated file into the site."""

from pathlib import Path

import mkdocs_gen_files
from mkdocs.exceptions import PluginError

from gen.site import generate, names, navigation
from src.record.errors import InputError

root = Path(mkdocs_gen_files.config["config_file_path"]).parent
try:
    files = generate(root, root / ".cache")
    mkdocs_gen_files.config.update(names(root))
except InputError as error:  # bad input stops the build with its one line
    raise PluginError(str(error)) from None
mkdocs_gen_files.config["nav"] = navigation(mkdocs_gen_files.config["nav"], files)
for path, content in files.items():
    with mkdocs_gen_files.open(path, "wb") as stream:
        stream.write(content)
