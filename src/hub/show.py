"""Terminal output of the publisher."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext

from rich.console import Console
from rich.filesize import decimal as size
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from src.record.errors import InputError, printable
from src.record.publication import Check, Publication

from .errors import Refused
from .plan import RepoPlan
from .repository import Repository

MARKS = {"added": "+", "changed": "~", "removed": "-", "same": "=", "left alone": " "}
OUTCOMES = {"passed": "green", "failed": "bold red", "not checked": "yellow"}
ACTIONS = {"create": "new, private until it is read back and tried", "update": "one commit", "nothing": "no change"}


def _line(text: str) -> str:
    """Make text from elsewhere safe to print: without control characters, and without Rich's markup."""
    return escape(printable(text))


class Screen:
    """Writes results to standard output and progress to standard error."""

    def __init__(self, *, quiet: bool, verbose: bool = False) -> None:
        # The terminal wraps long lines: a token that Rich had wrapped would not be recognized and redacted.
        self.out = Console(stderr=quiet, highlight=False, soft_wrap=True)
        self.log = Console(stderr=True, highlight=False, soft_wrap=True)
        self.verbose = verbose

    def say(self, line: str) -> None:
        """Print a line of progress."""
        self.log.print(_line(line))

    def bundle(self, repos: list[Repository], folder: object) -> None:
        """List the repositories of a bundle that was written, and with --verbose their files."""
        for repo in repos:
            for file in repo.files.values() if self.verbose else ():
                self.out.print(f"{size(file.size):>9}  {repo.role}/{_line(file.path)}")
            self.out.print(f"{size(repo.size):>9}  {repo.role}: {len(repo.files)} files, {_line(repo.repo_id)}")
        total = sum(repo.size for repo in repos)
        self.out.print(f"{size(total):>9}  {sum(len(repo.files) for repo in repos)} files in {_line(str(folder))}")

    def plan(self, plans: list[RepoPlan], endpoint: str, notes: list[str]) -> None:
        """Print what would happen to the repositories, and what the person should know."""
        for plan in plans:
            self._plan(plan, endpoint)
        for note in notes:
            self.note(note)

    def _plan(self, plan: RepoPlan, endpoint: str) -> None:
        counts = ", ".join(f"{plan.counts[kind]} {kind}" for kind in MARKS if plan.counts[kind])
        action = ACTIONS[plan.action]
        if plan.remote is None and plan.visibility == "public":
            action += ", then public with one commit"
        self.out.print(f"{_line(f'{endpoint}/{plan.repo.page}')}")
        self.out.print(f"  {action}; {plan.visibility}; {counts}; {size(plan.sent)} to send")
        for change in plan.changes if self.verbose else ():
            self.out.print(f"  {MARKS[change.kind]} {change.kind:<10} {size(change.size):>9}  {_line(change.path)}")
        for kind in ("removed", "changed", "left alone"):
            if not self.verbose and (paths := plan.paths(kind)):
                self.out.print(f"  {kind}: {_line(', '.join(paths))}")
        for line in plan.notes:
            self.note(line)
        for line in plan.foreign:
            self.out.print(f"  changed by others: {_line(line)}", style="bold red")

    def note(self, line: str) -> None:
        """Print something to look at that stops nothing."""
        self.out.print(f"  note: {_line(line)}", style="yellow")

    def check(self, check: Check) -> None:
        """Print one check."""
        detail = f" ({_line(check.detail)})" if check.detail else ""
        self.out.print(f"[{OUTCOMES[check.outcome]}]{check.outcome:<11}[/] {check.repo:<7} {_line(check.name)}{detail}")

    def done(self, publication: Publication, path: object, state: list[str]) -> None:
        """Print what was published, and last what is on the Hub now."""
        passed, unknown = publication.count("passed"), publication.count("not checked")
        rest = f", {unknown} not checked" if unknown else ""
        self.out.print(f"{passed} checks passed{rest}; receipt in {escape(str(path))}")
        self.say("README and final report can cite the receipt now: python -m src.render writes them again")
        for line in state:
            self.out.print(_line(line))

    def doing(self, what: str) -> AbstractContextManager[object]:
        """Show what is being done: with a spinner at a terminal, in a line elsewhere."""
        if not self.log.is_terminal:
            self.say(what)
            return nullcontext()
        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        bar = Progress(*columns, console=self.log, transient=True)
        bar.add_task(_line(what), total=None)
        return bar

    def confirm(self, plans: list[RepoPlan]) -> None:
        """Ask at the terminal whether to publish; anything but yes is refused."""
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise InputError(
                "the terminal", "not interactive. Give --yes to publish without a question, or --plan to only look."
            )
        become = [plan.repo.repo_id for plan in plans if plan.visibility == "public"]
        readable = f"{', '.join(become)} will be public" if become else "everything stays private"
        try:
            answer = self.log.input(escape(f"Publish? {readable}. [y/N] "))
        except EOFError:
            answer = ""
        if answer.strip().lower() not in ("y", "yes"):
            raise Refused("you said no.")
