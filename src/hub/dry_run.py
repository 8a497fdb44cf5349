"""Write and check the bundle without an account: `--dry-run` what is quick, `--verify` everything."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from src.documents.context import Context, RepoNames
from src.record.gaps import unready
from src.record.load import Record

from .bundle import checked, collect, local_base, write_bundle
from .checks import (
    check_base,
    check_license,
    check_names,
    check_something,
    check_tokens,
    left_out_notes,
    missing_packages,
)
from .client import Retry, local_token, prepare
from .errors import Ended, Refused, Stopped
from .options import INSTALL, Options
from .remote import Hub
from .secrets import check_secrets
from .show import Screen
from .verify import Verification
from .waiting import SECONDS, Clock

PLACEHOLDER = "local"
"""The namespace of the repositories while nobody names one."""


def dry_run(
    record: Record, options: Options, screen: Screen, cache: Path | None, output: Path, *, full: bool
) -> dict[str, Any]:
    """Write the files as they would be sent, after checking them.

    Args:
        record: The record.
        options: What was asked for.
        screen: Where it is shown.
        cache: The cache's folder.
        output: The folder to write.
        full: Whether to follow links, and to load and run everything.

    Returns:
        What was written, ready for JSON.

    Raises:
        InputError: Something of the record cannot be published.
        Refused: A check failed.
    """
    names = RepoNames.of(record, options.namespace)
    if full and names.namespace is None:
        names = RepoNames.of(record, PLACEHOLDER)
    check_names(names, options.tag)
    check_license(record.project.license, record.root / "LICENSE")
    context = Context(record, names, cache, inside_hub=True)
    with screen.hashing() as progress:
        repos = collect(checked(context), options.only, progress, unfinished=not full)
    check_something(context, options.only, bool(repos))
    for line in [*check_tokens(record), *left_out_notes(record)]:
        screen.warn(line)
    for line in check_secrets(repos, local_token(), record.project.allow_secrets, cache):
        screen.warn(line)
    if record.lacks_adapter:
        screen.warn(f"{record.experiment.checkpoint}: no adapter yet; the model's repository is written without it")
    for line in unready(record):
        screen.warn(line)
    verification = Verification(context, repos, screen.check)
    verification.documents()
    if full:
        _load(verification, context, options, screen)
    verification.finish()
    write_bundle(repos, output)
    screen.bundle(repos, output)
    return {
        "repos": {repo.role: repo.repo_id for repo in repos},
        "folder": str(output),
        "files": {repo.role: {file.path: file.sha256 for file in repo.files.values()} for repo in repos},
        "checks": [check.model_dump() for check in verification.checks],
    }


def _load(verification: Verification, context: Context, options: Options, screen: Screen) -> None:
    missing = missing_packages()
    if missing and options.load:
        raise Refused(f"{', '.join(missing)} not installed. Run `{INSTALL}`, or give --no-load.")
    spinner = screen.spinner if screen.log.is_terminal else None
    with (
        Clock(options.timeout or SECONDS, spinner) as clock,
        tempfile.TemporaryDirectory(prefix="publication-") as folder,
    ):
        try:
            prepare(Retry(clock, screen.say), verbose=options.verbose)
            verification.links(clock)
            base = local_base(context)
            visitor = Hub(False)
            obstacle = None if base is not None else check_base(visitor, context)
            verification.load(Path(folder), clock, visitor, base, obstacle, load=options.load)
        except Stopped as stopped:
            raise Ended(stopped, stopped.exit_code, []) from None
