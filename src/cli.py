"""What all commands share: options in the same style, one clear error, and an exit code that says what kind it was."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer

from src.record.errors import CommandError, InputError

EXPERIMENT = Path("configs/experiments/gpt2-mini.yaml")
"""The experiment that a command takes where none is named."""

COMMANDS = (
    "pretrain", "dataset", "train", "evaluate", "import_results", "benchmark", "report", "publish", "render",
)  # fmt: skip
"""The commands, in pipeline order."""


def run(command: Callable[..., Any]) -> None:
    """Run a command's function with Typer; a `CommandError` becomes a message on standard error and its exit code."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="markdown")
    app.command(name=f"python -m {command.__module__}")(command)
    try:
        app(prog_name=f"python -m src.{command.__name__}")
    except CommandError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(error.exit_code)
    except OSError as error:  # of a file: one that may not be read or written, or a full disk
        if error.filename is None:
            raise
        sys.stderr.write(f"error: {error.filename2 or error.filename}: {error.strerror}\n")
        sys.exit(InputError.exit_code)


def say(line: str) -> None:
    """Print a line for the person at the terminal, at once, on standard error."""
    print(line, file=sys.stderr, flush=True)
