"""Write and check the bundle without an account: `--dry-run` what is quick, `--verify` everything."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import huggingface_hub as hf

from src.documents.context import Context, RepoNames
from src.record.load import Record

from .bundle import gather, local_base
from .checks import Checks
from .client import Retry, prepare
from .errors import Ended, Stopped
from .options import Options
from .preflight import check_base, check_names, check_packages
from .redact import Redactor
from .remote import Hub
from .repository import write_bundle
from .show import Screen
from .waiting import SECONDS, Clock

PLACEHOLDER = "local"
"""The namespace of the repositories until one is named."""


def dry_run(
    record: Record,
    options: Options,
    screen: Screen,
    redactor: Redactor,
    cache: Path | None,
    output: Path,
    *,
    full: bool,
) -> dict[str, Any]:
    """Write the files as they would be sent, after checking them."""
    names = RepoNames.of(record, options.namespace)
    if full and names.namespace is None:
        names = RepoNames.of(record, PLACEHOLDER)
    check_names(names, options.tag)
    context = Context(record, names, cache, inside_hub=True)
    token = None if os.environ.get("HF_OIDC_RESOURCE") else hf.get_token()  # no request for a token
    repos, notes = gather(context, options.only, token, unfinished=not full)
    if record.lacks_adapter:
        notes.append(f"{record.experiment.checkpoint}: no adapter yet; the model's repository is written without it")
    for line in notes:
        screen.note(line)
    with (
        Clock(options.timeout or SECONDS, screen.doing) as clock,
        tempfile.TemporaryDirectory(prefix="publication-") as folder,
    ):
        checks = Checks(context, clock, Path(folder), screen.check)
        checks.documents(repos)
        try:
            if full:
                if options.load:
                    check_packages()
                prepare(Retry(clock, screen.say, redactor, verbose=screen.verbose))
                visitor = Hub(False)
                obstacle = None if record.base_folder is not None else check_base(visitor, context)
                checks.load_here(repos, local_base(context), visitor, obstacle, load=options.load)
        except Stopped as stopped:
            raise Ended(stopped, stopped.exit_code, []) from None
        checks.refuse_failures()
    write_bundle(repos, output)
    screen.bundle(repos, output)
    return {
        "repos": {repo.role: repo.repo_id for repo in repos},
        "folder": str(output),
        "files": {repo.role: {file.path: file.sha256 for file in repo.files.values()} for repo in repos},
        "checks": [check.model_dump() for check in checks.done],
    }
