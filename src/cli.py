"""What all commands share: options in the same style, one clear error, and an exit code that says what kind it was."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from src.record.errors import CommandError, InputError

_ALL = ("pretrain", "dataset", "train", "evaluate", "new", "import_results", "report", "publish", "render")
COMMANDS = tuple(name for name in _ALL if (Path(__file__).parent / f"{name}.py").is_file())
"""The commands that there are, in pipeline order; a project without src/experiment has none that makes a record."""

Config = Annotated[Path | None, typer.Option(help="The experiment; the one that the project names by default.")]
Project = Annotated[Path, typer.Option(help="The project config.")]
Planned = Annotated[
    Path | None, typer.Option(help="The experiment, or with --run the study; those of the project by default.")
]
RunName = Annotated[str | None, typer.Option("--run", help="Run of a study, as ARM-SEED.")]


def chosen(config: Path | None, *, study: bool = False) -> Path:
    """Return the config that a command was given, or else the one that the project names."""
    if config is not None:
        return config
    from src.record.config import ProjectConfig
    from src.record.files import load_yaml
    from src.record.load import PROJECT

    project = load_yaml(PROJECT, ProjectConfig)
    named = project.study if study else project.experiment
    if named is None:
        raise InputError(PROJECT, "study: not stated. Name the study's config with --config.")
    return Path(named)


def run(command: Callable[..., Any]) -> None:
    """Run a command's function with Typer; a `CommandError` becomes a message on standard error and its exit code."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="markdown")
    app.command(name=f"python -m {command.__module__}")(command)
    try:
        app(prog_name=f"python -m src.{command.__name__}")
    except CommandError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(error.exit_code)
    except ModuleNotFoundError as error:  # of an extra
        if (error.name or "src").partition(".")[0] in ("src", "gen"):
            raise
        extras = 'pip install -c constraints.txt -e ".[site,report,experiment]"'
        sys.stderr.write(f"error: {error.name} is not installed. Run `{extras}`.\n")
        sys.exit(1)
    except OSError as error:  # of a file: one that may not be read or written, or a full disk
        if error.filename is None:
            raise
        sys.stderr.write(f"error: {error.filename2 or error.filename}: {error.strerror}\n")
        sys.exit(InputError.exit_code)


def say(line: str) -> None:
    """Print a line for the person at the terminal, at once, on standard error."""
    print(line, file=sys.stderr, flush=True)
