"""`python -m src`: list the commands."""

import importlib
import inspect
import sys

from src.cli import COMMANDS

if sys.argv[1:] not in ([], ["--help"]):
    sys.stderr.write(f"error: {' '.join(sys.argv[1:])!r}: a command is run as python -m src.NAME\n")
    sys.exit(2)

for name in COMMANDS:
    function = getattr(importlib.import_module(f"src.{name}"), name, None)
    words = inspect.getdoc(function or importlib.import_module(f"src.{name}")) or ""
    print(f"python -m src.{name:<16}{words.splitlines()[0]}")
print("\nEach explains itself with --help.")
