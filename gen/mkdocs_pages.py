"""Run by mkdocs-gen-files during a build: writes what `gen.site` generates into the site."""

import sys
from pathlib import Path

import mkdocs_gen_files
from mkdocs.exceptions import PluginError

import gen


def forget_changed_code(root: Path) -> None:
    """Let a server that runs on import our modules again after one of them has changed."""
    code = [path for room in ("src", "gen") for path in (root / room).rglob("*.py")]
    newest = max(path.stat().st_mtime_ns for path in code)
    if getattr(gen, "newest", newest) != newest:
        for name in [name for name in sys.modules if name.startswith(("src.", "gen."))]:
            del sys.modules[name]
    gen.newest = newest  # type: ignore[attr-defined]


def main() -> None:
    """Write every generated file into the running build; bad input stops the build with its one line."""
    root = Path(mkdocs_gen_files.config["config_file_path"]).parent
    forget_changed_code(root)
    from gen.kept import generate_or_keep
    from src.record.errors import InputError

    try:
        generated = generate_or_keep(root, root / ".cache")
    except InputError as error:
        raise PluginError(str(error)) from None
    gen.pending = generated.finish
    for path, content in {**generated.files, **dict.fromkeys(generated.late, b"")}.items():
        with mkdocs_gen_files.open(path, "wb") as stream:
            stream.write(content.encode() if isinstance(content, str) else content)


main()
