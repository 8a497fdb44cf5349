"""`python -m src.publish`: prove that model, dataset and cards are right, then put them on the Hugging Face Hub."""

import json
import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated, get_args
from urllib.parse import urlsplit

import typer

from src.cli import run
from src.record.errors import InputError
from src.record.publication import Role

Only = StrEnum("Only", get_args(Role))  # type: ignore[misc]


def publish(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Write and check the files, without the network.")] = False,
    verify: Annotated[bool, typer.Option("--verify", help="The same, and load and run all of it here.")] = False,
    plan: Annotated[bool, typer.Option("--plan", help="Compare with the Hub and change nothing.")] = False,
    verify_only: Annotated[bool, typer.Option("--verify-only", help="Only test again what is on the Hub.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Publish without being asked, as in CI.")] = False,
    only: Annotated[list[Only] | None, typer.Option(help="Publish this repository only; may be repeated.")] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace our files where others changed them.")
    ] = False,
    make_public: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Make this private repository public, after all tests; may be repeated."),
    ] = None,
    tag: Annotated[str | None, typer.Option(help="Tag the repositories, as with v1.0.0.", metavar="NAME")] = None,
    load: Annotated[bool, typer.Option("--load/--no-load", help="Load and run it, here and from the Hub.")] = True,
    smoke: Annotated[bool, typer.Option("--smoke/--no-smoke", help="Test from the Hub, as a visitor would.")] = True,
    timeout: Annotated[
        float | None,
        typer.Option(help="Seconds for the whole publication; 15 minutes and a second per megabyte by default.", min=1),
    ] = None,
    namespace: Annotated[
        str | None,
        typer.Option(help="User or organization on the Hub; the project config's, or the logged-in user, by default."),
    ] = None,
    project: Annotated[Path, typer.Option(help="The project config, which names the experiment.")] = Path(
        "configs/project.yaml"
    ),
    results: Annotated[Path | None, typer.Option(help="evaluation_results.json; results/NAME/ by default.")] = None,
    model: Annotated[
        Path | None, typer.Option(help="The adapter's folder; the one that the experiment names by default.")
    ] = None,
    output: Annotated[Path, typer.Option(help="Folder for --dry-run and --verify; it is replaced.")] = Path("dist/hub"),
    as_json: Annotated[bool, typer.Option("--json", help="Print plan and result as JSON on standard output.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="List every file and every request; tokens are left out.")
    ] = False,
) -> None:
    """Publish the dataset, the base model, the adapter and a Space to try them in, each with its card.

    Shows what would change and asks, then loads and runs all of it here. Then it sends one commit per repository, reads it back,
    and tests it from the Hub. A new repository is private until then; an existing one keeps its visibility. The last lines
    say what is on the Hub, as it was looked up. The receipt goes to results/NAME/publication.json.

    Log in first with `hf auth login`, or set HF_TOKEN; in CI set HF_OIDC_RESOURCE (trusted publishers).

    **Exit codes:** 0 done; 2 bad input; 3 refused, or a check failed; 4 the Hub could not be reached; 129, 130, 141,
    143 interrupted. After 3, 4 and an interruption the same command resumes.
    """
    # hf_xet, the default transport of large files, ignores signals for minutes, and a server without it ends in a traceback.
    # The Hub documents that plain LFS uploads keep working. huggingface_hub reads both when it is imported.
    os.environ["HF_HUB_DISABLE_XET"] = os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"

    from src.hub.redact import Redactor

    redactor = Redactor()
    redactor.install()
    _check_endpoint(os.environ.get("HF_ENDPOINT") or "https://huggingface.co")

    from src.hub.publish import Options
    from src.hub.publish import publish as run_publication
    from src.hub.repository import ROLES
    from src.hub.show import Screen
    from src.record.load import load_record

    if dry_run + verify + plan + verify_only > 1:
        raise typer.BadParameter("give one of --dry-run, --verify, --plan and --verify-only")
    screen = Screen(quiet=as_json, verbose=verbose)
    record = load_record(Path(), project=project, results=results, checkpoint=model)
    options = Options(
        namespace=namespace,
        only=tuple(role for role in ROLES if only is None or role in {str(choice) for choice in only}),
        output=output if dry_run or verify else None, verify=verify, plan_only=plan, verify_only=verify_only, yes=yes, overwrite=overwrite,
        make_public=make_public or (), tag=tag, timeout=timeout, load=load, smoke=smoke,
    )  # fmt: skip
    report = run_publication(record, options, screen, redactor, Path(".cache"))
    if as_json:
        print(json.dumps(report, indent=2, ensure_ascii=False))


def _check_endpoint(address: str) -> None:
    """Refuse an address that huggingface_hub could not even be imported with, or that is none of the web."""
    try:
        parts = urlsplit(address)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise InputError("HF_ENDPOINT", f"{address} is not an http address. Correct the variable, or unset it.")


if __name__ == "__main__":
    run(publish)
