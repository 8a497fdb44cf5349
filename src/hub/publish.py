"""A whole publication: plan, verify here, commit, read back, make visible, look, receipt."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

from src.documents.context import Context, RepoNames
from src.record.errors import CommandError, InputError
from src.record.files import sha256_file
from src.record.gaps import check_gaps, unready
from src.record.load import Record
from src.record.publication import Check, Publication, Role

from .bundle import Repository, checked, collect, local_base
from .checks import (
    check_base,
    check_license,
    check_login,
    check_names,
    check_plan,
    check_something,
    check_tokens,
    left_out_notes,
    missing_packages,
)
from .client import Retry, find_token, prepare
from .commit import Sender
from .errors import Ended, Refused, Stopped
from .extras import add_to_collection, put_collection, put_tag
from .look import Smoke, check_links, check_visitor
from .options import INSTALL, Options
from .plan import RepoPlan, plan_repo
from .receipt import Receipt, merged, published
from .remote import Hub, RemoteRepo
from .secrets import check_secrets
from .show import Screen
from .verify import Verification
from .waiting import SECONDS, Clock

LOOKING = 30.0
"""Seconds for looking up what is on the Hub at the end, whatever ended the publication."""


def publish(record: Record, options: Options, screen: Screen, cache: Path | None) -> dict[str, Any]:
    """Publish a record, or only plan it or look at it.

    Returns:
        The plan and the result, ready for JSON.

    Raises:
        InputError: Something of the record cannot be published.
        Ended: A check failed, the person said no, the Hub did not answer as it should, or a signal came; with what is on
            the Hub now.
    """
    spinner = screen.spinner if screen.log.is_terminal else None
    with (
        Clock(options.timeout or SECONDS, spinner) as clock,
        tempfile.TemporaryDirectory(prefix="publication-") as folder,
    ):
        publication = _Publishing(record, options, screen, cache, clock, Path(folder))
        try:
            return publication.run()
        except (RepositoryNotFoundError, RevisionNotFoundError):  # before OSError, which they are as well
            gone = "a repository disappeared from the Hub, or became hidden. Run the same command again."
            raise Ended(gone, Refused.exit_code, publication.state()) from None
        except (CommandError, Stopped, OSError) as error:
            code = getattr(error, "exit_code", InputError.exit_code)
            what = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else error
            raise Ended(what, code, publication.state()) from None


class _Publishing:
    def __init__(
        self, record: Record, options: Options, screen: Screen, cache: Path | None, clock: Clock, folder: Path
    ) -> None:
        self.record, self.options, self.screen, self.cache = record, options, screen, cache
        self.clock, self.folder = clock, folder
        self.retry = Retry(clock, screen.say)
        self.checks: list[Check] = []
        self.commits: dict[Role, str] = {}

    def state(self) -> list[str]:
        """Look up what is on the Hub now."""
        if not hasattr(self, "sender"):
            return ["nothing was changed on the Hub"]
        try:
            self.clock.allow(LOOKING)
            with self.clock.doing("looking up what is on the Hub"):
                return self.sender.state()
        except Stopped:
            return [f"unknown, look at {self.hub.endpoint}/{repo.page}" for repo, _ in self.sender.touched.values()]

    def run(self) -> dict[str, Any]:
        """Do what was asked for."""
        options, screen, clock = self.options, self.screen, self.clock
        if not (options.plan_only or options.verify_only):
            check_gaps(self.record)
        check_names(RepoNames.of(self.record, options.namespace), options.tag)
        check_license(self.record.project.license, self.record.root / "LICENSE")
        prepare(self.retry, verbose=options.verbose)
        with clock.doing("logging in"):
            token = find_token()
            self.hub, self.visitor = Hub(token), Hub(False)
            user, namespace = check_login(self.hub, RepoNames.of(self.record, options.namespace).namespace)
        names = RepoNames.of(self.record, namespace)
        check_names(names, options.tag)
        self.obstacle = None
        if "model" in options.only and self.record.base_folder is None:
            with clock.doing("looking at the base model"):
                self.obstacle = check_base(self.visitor, Context(self.record, names))
        self.context = Context(self.record, names, self.cache, inside_hub=True, base_obstacle=self.obstacle)
        with screen.hashing() as progress:
            repos = collect(checked(self.context), options.only, progress, self.hub.endpoint)
        check_something(self.context, options.only, bool(repos))
        warnings = [*check_tokens(self.record), *left_out_notes(self.record)]
        warnings += check_secrets(repos, token, self.record.project.allow_secrets, self.cache)
        self.receipt = Receipt(self.record.publication_path, self.hub.endpoint)
        self.sender = Sender(self.hub, self.retry, self.receipt)
        with clock.doing("comparing with the Hub"):
            plans = self._plan(repos)
            obstacle = self._base(plans)
        for plan in plans:
            screen.plan(plan, self.hub.endpoint)
        for line in [*warnings, *([obstacle] if obstacle else []), *unready(self.record)]:
            screen.warn(line)
        total = sum(plan.sent for plan in plans)
        if options.timeout is None:
            clock.allow(SECONDS + total / 1e6)
        screen.say(f"{total / 1e6:.1f} MB to send; --timeout is {clock.left() / 60:.0f} minutes")
        report: dict[str, Any] = {"endpoint": self.hub.endpoint, "user": user, "plan": [p.as_json() for p in plans]}
        foreign = [plan.repo.repo_id for plan in plans if plan.foreign]
        if foreign and not options.overwrite:
            raise Refused(
                f"{', '.join(foreign)}: changed by others since the last publication. Look at it on the Hub; "
                "--overwrite continues anyway."
            )
        if options.plan_only:
            screen.say("planned only: nothing was changed on the Hub")
            return report
        if not options.verify_only and self._up_to_date(plans):
            screen.say("nothing changed since the last publication: no commit was made")
            last = self.record.publication
            return report | {"result": last.model_dump(mode="json") if last else None}
        self._check_packages()
        if options.verify_only:
            return report | self._look_only(plans)
        self._verify(repos, obstacle)
        self._confirm(plans)
        self.receipt.begin()
        if options.create_pr:
            return report | {"pull_requests": self._open_pull_requests(plans)}
        return report | self._execute(plans)

    def _plan(self, repos: list[Repository]) -> list[RepoPlan]:
        receipt = self.record.publication
        last = receipt.repos if receipt is not None and receipt.endpoint == self.hub.endpoint else []
        selected = {repo.role for repo in repos}
        self.commits = {entry.role: entry.commit for entry in last if entry.role not in selected}
        if "space" in selected and not {"base", "model"} <= selected | self.commits.keys():
            raise Refused(
                "the Space shows models that are not published yet. Publish base and model first, or with it."
            )
        own = {repo.repo_id: repo.kind for repo in repos}
        plans = []
        for repo in repos:
            plan = plan_repo(
                self.hub, repo.at(self.commits), self.record.project.visibility, receipt, self.receipt.unfinished,
                self.options.make_public,
            )  # fmt: skip
            check_plan(self.hub, plan, self.options.tag, own)
            if plan.remote is not None and plan.action == "nothing":
                self.commits[repo.role] = plan.remote.head
            plans.append(plan)
        unknown = set(self.options.make_public) - own.keys()
        if unknown:
            raise Refused(f"--make-public {', '.join(sorted(unknown))}: not a repository of this publication.")
        return plans

    def _base(self, plans: list[RepoPlan]) -> str | None:
        """Check the base model that an adapter without it will be loaded on; return what keeps visitors from loading it."""
        roles = {plan.repo.role for plan in plans}
        if "model" not in roles or "base" in roles or self.record.model.full:
            return None
        if self.record.base_folder is None:
            return self.obstacle
        base = local_base(self.context)
        remote = self.hub.read(base.repo_id, base.kind) if base is not None else None
        if base is None or remote is None:
            raise Refused("the adapter's base model is not on the Hub. Publish it first, or with it.")
        odd = [
            path for path in remote.differing(base) if path.endswith((".safetensors", "config.json", "tokenizer.json"))
        ]
        if odd:
            raise Refused(
                f"{base.repo_id}: is not the base model that was evaluated ({', '.join(odd)}). Publish it as well."
            )
        return None

    def _check_packages(self) -> None:
        missing = missing_packages()
        if missing and self.options.load:
            raise Refused(
                f"{', '.join(missing)} not installed, so what would be sent cannot be loaded. Run `{INSTALL}`, or give --no-load."
            )

    def _verify(self, repos: list[Repository], obstacle: str | None) -> None:
        verification = Verification(self.context, repos, self.screen.check)
        verification.documents()
        verification.links(self.clock)
        base = local_base(self.context) if self.record.base_folder is not None else None
        verification.load(self.folder, self.clock, self.visitor, base, obstacle, load=self.options.load)
        self.checks = verification.finish()

    def _confirm(self, plans: list[RepoPlan]) -> None:
        if self.options.yes:
            return
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise InputError(
                "the terminal", found="not an interactive terminal", expected="a yes to the plan",
                hint="Give --yes to publish without being asked, or --plan to look only.",
            )  # fmt: skip
        become = [plan.repo.repo_id for plan in plans if plan.visibility == "public"]
        readable = f"{', '.join(become)} will be public" if become else "everything stays private"
        if self.options.create_pr:
            readable = "a pull request on a public repository is readable by all"
        with self.clock.paused():
            agreed = self.screen.ask(f"Publish? {readable}.")
        if not agreed:
            raise Refused("you said no.")

    def _open_pull_requests(self, plans: list[RepoPlan]) -> list[str]:
        missing = [plan.repo.repo_id for plan in plans if plan.remote is None]
        if missing:
            raise Refused(
                f"{', '.join(missing)}: not on the Hub yet, so there is nothing to open a pull request for. Publish first."
            )
        opened = []
        for plan in plans:
            if plan.remote is not None and plan.action == "update":
                opened.append(self.sender.commit(plan, plan.remote, pull=True))
                self.screen.say(f"opened {opened[-1]}; on a public repository it is readable by all. Merge it there.")
        self.receipt.end()
        return opened

    def _execute(self, plans: list[RepoPlan]) -> dict[str, Any]:
        """Publish base model, dataset and model, then the Space, which loads what the others made visible."""
        heads: dict[Role, str] = {}
        for wave in ([p for p in plans if p.repo.role != "space"], [p for p in plans if p.repo.role == "space"]):
            done = []
            for plan in wave:
                plan, heads[plan.repo.role] = self._send(plan)
                done.append(plan)
                self.commits[plan.repo.role] = heads[plan.repo.role]
            hidden = [plan for plan in done if self.sender.expect_head(plan.repo, heads[plan.repo.role])]
            self._smoke(self.hub, hidden, heads)
            failed = [check for check in self.checks if check.outcome == "failed"]
            if not failed:
                for plan in done:
                    self._reveal(plan, heads[plan.repo.role])
            elif any(plan.revealed for plan in done):
                raise Refused(
                    f"{_names(failed)}. Nothing was made public; run the same command again, or with --no-smoke."
                )
            self._smoke(self.visitor, [plan for plan in done if plan not in hidden], heads)
        return self._finish(plans, heads)

    def _send(self, plan: RepoPlan) -> tuple[RepoPlan, str]:
        """Commit what differs and read it back; return the plan as it was carried out, and the commit."""
        plan = replace(plan, repo=plan.repo.at(self.commits))
        if plan.action == "nothing" and plan.remote is not None:
            self.sender.touch(plan.repo, plan.remote.head)
            if plan.own:
                self.receipt.note(plan.repo.repo_id, plan.remote.head)
            return plan, plan.remote.head
        remote: RemoteRepo | None = plan.remote
        with self.clock.doing(f"sending {plan.repo.repo_id}"):
            if remote is None:
                remote = self.sender.create(plan.repo)
                plan = replace(plan, own=True)
            commit = self.sender.commit(plan, remote)
        with self.clock.doing(f"reading {plan.repo.repo_id} back"):
            self.sender.read_back(plan, remote, commit)
            self.sender.expect_head(plan.repo, commit)
        if plan.own:
            self.receipt.note(plan.repo.repo_id, commit)
        return replace(plan, remote=plan.remote or remote), commit

    def _reveal(self, plan: RepoPlan, commit: str) -> None:
        if plan.revealed:
            with self.clock.doing(f"making {plan.repo.repo_id} public"):
                self.sender.make_public(plan.repo, commit)

    def _smoke(self, hub: Hub, plans: list[RepoPlan], heads: Mapping[Role, str]) -> None:
        if not self.options.smoke or not plans:
            return
        who = "owner" if hub is self.hub else "visitor"
        smoke = Smoke(hub, self.context, self.folder / who, self.clock, self._note)
        smoke.run([(plan.repo, heads[plan.repo.role]) for plan in plans], load=self.options.load)

    def _note(self, check: Check) -> None:
        self.checks.append(check)
        self.screen.check(check)

    def _finish(self, plans: list[RepoPlan], heads: Mapping[Role, str]) -> dict[str, Any]:
        """Look at everything once more, tag, group, and write the receipt."""
        last = self.record.publication
        entries = []
        for plan in plans:
            commit = heads[plan.repo.role]
            private = self.sender.expect_head(plan.repo, commit)
            links = None
            if self.options.smoke:
                who = self.hub if private else self.visitor
                links = check_links(who, self.context, plan.repo, {p.repo.repo_id for p in plans})
            if links is not None:
                self._note(links)
            if not private:
                self._note(check_visitor(self.visitor, plan.repo, commit))
            entries.append(published(plan.repo, commit, private=private, last=last))
        model = next((plan.repo for plan in plans if plan.repo.role == "model"), None)
        results = model.files["evaluation_results.json"].sha256 if model else None
        if results is None:
            results = last.results_sha256 if last else sha256_file(self.record.results_path)
        publication = merged(last, self.hub.endpoint, results, entries, self.checks)
        problem: CommandError | None = None
        try:
            publication = self._group(publication, [plan.repo for plan in plans], heads)
        except CommandError as error:
            problem = error
        self.receipt.write(publication)
        for plan in plans:
            self.receipt.forget(plan.repo.repo_id)
        self.receipt.end()
        failed = [check for check in self.checks if check.outcome == "failed"]
        if problem is not None:
            raise (
                type(problem)(f"{problem} The receipt is in {self.receipt.path}.")
                if type(problem) is not InputError
                else problem
            )
        if failed:
            raise Refused(f"{_names(failed)}. The receipt in {self.receipt.path} says what failed.")
        state = self.state()
        self.screen.done(publication, self.receipt.path, state)
        return {"result": publication.model_dump(mode="json"), "state": state}

    def _group(self, publication: Publication, repos: list[Repository], heads: Mapping[Role, str]) -> Publication:
        options = self.options
        for repo in repos if options.tag else ():
            put_tag(self.hub, repo, heads[repo.role], str(options.tag))
            publication = publication.tagged(repo.role, str(options.tag))
        if options.collection:
            private = all(repo.visibility == "private" for repo in publication.repos)
            slug = put_collection(self.hub, repos[0].repo_id.split("/")[0], options.collection, repos, private=private)
            return publication.model_copy(update={"collection": slug})
        if publication.collection:
            add_to_collection(self.hub, publication.collection, repos)
        return publication

    def _look_only(self, plans: list[RepoPlan]) -> dict[str, Any]:
        """Test what is on the Hub, if it is what would be published."""
        other = [plan.repo.repo_id for plan in plans if plan.action != "nothing"]
        if other:
            raise Refused(
                f"{', '.join(other)}: not on the Hub as in this project. Look at --plan --verbose, or publish."
            )
        heads = {plan.repo.role: plan.remote.head for plan in plans if plan.remote is not None}
        for private in (True, False):
            chosen = [plan for plan in plans if plan.remote is not None and plan.remote.private == private]
            self._smoke(self.hub if private else self.visitor, chosen, heads)
        return self._finish(plans, heads)

    def _up_to_date(self, plans: list[RepoPlan]) -> bool:
        """Determine whether the Hub has all of it, as the receipt says, and nothing else is asked for."""
        receipt, options = self.record.publication, self.options
        if receipt is None or receipt.endpoint != self.hub.endpoint or receipt.count("failed") or options.collection:
            return False
        for plan in plans:
            last = receipt.repo(plan.repo.role)
            if last is None or plan.remote is None or plan.action != "nothing" or plan.revealed:
                return False
            if (last.repo_id, last.commit, last.visibility) != (
                plan.repo.repo_id,
                plan.remote.head,
                plan.remote.visibility,
            ):
                return False
            if options.tag and options.tag != last.tag:
                return False
        return True


def _names(checks: list[Check]) -> str:
    return "failed: " + "; ".join(f"{check.repo}: {check.name}" for check in checks)
