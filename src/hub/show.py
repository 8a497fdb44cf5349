"""What the person who publishes sees: tables and progress bars at a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    FileSizeColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TransferSpeedColumn,
)
from rich.table import Table

from src.documents.formatting import size
from src.record.errors import printable
from src.record.publication import Check, Publication

from .bundle import Progress as ProgressCallback
from .bundle import Repository
from .plan import RepoPlan

MARKS = {"added": ("+", "green"), "changed": ("~", "yellow"), "removed": ("-", "red"), "unchanged": ("=", "dim")}
OUTCOMES = {"passed": "green", "failed": "bold red", "not checked": "yellow"}


def _line(text: str) -> str:
    """Make text from elsewhere safe to print: without control characters, and without Rich's markup."""
    return escape(printable(text))


class Screen:
    """Writes what was found to standard output and what is going on to standard error.

    Args:
        quiet: Whether standard output is kept free for JSON.
    """

    def __init__(self, *, quiet: bool) -> None:
        # The terminal wraps long lines: a token that Rich had wrapped would not be recognized and redacted.
        self.out = Console(stderr=quiet, highlight=False, soft_wrap=True)
        self.log = Console(stderr=True, highlight=False, soft_wrap=True)
        self._bar: Progress | None = None

    def say(self, line: str) -> None:
        """Say what is going on."""
        self.log.print(_line(line))

    def bundle(self, repos: list[Repository], folder: Path) -> None:
        """Show the files of a bundle that was written."""
        for repo in repos:
            for file in repo.files.values():
                self.out.print(f"{size(file.size):>9}  {repo.role}/{_line(file.path)}")
        self.say(f"bundle in {folder}")

    def plan(self, plans: list[RepoPlan], endpoint: str) -> None:
        """Show what would happen to every repository."""
        for plan in plans:
            self._repo(plan, endpoint)

    def _repo(self, plan: RepoPlan, endpoint: str) -> None:
        repo = plan.repo
        how = {
            "create": "new: private until it is verified",
            "commit": "one commit, verified before anything else",
            "pull request": "one pull request, verified before it is merged",
            "nothing": "nothing to upload",
        }[plan.action]
        now = plan.visibility_now
        seen = plan.visibility if now in (None, plan.visibility) else f"{now} → {plan.visibility}"
        title = f"{endpoint}/{repo.page}"
        summary = f"{how}; {seen}; {len(repo.files)} files, {size(repo.size)}"
        if self.out.is_terminal:
            table = Table(title=_line(title), caption=escape(summary), title_justify="left", caption_justify="left")
            for heading in ("", "File", "Size"):
                table.add_column(heading, justify="right" if heading == "Size" else "left")
            for change in plan.changes:
                mark, style = MARKS[change.kind]
                table.add_row(f"{mark} {change.kind}", _line(change.path), size(change.size), style=style)
            self.out.print(table)
        else:
            self.out.print(f"{_line(title)}\n  {escape(summary)}")
            for change in plan.changes:
                self.out.print(f"  {change.kind:<9} {size(change.size):>9}  {_line(change.path)}")
        for change in plan.changes:
            for line in change.diff:
                self.out.print(f"    {escape(line)}", style={"+": "green", "-": "red"}.get(line[:1]))
        for line in plan.external_changes:
            self.out.print(f"  changed by others: {_line(line)}", style="bold red")

    def check(self, check: Check) -> None:
        """Show one check."""
        detail = f" ({_line(check.detail)})" if check.detail else ""
        above = self.log if self._bar is not None and self.out.is_terminal else self.out  # the line below makes room
        above.print(f"[{OUTCOMES[check.outcome]}]{check.outcome:<11}[/] {check.repo:<7} {_line(check.name)}{detail}")

    def done(self, publication: Publication, path: Path) -> None:
        """Show what was published."""
        for repo in publication.repos:
            self.out.print(f"{repo.visibility:<7} {_line(publication.url(repo))}  commit {repo.commit[:12]}")
        passed, unknown = publication.count("passed"), publication.count("not checked")
        rest = f", {unknown} not checked" if unknown else ""
        self.out.print(f"{passed} checks passed{rest}; receipt in {escape(str(path))}")

    @contextmanager
    def hashing(self) -> Iterator[ProgressCallback | None]:
        """Show a progress bar of the hashing, at a terminal."""
        if not self.log.is_terminal:
            yield None
            return
        columns = (TextColumn("hashing {task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        with Progress(*columns, console=self.log, transient=True) as bar:
            task = bar.add_task("", total=None)
            yield lambda name, count: bar.update(task, description=_line(name), advance=count)

    @contextmanager
    def working(self) -> Iterator[None]:
        """At a terminal, keep a line below all others that says what is being done; it is gone afterwards."""
        if not self.log.is_terminal:
            yield
            return
        columns = (SpinnerColumn(), TextColumn("{task.description}"), FileSizeColumn(), TimeElapsedColumn())
        bar = Progress(*columns, console=self.log, transient=True)
        bar.add_task("", total=None)
        with bar:
            self._bar = bar
            try:
                yield
            finally:
                self._bar = None

    def doing(self, line: str) -> None:
        """Say what is being done from now on."""
        if self._bar is None:
            self.say(line)
        else:
            self._bar.reset(self._bar.task_ids[0], description=_line(line), total=None)

    def moved(self, count: int) -> None:
        """Count bytes that were sent or received."""
        if self._bar is not None:
            self._bar.advance(self._bar.task_ids[0], count)

    def ask(self, question: str) -> bool:
        """Ask a yes-or-no question at the terminal; anything but yes is no."""
        try:
            return self.log.input(f"{escape(question)} \\[y/N] ").strip().lower() in ("y", "yes")
        except EOFError:
            return False
