"""The whole publication, step by step: plan, ask, upload where nobody looks, verify, release, write the receipt."""

from __future__ import annotations

import sys
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import huggingface_hub as hf

from src.documents.build import Documents
from src.documents.context import Context, RepoNames
from src.record.errors import InputError
from src.record.files import sha256_file, write_json
from src.record.load import Record
from src.record.publication import Check, Publication, PublishedRepo, Role

from .bundle import ROLES, UNPUBLISHED, Repository, collect, collect_space
from .checks import check_base, check_installed, check_login, check_names, check_plan, check_secrets, check_something
from .client import ERRORS, Hub, RemoteRepo, explain, find_token, prepare
from .errors import Refused
from .eval_results import has_results, known_revision, lacks_revision, with_eval_results
from .links import HUB_LINKS, check_links
from .plan import RepoPlan, plan_repo
from .show import Screen
from .upload import Staged, add_to_collection, put_collection, put_tag, release, stage
from .verify import Target, Verifier, check_visible
from .waiting import Waiting
from .workplace import Workplace


@dataclass(frozen=True)
class Options:
    """What the command was asked to do; see `python -m src.publish --help`."""

    namespace: str | None = None
    only: Collection[Role] = ROLES
    plan_only: bool = False
    verify_only: bool = False
    yes: bool = False
    create_pr: bool = False
    overwrite: bool = False
    tag: str | None = None
    collection: str | None = None
    patience: float = 180
    verbose: bool = False
    all_runs: bool = False


def publish(record: Record, options: Options, screen: Screen, cache: Path | None) -> dict[str, Any]:
    """Publish a record, or only plan or verify it; an answer of the Hub that no step expects ends it with one line.

    Args:
        record: What is published.
        options: What to do.
        screen: Where it is shown.
        cache: The cache's folder.

    Returns:
        The plan and the result, ready for JSON.

    Raises:
        InputError: Something of the record cannot be published.
        Refused: A check failed, or the person said no.
        Unreachable: The Hub was not there.
    """
    try:
        return _publish(record, options, screen, cache)
    except ERRORS as error:  # such as a repository that was deleted meanwhile
        raise explain(error, hf.constants.ENDPOINT) from None


def _publish(record: Record, options: Options, screen: Screen, cache: Path | None) -> dict[str, Any]:
    """Publish a record, or only plan or verify it."""
    check_names(RepoNames.of(record, options.namespace), options.tag)
    waiting = Waiting(screen.say, options.patience, screen.moved)
    prepare(waiting, verbose=options.verbose)
    token = find_token(waiting)
    hub = Hub(token, waiting)
    user, namespace = check_login(hub, RepoNames.of(record, options.namespace).namespace)
    names = RepoNames.of(record, namespace)
    check_names(names, options.tag)
    context = Context(record, names, cache, inside_hub=True)
    with screen.hashing() as on_progress:
        repos = collect(Documents(context), options.only, on_progress, all_runs=options.all_runs)
    check_secrets(repos, token)
    space = context.space if "space" in options.only else None
    if not options.plan_only:
        check_installed(space=space is not None)
    roles = {repo.role for repo in repos}
    if "model" in roles and "base" not in roles:
        check_base(hub, context)
    check_something(context, options.only, bool(repos) or space is not None)
    with Workplace() as workplace:
        return _online(hub, user, context, repos, options, screen, workplace)


def _online(
    hub: Hub,
    user: str,
    context: Context,
    repos: list[Repository],
    options: Options,
    screen: Screen,
    workplace: Workplace,
) -> dict[str, Any]:
    """Do what is asked with the repositories as they should be."""
    record = context.record
    repos = [with_eval_results(context, repo, None) for repo in repos]
    revision = known_revision(hub, context, repos, record.publication, workplace.folder) if has_results(repos) else None
    if revision is not None:
        repos = [with_eval_results(context, repo, revision) for repo in repos]
    plans = [
        plan_repo(hub, repo, record.project.visibility, record.publication, user, workplace.folder) for repo in repos
    ]
    main = plans
    space = _plan_space(hub, context, plans, user, options, workplace)
    if space is not None:
        plans = [*main, space]
    screen.plan(plans, hub.endpoint)
    report: dict[str, Any] = {"endpoint": hub.endpoint, "user": user, "plan": [_plan_json(plan) for plan in plans]}
    own = {plan.repo.repo_id: plan.repo.kind for plan in plans}
    for plan in plans:
        check_plan(hub, plan, options.tag, own)
    if options.verify_only:
        return report | _verify_only(hub, context, plans, options, screen, workplace)
    _refuse_external_changes(plans, options)
    if options.plan_only:
        screen.say("planned only: nothing was changed")
        return report
    if _up_to_date(hub, record, plans, options):
        screen.say("nothing changed since the last publication, which was verified: no commit was made")
        return report | {"result": record.publication and record.publication.model_dump(mode="json")}
    _confirm(plans, options, screen)
    published = _put(hub, context, main, options, screen, workplace) if main else {}
    if space is None:
        return report | published
    if options.create_pr and any(plan.action != "nothing" for plan in main):
        screen.say("the Space follows when the models that it shows are visible")
        return report | published
    # The Space names the commits that were released just now, so it is made when they are known.
    context = _with_receipt(context)
    space = _plan_space(hub, context, [], user, options, workplace)
    if space is None:
        raise Refused("the Space cannot be made any more. Run the same command again to see why.")
    shown = _put(hub, context, [space], options, screen, workplace)
    if "result" in shown:
        shown["result"] = _links_again(hub, _with_receipt(context), main, screen)
    return report | shown


def _links_again(hub: Hub, context: Context, plans: list[RepoPlan], screen: Screen) -> dict[str, Any]:
    """Follow the links again that led to a repository which was published only later, and write what was found into the receipt."""
    publication = context.record.publication
    if publication is None:
        raise ValueError("there is no receipt yet")
    open_ = {(check.repo, check.name) for check in publication.checks if check.outcome == "not checked"}
    again = {}
    for plan in plans:
        if (plan.repo.role, HUB_LINKS) in open_:
            found = next(check for check in check_links(hub, plan.repo, ()) if check.name == HUB_LINKS)
            screen.check(found)
            again[found.repo, found.name] = found
    checks = [again.get((check.repo, check.name), check) for check in publication.checks]
    result = publication.model_copy(update={"checks": checks}).model_dump(mode="json")
    if again:
        write_json(context.record.publication_path, result)
    return result


def _put(
    hub: Hub, context: Context, plans: list[RepoPlan], options: Options, screen: Screen, workplace: Workplace
) -> dict[str, Any]:
    """Upload, verify and release repositories, and write the receipt."""
    staged: list[Staged] = []
    with screen.working():
        for plan in sorted(plans, key=lambda plan: plan.repo.role != "dataset"):  # the others name its commit
            if plan.action != "nothing":
                screen.doing(f"uploading {plan.repo.repo_id}")
            if plan.action != "nothing" and lacks_revision(context, plan.repo):
                commit = next((s.commit for s in staged if s.plan.repo.role == "dataset"), None)
                plan = replace(plan, repo=with_eval_results(context, plan.repo, commit))
            staged.append(stage(hub, plan))
        staged.sort(key=lambda s: ROLES.index(s.plan.repo.role))
    checks = _verify(hub, context, staged, screen, workplace)
    if options.create_pr:
        pulls = [_pull_url(hub, s) for s in staged if s.pull_request is not None]
        for url in pulls:
            screen.say(f"verified and left open: {url}")
        screen.say("nothing was made visible; run without --create-pr to merge, or merge on the Hub")
        return {"pull_requests": pulls}
    screen.say("verified; releasing")
    states = {s.plan.repo.role: release(hub, s) for s in staged}
    public = [(s.plan.repo, states[s.plan.repo.role].head) for s in staged if s.plan.visibility == "public"]
    for check in check_visible(public, hub.waiting):
        screen.check(check)
        checks.append(check)
    return _finish(hub, context, [s.plan for s in staged], states, checks, options, screen)


def _with_receipt(context: Context) -> Context:
    """Read the receipt again that was just written."""
    path = context.record.publication_path
    receipt = Publication.model_validate_json(path.read_text(encoding="utf-8"))
    return replace(context, record=replace(context.record, publication=receipt))


def _plan_space(
    hub: Hub, context: Context, plans: list[RepoPlan], user: str, options: Options, workplace: Workplace
) -> RepoPlan | None:
    """Plan the Space; weights that are about to change have no commit yet, and those that are not published stay as they are.

    Raises:
        Refused: Base model or model are neither published yet nor about to be.
    """
    if "space" not in options.only or context.space is None:
        return None
    receipt = context.record.publication
    revisions: dict[Role, str] = {}
    for role in UNPUBLISHED:
        plan = next((plan for plan in plans if plan.repo.role == role), None)
        last = receipt.repo(role) if receipt is not None and receipt.endpoint == hub.endpoint else None
        if plan is not None:
            same = plan.remote is not None and plan.action == "nothing"
            revisions[role] = plan.remote.head if plan.remote is not None and same else UNPUBLISHED[role]
        elif last is not None:
            revisions[role] = last.commit
        else:
            raise Refused(
                "the Space shows models that are not published yet. Publish base and model first, or with it."
            )
    repo = collect_space(Documents(context), revisions, hub.endpoint)
    if repo is None:
        return None
    return plan_repo(hub, repo, context.record.project.visibility, receipt, user, workplace.folder)


def _confirm(plans: list[RepoPlan], options: Options, screen: Screen) -> None:
    if options.yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise InputError(
            "the terminal",
            found="nobody to ask",
            expected="a yes to the plan",
            hint="Give --yes to publish without being asked, or --plan to look only.",
        )
    where = "stay private" if all(p.visibility == "private" for p in plans) else "become visible once they are verified"
    if not screen.ask(f"Publish? The files {where}."):
        raise Refused("you said no. Nothing was changed.")


def _refuse_external_changes(plans: list[RepoPlan], options: Options) -> None:
    touched = [plan.repo.repo_id for plan in plans if plan.external_changes]
    if touched and not options.overwrite:
        raise Refused(
            f"{', '.join(touched)}: changed by others since the last publication (see above). "
            "Look at it on the Hub; give --overwrite to continue anyway."
        )


def _up_to_date(hub: Hub, record: Record, plans: list[RepoPlan], options: Options) -> bool:
    """Tell whether the Hub holds all of it as the receipt says, and nothing else is asked for."""
    receipt = record.publication
    if receipt is None or receipt.endpoint != hub.endpoint or receipt.count("failed") or options.collection:
        return False
    for plan in plans:
        last = receipt.repo(plan.repo.role)
        if last is None or plan.remote is None or plan.action != "nothing":
            return False
        if (last.repo_id, last.commit) != (plan.repo.repo_id, plan.remote.head):
            return False
        if plan.visibility_now != plan.visibility or (options.tag and options.tag != last.tag):
            return False
    return True


def _verify(hub: Hub, context: Context, staged: list[Staged], screen: Screen, workplace: Workplace) -> list[Check]:
    targets = [Target(s.plan.repo, s.commit) for s in staged]
    with screen.working():
        checks = Verifier(hub, context, targets, workplace, screen.check, screen.doing).run()
    failed = [check for check in checks if check.outcome == "failed"]
    if failed:
        where = "; ".join(f"{check.repo}: {check.name}" for check in failed)
        left = [_pull_url(hub, s) for s in staged if s.pull_request is not None]
        kept = f" The pull request stays open: {', '.join(left)}." if left else ""
        raise Refused(
            f"{len(failed)} of {len(checks)} checks failed ({where}). Nothing unverified was made visible.{kept} "
            "Run the same command again if the connection was at fault; otherwise correct what failed."
        )
    return checks


def _verify_only(
    hub: Hub, context: Context, plans: list[RepoPlan], options: Options, screen: Screen, workplace: Workplace
) -> dict[str, Any]:
    missing = [plan.repo.repo_id for plan in plans if plan.remote is None]
    if missing:
        raise Refused(f"not on the Hub: {', '.join(missing)}. Publish first.")
    staged = [Staged(plan, plan.remote.head, None) for plan in plans if plan.remote is not None]
    checks = _verify(hub, context, staged, screen, workplace)
    public = [(plan.repo, plan.remote.head) for plan in plans if plan.remote is not None and not plan.remote.private]
    for check in check_visible(public, hub.waiting):
        screen.check(check)
        checks.append(check)
    states = {plan.repo.role: plan.remote for plan in plans if plan.remote is not None}
    return _finish(hub, context, plans, states, checks, options, screen)


def _finish(
    hub: Hub,
    context: Context,
    plans: list[RepoPlan],
    states: dict[Role, RemoteRepo],
    checks: list[Check],
    options: Options,
    screen: Screen,
) -> dict[str, Any]:
    """Write the receipt; then tag and group, which may fail, and add that. Repositories of earlier publications stay in it."""
    record = context.record
    last = record.publication if record.publication and record.publication.endpoint == hub.endpoint else None
    done = {plan.repo.role for plan in plans}
    results = next((p.repo.files["evaluation_results.json"].sha256 for p in plans if p.repo.role == "model"), None)
    publication = Publication(
        endpoint=hub.endpoint,
        time=datetime.now(UTC).replace(microsecond=0),
        results_sha256=results or (last.results_sha256 if last else sha256_file(record.results_path)),
        repos=[
            *(repo for repo in (last.repos if last else []) if repo.role not in done),
            *(_published(plan.repo, states[plan.repo.role], last) for plan in plans),
        ],
        checks=[*(check for check in (last.checks if last else []) if check.repo not in done), *checks],
        collection=last.collection if last else None,
    )
    path = record.publication_path
    write_json(path, publication.model_dump(mode="json"))
    failed = [check.name for check in checks if check.outcome == "failed"]
    if failed:
        raise Refused(f"{', '.join(failed)}. What was verified is on the Hub; the receipt in {path} says what failed.")
    try:
        if options.tag:
            for plan in plans:
                put_tag(hub, plan.repo, states[plan.repo.role].head, options.tag)
                publication = publication.tagged(plan.repo.role, options.tag)
                write_json(path, publication.model_dump(mode="json"))
        if publication.collection and not options.collection:
            add_to_collection(hub, publication.collection, [plan.repo for plan in plans])
        if options.collection:
            private = all(plan.visibility == "private" for plan in plans)
            repos = [plan.repo for plan in plans]
            slug = put_collection(hub, repos[0].repo_id.split("/")[0], options.collection, repos, private=private)
            publication = publication.model_copy(update={"collection": slug})
            write_json(path, publication.model_dump(mode="json"))
    finally:
        screen.done(publication, path)
        screen.say("README and final report can cite the receipt now: python -m src.render writes them again")
    return {"result": publication.model_dump(mode="json")}


def _published(repo: Repository, state: RemoteRepo, last: Publication | None) -> PublishedRepo:
    before = last.repo(repo.role) if last else None
    return PublishedRepo(
        role=repo.role,
        repo_id=repo.repo_id,
        kind=repo.kind,
        commit=state.head,
        visibility="private" if state.private else "public",
        files=len(repo.files),
        bytes=repo.size,
        tag=before.tag if before and before.commit == state.head else None,
    )


def _pull_url(hub: Hub, staged: Staged) -> str:
    return f"{hub.endpoint}/{staged.plan.repo.page}/discussions/{staged.pull_request}"


def _plan_json(plan: RepoPlan) -> dict[str, Any]:
    return {
        "role": plan.repo.role,
        "repo_id": plan.repo.repo_id,
        "kind": plan.repo.kind,
        "action": plan.action,
        "visibility_now": plan.visibility_now,
        "visibility": plan.visibility,
        "external_changes": list(plan.external_changes),
        "files": [
            {"path": c.path, "change": c.kind, "size": c.size, "diff": list(c.diff)}
            | ({"sha256": plan.repo.files[c.path].sha256} if c.path in plan.repo.files else {})
            for c in plan.changes
        ],
    }
