"""A publication, step by step: plan, ask, verify here, commit, read back, make public, look, receipt."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Callable, Collection
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from huggingface_hub import get_token
from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

from src.documents.context import Context, RepoNames
from src.record.errors import CommandError, InputError
from src.record.files import sha256_file
from src.record.gaps import check_gaps
from src.record.load import Record
from src.record.publication import Role

from .account import check_login
from .bundle import gather, local_base
from .checks import Checks
from .client import Retry, find_token, prepare
from .commit import Sender
from .errors import AGAIN, Ended, Refused, Stopped
from .plan import RepoPlan, plan_repo, up_to_date
from .preflight import check_base, check_names, check_packages, check_plan, check_published_base, check_selection
from .receipt import Receipt
from .redact import Redactor
from .remote import Hub
from .repository import ROLES, Repository, write_bundle
from .show import Screen
from .waiting import SECONDS, Clock


@dataclass(frozen=True)
class Options:
    """What the command was asked to do; see `python -m src.publish --help`. With an `output`, nothing is sent."""

    namespace: str | None = None
    only: Collection[Role] = ROLES
    output: Path | None = None
    verify: bool = False
    plan_only: bool = False
    verify_only: bool = False
    yes: bool = False
    overwrite: bool = False
    make_public: Collection[str] = ()
    tag: str | None = None
    timeout: float | None = None
    load: bool = True
    smoke: bool = True


def publish(record: Record, options: Options, screen: Screen, redactor: Redactor, cache: Path | None) -> dict[str, Any]:
    """Publish a record, or only write, verify or plan it, or test what is published; return plan and result, ready for JSON.

    `Ended` is raised if a check failed, the person said no, the Hub did not answer as it should, or a signal came; its last lines say
    what is on the Hub now.
    """
    with (
        Clock(options.timeout or SECONDS, screen.doing) as clock,
        tempfile.TemporaryDirectory(prefix="publication-") as folder,
    ):
        retry = Retry(clock, screen.say, redactor, verbose=screen.verbose)
        publication = _Publication(record, options, screen, cache, retry, Path(folder))
        try:
            return publication.run() if options.output is None else publication.write(options.output)
        except (RepositoryNotFoundError, RevisionNotFoundError):  # before OSError, which they are as well
            gone = f"a repository disappeared from the Hub, or became hidden. {AGAIN}"
            raise Ended(gone, Refused.exit_code, publication.state()) from None
        except OSError as error:
            what = f"{error.filename}: {error.strerror}" if error.filename else error
            raise Ended(what, InputError.exit_code, publication.state()) from None
        except (CommandError, Stopped) as error:
            raise Ended(error, error.exit_code, publication.state()) from None
        except SystemExit:  # raised by Rich when the output was closed
            closed = f"the output was closed before the end. {AGAIN}"
            raise Ended(closed, 128 + signal.SIGPIPE, publication.state()) from None
        except Exception as error:  # a defect, which is raised again; the person has to know what is on the Hub by now
            error.add_note("\n".join(publication.state()))
            raise


class _Publication:
    """The state of a publication, and its steps.

    Attributes:
        names: The repositories' names; with the namespace of the account once that is known.
        state: Looks up what is on the Hub now, a line for each repository that was touched.
        commits: The commit of each repository, as far as it is known: as the last receipt says, or as it was read back.
        checks: What was checked so far.
    """

    def __init__(
        self, record: Record, options: Options, screen: Screen, cache: Path | None, retry: Retry, folder: Path
    ) -> None:
        self.record, self.options, self.screen, self.cache = record, options, screen, cache
        self.retry, self.clock, self.folder = retry, retry.clock, folder
        self.names = RepoNames.of(record, options.namespace)
        untouched = ["nothing was changed on the Hub"] if options.output is None else []
        self.state: Callable[[], list[str]] = lambda: untouched
        self.commits: dict[Role, str] = {}

    def write(self, output: Path) -> dict[str, Any]:
        """Write the files as they would be sent, after checking and, on request, loading them."""
        verify = self.options.verify
        check_names(self.names, self.options.tag)
        prepare(self.retry)
        if verify and self.options.load:
            check_packages()
        token = None if os.environ.get("HF_OIDC_RESOURCE") else get_token()  # no request for a token
        repos, notes = self._collect(token, unfinished=not verify)
        if self.record.lacks_adapter:
            path = self.record.experiment.checkpoint
            notes.append(f"{path}: no adapter yet; the model's repository is written without it")
        for line in notes:
            self.screen.note(line)
        self._check(repos, load=verify)
        write_bundle(repos, output)
        self.screen.bundle(repos, output)
        return {
            "repos": {repo.role: repo.repo_id for repo in repos},
            "folder": str(output),
            "files": {repo.role: {file.path: file.sha256 for file in repo.files.values()} for repo in repos},
            "checks": [check.model_dump() for check in self.checks.done],
        }

    def run(self) -> dict[str, Any]:
        """Do what was asked for, with an account."""
        options = self.options
        if not (options.plan_only or options.verify_only):
            check_gaps(self.record)
        check_names(self.names, options.tag)
        prepare(self.retry)
        with self.clock.doing("logging in"):
            token = find_token(self.retry)
            self.hub = Hub(token)
            self.account = check_login(self.hub, self.names.namespace)
        self.names = RepoNames.of(self.record, self.account.namespace)
        self.receipt = Receipt(self.record.publication_path, self.hub.endpoint, self.record.publication)
        self.sender = Sender(self.hub, self.retry, self.receipt)
        self.state = partial(self.sender.state, self.clock)
        repos, notes = self._collect(token)
        plans = self._plan(repos)
        self._show(plans, notes)
        report = {"endpoint": self.hub.endpoint, "user": self.account.name, "plan": [plan.as_json() for plan in plans]}
        if options.plan_only:
            self.screen.say("planned only: nothing was changed on the Hub")
            return report
        if not options.verify_only and up_to_date(plans, self.receipt.last, options.tag):
            self.screen.say("nothing changed since the last publication: no commit was made")
            return report | {"result": self.receipt.last.model_dump(mode="json") if self.receipt.last else None}
        if options.load:
            check_packages()
        if options.verify_only:
            return report | self._verify_only(plans)
        if not options.yes:
            with self.clock.paused():
                self.screen.confirm(plans)
        self._check(repos, load=True)
        self.receipt.begin()
        # The Space loads what the others made visible.
        models, spaces = ([p for p in plans if (p.repo.role == "space") == space] for space in (False, True))
        done = self._make_visible([self._commit(plan) for plan in models])
        done += self._make_visible([self._commit(plan) for plan in spaces])
        return report | self._finish(done)

    def _collect(self, token: str | None, *, unfinished: bool = False) -> tuple[list[Repository], list[str]]:
        """Collect what is published; return it, and what the person should know, a line each."""
        record, only = self.record, self.options.only
        self.visitor, self.obstacle = Hub(False), None
        if "model" in only and record.base_folder is None and not unfinished:
            with self.clock.doing("looking at the base model"):
                self.obstacle = check_base(self.visitor, Context(record, self.names))
        context = Context(record, self.names, self.cache, inside_hub=True, base_obstacle=self.obstacle)
        self.checks = Checks(context, self.clock, self.folder, self.screen.check)
        with nullcontext() if unfinished else self.clock.doing("collecting the files"):
            repos, notes = gather(context, only, token, self.visitor.endpoint, unfinished=unfinished)
            self.base = next((repo for repo in repos if repo.role == "base"), None)
            if self.base is None and not unfinished:
                self.base = local_base(context)
        return repos, [*notes, *([self.obstacle] if self.obstacle else [])]

    def _check(self, repos: list[Repository], *, load: bool) -> None:
        """Check everything here, before anything is sent."""
        self.checks.documents(repos)
        if load:
            self.checks.load_here(repos, self.base, self.visitor, self.obstacle, load=self.options.load)
        self.checks.refuse_failures()

    def _plan(self, repos: list[Repository]) -> list[RepoPlan]:
        """Compare every repository with what is on the Hub."""
        options = self.options
        roles = {repo.role for repo in repos}
        before = self.receipt.last.repos if self.receipt.last else []
        self.commits = {entry.role: entry.commit for entry in before if entry.role not in roles}
        check_selection(repos, self.commits, options.make_public)
        plans = []
        with self.clock.doing("comparing with the Hub"):
            for repo in repos:
                asked = repo.repo_id in options.make_public
                plan = plan_repo(self.hub, repo.at(self.commits), self.record.project.visibility, asked, self.receipt)
                check_plan(self.hub, self.account, plan, options.tag)
                if plan.remote is not None and plan.action == "nothing":
                    self.commits[repo.role] = plan.remote.head
                plans.append(plan)
            if self.base is not None and not self.record.model.full and "model" in roles and "base" not in roles:
                check_published_base(self.hub, self.base)
        return plans

    def _show(self, plans: list[RepoPlan], notes: list[str]) -> None:
        """Show what would happen, and set the deadline; refuse what others changed."""
        self.screen.plan(plans, self.hub.endpoint, notes)
        total = sum(plan.sent for plan in plans)
        if self.options.timeout is None:
            self.clock.allow(SECONDS + total / 1e6)
        self.screen.say(f"{total / 1e6:.1f} MB to send; --timeout is {self.clock.left():.0f} s")
        foreign = [plan.repo.repo_id for plan in plans if plan.foreign]
        if foreign and not self.options.overwrite:
            overwrite = "Look at the plan and at the Hub; --overwrite replaces the files that the plan names."
            raise Refused(f"{', '.join(foreign)}: changed by others. {overwrite}")

    def _commit(self, plan: RepoPlan) -> RepoPlan:
        """Commit what differs and read it back; return the plan as it was carried out."""
        plan = replace(plan, repo=plan.repo.at(self.commits))
        repo, remote = plan.repo, plan.remote
        with self.clock.doing(f"sending {repo.repo_id}"):
            if plan.aside is not None:
                self.sender.set_aside(repo, plan.aside)
            if remote is None:
                repo, remote = self.sender.create(repo)
                plan = replace(plan, repo=repo, remote=remote, ours=True)
            commit = remote.head
            if plan.action == "nothing":
                self.sender.touch(repo, commit, ours=plan.committed)
            else:
                self.receipt.note(repo, created=plan.ours)
                commit = self.sender.commit(repo, remote)
        if commit != remote.head:
            with self.clock.doing(f"reading {repo.repo_id} back"):
                self.sender.read_back(repo, remote, commit)
                self.sender.expect_head(repo, commit)
            self.receipt.note(repo, created=plan.ours, commit=commit)
        self.commits[repo.role] = commit
        return plan

    def _make_visible(self, plans: list[RepoPlan]) -> list[RepoPlan]:
        """Try from the Hub what is private, then make public what this publication may; try what was public as a visitor."""
        hidden = [plan for plan in plans if self.sender.expect_head(plan.repo, self.commits[plan.repo.role])]
        self._look(self.hub, hidden)
        become = [plan for plan in plans if plan.becomes_public]
        if become and self.checks.failed:
            raise Refused(f"failed: {'; '.join(self.checks.failed)}. Nothing was made public. {AGAIN}")
        for plan in become:
            with self.clock.doing(f"making {plan.repo.repo_id} public"):
                self.sender.make_public(plan.repo, self.commits[plan.repo.role])
        self._look(self.visitor, [plan for plan in plans if plan not in hidden])
        return [replace(plan, ours=plan.ours and plan not in become) for plan in plans]

    def _look(self, hub: Hub, plans: list[RepoPlan]) -> None:
        if self.options.smoke and plans:
            self.checks.look(hub, [plan.repo for plan in plans], load=self.options.load)

    def _finish(self, plans: list[RepoPlan]) -> dict[str, Any]:
        """Look at everything once more, tag, and write the receipt."""
        entries = []
        for plan in plans:
            repo, commit = plan.repo, self.commits[plan.repo.role]
            private = self.sender.expect_head(repo, commit)
            if not private:
                self.checks.read_as_visitor(self.visitor, repo, commit)
            if self.options.tag:
                self.sender.tag(repo, commit, self.options.tag)
            entries.append(self.receipt.entry(repo, commit, self.options.tag, private=private, ours=plan.ours))
        publication = self.receipt.finish(sha256_file(self.record.results_path), entries, self.checks.done)
        if self.checks.failed:
            raise Refused(f"failed: {'; '.join(self.checks.failed)}. The receipt in {self.receipt.path} says why.")
        state = self.state()
        self.screen.done(publication, self.receipt.path, state)
        return {"result": publication.model_dump(mode="json"), "state": state}

    def _verify_only(self, plans: list[RepoPlan]) -> dict[str, Any]:
        """Test what is on the Hub, if it is what would be published."""
        other = [plan.repo.repo_id for plan in plans if plan.action != "nothing"]
        if other:
            raise Refused(f"{', '.join(other)}: not on the Hub as in this project. Look at --plan, or publish.")
        self._check([plan.repo for plan in plans], load=False)
        for hub, private in ((self.hub, True), (self.visitor, False)):
            self._look(hub, [plan for plan in plans if plan.remote is not None and plan.remote.private == private])
        return self._finish(plans)
