"""A publication, step by step: plan, ask, verify here, commit, read back, make public, look, receipt."""

from __future__ import annotations

import signal
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

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
from .options import Options
from .plan import RepoPlan, plan_repo, up_to_date
from .preflight import check_base, check_names, check_packages, check_plan, check_published_base, check_selection
from .receipt import Receipt
from .redact import Redactor
from .remote import Hub
from .repository import Repository
from .show import Screen
from .waiting import SECONDS, Clock


def publish(record: Record, options: Options, screen: Screen, redactor: Redactor, cache: Path | None) -> dict[str, Any]:
    """Publish a record, or only plan it or look at it.

    Returns:
        The plan and the result, ready for JSON.

    Raises:
        InputError: Something of the record cannot be published.
        Ended: A check failed, the person said no, the Hub did not answer as it should, or a signal came; with what is on
            the Hub now.
    """
    state: Callable[[], list[str]] = lambda: ["nothing was changed on the Hub"]  # noqa: E731
    with (
        Clock(options.timeout or SECONDS, screen.doing) as clock,
        tempfile.TemporaryDirectory(prefix="publication-") as folder,
    ):
        try:
            publication = _Publishing(record, options, screen, redactor, cache, clock, Path(folder))
            state = partial(publication.sender.state, clock)
            return publication.run()
        except (RepositoryNotFoundError, RevisionNotFoundError):  # before OSError, which they are as well
            gone = f"a repository disappeared from the Hub, or became hidden. {AGAIN}"
            raise Ended(gone, Refused.exit_code, state()) from None
        except OSError as error:
            what = f"{error.filename}: {error.strerror}" if error.filename else error
            raise Ended(what, InputError.exit_code, state()) from None
        except (CommandError, Stopped) as error:
            raise Ended(error, error.exit_code, state()) from None
        except SystemExit:  # raised by Rich when the output was closed
            raise Ended(f"the output was closed before the end. {AGAIN}", 128 + signal.SIGPIPE, state()) from None
        except Exception as error:  # its traceback ends with what is on the Hub
            error.add_note("\n".join(state()))
            raise


class _Publishing:
    """The state of a publication, and its steps.

    Attributes:
        commits: The commit of each repository, as far as it is known: as the last receipt says, or as it was read back.
        checks: What was checked so far.
    """

    def __init__(
        self,
        record: Record,
        options: Options,
        screen: Screen,
        redactor: Redactor,
        cache: Path | None,
        clock: Clock,
        folder: Path,
    ) -> None:
        if not (options.plan_only or options.verify_only):
            check_gaps(record)
        names = RepoNames.of(record, options.namespace)
        check_names(names, options.tag)
        self.record, self.options, self.screen, self.cache = record, options, screen, cache
        self.clock, self.folder = clock, folder
        retry = Retry(clock, screen.say, redactor, verbose=screen.verbose)
        prepare(retry)
        with clock.doing("logging in"):
            self.token = find_token(retry)
            self.hub, self.visitor = Hub(self.token), Hub(False)
            self.account = check_login(self.hub, names.namespace)
        self.names = RepoNames.of(record, self.account.namespace)
        self.receipt = Receipt(record.publication_path, self.hub.endpoint, record.publication)
        self.sender = Sender(self.hub, retry, self.receipt)
        self.commits: dict[Role, str] = {}

    def run(self) -> dict[str, Any]:
        """Do what was asked for."""
        options = self.options
        repos, notes = self._collect()
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
        self.checks.documents(repos)
        self.checks.load_here(repos, local_base(self.context), self.visitor, self.obstacle, load=options.load)
        self.checks.refuse_failures()
        self.receipt.begin()
        # The Space loads what the others made visible.
        models, spaces = ([p for p in plans if (p.repo.role == "space") == space] for space in (False, True))
        done = self._make_visible([self._commit(plan) for plan in models])
        done += self._make_visible([self._commit(plan) for plan in spaces])
        return report | self._finish(done)

    def _collect(self) -> tuple[list[Repository], list[str]]:
        """Collect what is published; return it, and what the person should know, a line each."""
        self.obstacle = None
        if "model" in self.options.only and self.record.base_folder is None:
            with self.clock.doing("looking at the base model"):
                self.obstacle = check_base(self.visitor, Context(self.record, self.names))
        self.context = Context(self.record, self.names, self.cache, inside_hub=True, base_obstacle=self.obstacle)
        self.checks = Checks(self.context, self.clock, self.folder, self.screen.check)
        with self.clock.doing("collecting the files"):
            repos, notes = gather(self.context, self.options.only, self.token, self.hub.endpoint)
        return repos, [*notes, *([self.obstacle] if self.obstacle else [])]

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
            base = local_base(self.context) if "model" in roles and "base" not in roles else None
            if base is not None and not self.record.model.full:
                check_published_base(self.hub, base)
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
        state = self.sender.state(self.clock)
        self.screen.done(publication, self.receipt.path, state)
        return {"result": publication.model_dump(mode="json"), "state": state}

    def _verify_only(self, plans: list[RepoPlan]) -> dict[str, Any]:
        """Test what is on the Hub, if it is what would be published."""
        other = [plan.repo.repo_id for plan in plans if plan.action != "nothing"]
        if other:
            raise Refused(f"{', '.join(other)}: not on the Hub as in this project. Look at --plan, or publish.")
        for hub, private in ((self.hub, True), (self.visitor, False)):
            self._look(hub, [plan for plan in plans if plan.remote is not None and plan.remote.private == private])
        return self._finish(plans)
