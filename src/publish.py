"""`python -m src.publish`: put model, dataset and cards on the Hugging Face Hub, verified before anybody sees them."""

import json
import os
import signal
from enum import StrEnum
from pathlib import Path
from types import FrameType
from typing import Annotated, get_args

import typer

from src.cli import run
from src.record.publication import Role

Only = StrEnum("Only", get_args(Role))  # type: ignore[misc]


class Runs(StrEnum):
    """Whose adapters are published."""

    published = "published"
    all = "all"


def publish(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Write the files as they would be uploaded, and touch no network.")
    ] = False,
    plan: Annotated[
        bool, typer.Option("--plan", help="Check everything, compare with the Hub, and change nothing.")
    ] = False,
    verify_only: Annotated[
        bool, typer.Option("--verify-only", help="Upload nothing; verify what is on the Hub against the record.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Publish without being asked, as in CI.")] = False,
    only: Annotated[list[Only] | None, typer.Option(help="Publish this repository only; may be repeated.")] = None,
    create_pr: Annotated[
        bool,
        typer.Option(
            "--create-pr",
            help="Stop before the merge: leave verified pull requests open, and new repositories private.",
        ),
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Go on although others changed a repository since the last publication.")
    ] = False,
    tag: Annotated[str | None, typer.Option(help="Tag the repositories, as with v1.0.0.", metavar="NAME")] = None,
    collection: Annotated[
        str | None, typer.Option(help="Group the repositories in the Hub collection of this title.", metavar="TITLE")
    ] = None,
    runs: Annotated[
        Runs, typer.Option(help="Of a study, publish the adapter of the published run only, or those of all runs.")
    ] = Runs.published,
    namespace: Annotated[
        str | None,
        typer.Option(help="User or organisation on the Hub; the project config's, or the logged-in user, by default."),
    ] = None,
    project: Annotated[Path, typer.Option(help="The project config.")] = Path("configs/project.yaml"),
    config: Annotated[
        Path | None, typer.Option(help="The experiment; the one that the project names by default.")
    ] = None,
    results: Annotated[Path | None, typer.Option(help="evaluation_results.json; results/NAME/ by default.")] = None,
    model: Annotated[
        Path | None, typer.Option(help="The adapter's folder; the one that the experiment names by default.")
    ] = None,
    output: Annotated[Path, typer.Option(help="Folder for --dry-run; it is replaced.")] = Path("dist/hub"),
    patience: Annotated[
        float, typer.Option(help="Seconds without an answer of the Hub after which to give up.", min=1, max=86_400)
    ] = 180,
    as_json: Annotated[bool, typer.Option("--json", help="Print plan and result as JSON on standard output.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show every request; tokens are left out.")] = False,
) -> None:
    """Publish the base model, the dataset, the adapter and a Space to try them in, each with its card, on the Hugging Face Hub.

    Shows what would change and asks. Uploads each repository as one commit where no visitor sees it (a new repository is
    private, a public one gets a pull request), reads everything back, loads and runs it as a visitor would, and only then
    makes it visible. The receipt goes to results/NAME/publication.json.

    Log in first with `hf auth login`, or set HF_TOKEN; in CI set HF_OIDC_RESOURCE (trusted publishers).

    **Exit codes:** 0 done; 2 bad input; 3 refused, or the verification failed; 4 the Hub could not be reached; 130
    interrupted. After 3, 4 and 130 nothing unverified is visible, and the same command resumes where it stopped.
    """
    # hf_xet, the default transport of large files, ignores signals for minutes, and a server without it ends in a traceback.
    # The Hub documents that plain LFS uploads keep working. huggingface_hub reads this when it is imported.
    os.environ["HF_HUB_DISABLE_XET"] = "1"

    from src.hub.redact import redact_output

    redact_output()

    from src.documents.build import Documents
    from src.documents.context import Context, RepoNames
    from src.hub.bundle import ROLES, collect, collect_space, write_bundle
    from src.hub.checks import check_names, check_secrets, check_something
    from src.hub.client import local_token
    from src.hub.errors import Interrupted
    from src.hub.show import Screen
    from src.record.load import load_record

    if dry_run + plan + verify_only > 1:
        raise typer.BadParameter("give one of --dry-run, --plan and --verify-only")
    if create_pr and (tag is not None or collection is not None):
        raise typer.BadParameter(
            "--create-pr makes nothing visible: give --tag and --collection to the run that merges"
        )
    screen = Screen(quiet=as_json)
    roles = tuple(role for role in ROLES if only is None or role in {str(choice) for choice in only})
    cache = Path(".cache")
    signal.signal(signal.SIGTERM, _terminate)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    try:
        record = load_record(Path(), project=project, experiment=config, results=results, checkpoint=model)
        if dry_run:
            context = Context(record, RepoNames.of(record, namespace), cache, inside_hub=True)
            check_names(context.names, tag)
            with screen.hashing() as on_progress:
                documents = Documents(context)
                repos = collect(documents, roles, on_progress, all_runs=runs is Runs.all)
                space = collect_space(documents) if "space" in roles else None
                repos += [space] if space else []
            check_something(context, roles, bool(repos))
            check_secrets(repos, local_token())
            write_bundle(repos, output)
            screen.bundle(repos, output)
            report = {
                "repos": {repo.role: repo.repo_id for repo in repos},
                "folder": str(output),
                "files": {r.role: {f.path: f.sha256 for f in r.files.values()} for r in repos},
            }
        else:
            from src.hub.publish import Options
            from src.hub.publish import publish as run_publication

            options = Options(
                namespace=namespace, only=roles, plan_only=plan, verify_only=verify_only, yes=yes, create_pr=create_pr,
                overwrite=overwrite, tag=tag, collection=collection, patience=patience, verbose=verbose,
                all_runs=runs is Runs.all,
            )  # fmt: skip
            report = run_publication(record, options, screen, cache)
    except KeyboardInterrupt as error:
        raise Interrupted(error.args[0] if error.args else signal.SIGINT) from None
    if as_json:
        print(json.dumps(report, indent=2, ensure_ascii=False))


def _terminate(number: int, frame: FrameType | None) -> None:
    """End by SIGTERM as by Ctrl-C: with the clearing up."""
    raise KeyboardInterrupt(number)


if __name__ == "__main__":
    run(publish)
