"""`python -m src`: list the commands."""

import importlib
import inspect

from src.cli import COMMANDS

for name in COMMANDS:
    function = getattr(importlib.import_module(f"src.{name}"), name, None)
    words = inspect.getdoc(function or importlib.import_module(f"src.{name}")) or ""
    print(f"python -m src.{name:<16}{words.splitlines()[0]}")
print("\nEach explains itself with --help.")
