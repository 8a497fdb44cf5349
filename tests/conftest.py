"""Fixtures: the tiny project, copies of it that tests may break, and the commands as a user runs them.

Whatever is not a claim about the committed record is tested on tests/tiny, so that it holds for a fork with another record too.
Tests of the committed record itself are in test_committed.py.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from filelock import FileLock
from hypothesis import settings

from src import cli
from src.documents.build import Documents
from src.documents.context import Context, RepoNames
from src.record.load import Record, load_record

from .records import without_study

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from .hub_server import HubServer
    from .publishing import Bundle, Desk

settings.register_profile("untimed", deadline=None)  # tests make no claims about speed
settings.load_profile("untimed")

REPO = Path(__file__).parent.parent
TINY = REPO / "tests/tiny"

DEMO = next(path for path in (REPO / "docs/assets/demo", REPO / "tests/demo") if path.is_dir())
"""The widget's code, which a project that shows none has for its tests alone."""

METRICS = ("letter_count_accuracy", "letter_position_accuracy", "character_level_accuracy", "levenshtein_distance")
MINIMAL_RESULTS = {
    "base_model": {"metrics": dict(zip(METRICS, (0.25, 0.0, 0.31, 0.62), strict=True))},
    "finetuned_model": {"metrics": dict(zip(METRICS, (0.21, 0.43, 0.72, 0.19), strict=True))},
}
MINIMAL_CONFIG = """\
experiment_name: tiny
lora_config: {r: 16, lora_alpha: 32}
training_config: {learning_rate: 2.0e-4, per_device_train_batch_size: 8, gradient_accumulation_steps: 4, max_steps: 1000}
"""

CACHE = "CACHE_OF_TESTS"
"""Names the cache's folder in the environment."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out tests of what this project does not have, and begin with the longest, so that none is left over at the end."""
    lacking = {
        "experiment": not (REPO / "src/experiment").is_dir(),
        "committed": not (REPO / "tests/test_committed.py").is_file(),
    }
    left_out = [item for item in items if any(lacks and item.get_closest_marker(m) for m, lacks in lacking.items())]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]
    items.sort(key=lambda item: item.path.stem not in ("test_site", "test_site_records"))


@pytest.fixture(scope="session")
def record() -> Record:
    """The tiny record."""
    return load_record(TINY)


@pytest.fixture(scope="session")
def context(record: Record, session_folder: Path) -> Context:
    return Context(record, RepoNames.of(record), session_folder / "cache")


@pytest.fixture(scope="session")
def documents(context: Context) -> Documents:
    return Documents(context)


def run_in(cwd: Path, *arguments: str, timeout: int = 600, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `python ARGUMENTS` in a folder, offline, with the code that lies in that folder if there is some.

    The Python reference, most of a site's build, is left out where the environment does not ask for it.
    """
    env = os.environ | {
        "PYTHONPATH": str(cwd if (cwd / "src").exists() else REPO),
        "HF_HUB_OFFLINE": "1",
        "NO_COLOR": "1",
        "COLUMNS": "120",
        "ENABLE_MKDOCSTRINGS": "false",
    }
    return subprocess.run(
        [sys.executable, *arguments], cwd=cwd, env=env | environment, capture_output=True, text=True, timeout=timeout,
        stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip


def invoke(cwd: Path, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run one of our commands in a folder as `python -m src.COMMAND ARGUMENTS` does, but in this process."""
    function = getattr(importlib.import_module(f"src.{command}"), command)
    out, err, code = io.StringIO(), io.StringIO(), 0
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    argv, sys.argv = sys.argv, [command, *arguments]
    try:
        with contextlib.chdir(cwd), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            cli.run(function)
    except SystemExit as end:
        code = int(end.code or 0)
    finally:
        sys.argv = argv
        for number, handler in handlers.items():
            signal.signal(number, handler)
    return subprocess.CompletedProcess([command, *arguments], code, out.getvalue(), err.getvalue())


def succeeds(cwd: Path, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run one of our commands, which has to succeed."""
    done = invoke(cwd, command, *arguments)
    assert done.returncode == 0, done.stderr
    return done


def refuses(cwd: Path, command: str, *arguments: str) -> str:
    """Run one of our commands, which has to refuse its input; return the errors."""
    done = invoke(cwd, command, *arguments)
    assert done.returncode == 2, done.stdout + done.stderr
    return done.stderr


@pytest.fixture(scope="session", autouse=True)
def session_folder(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A folder of this session that all workers share."""
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "shared"
    (folder / "cache").mkdir(parents=True, exist_ok=True)
    os.environ[CACHE] = str(folder / "cache")
    return folder


def once(folder: Path, make: Callable[[Path], object]) -> Path:
    """Make a folder that tests only read, for all workers, by the first that asks for it."""
    done = folder.with_suffix(".done")
    with FileLock(folder.with_suffix(".lock")):
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)  # a worker may have failed on the way
            make(folder)
            done.touch()
    return folder


@pytest.fixture(scope="session")
def bundles(tmp_path_factory: pytest.TempPathFactory, session_folder: Path) -> tuple[Bundle, Bundle]:
    """Two versions of the tiny project, to publish."""
    from .publishing import make_bundle

    folder, cache = tmp_path_factory.mktemp("bundles"), session_folder / "cache"
    changed = make_bundle(folder / "second", cache, tags=["toy", "changed-tag"])
    return make_bundle(folder / "first", cache), changed


@pytest.fixture
def desk(tmp_path: Path, bundles: tuple[Bundle, Bundle], monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """Somebody who publishes to a Hub in this process."""
    from .publishing import Desk

    made = Desk(tmp_path, bundles[0], monkeypatch)
    yield made
    made.close()


@pytest.fixture
def hub() -> Iterator[HubServer]:
    """A Hub over a socket."""
    from .publishing import new_hub

    server = new_hub()
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    from .browsing import browsing

    with browsing() as found:
        yield found


@pytest.fixture(scope="session")
def built(session_folder: Path) -> tuple[Path, str]:
    """Build the tiny project's site as a user does; give its folder and all that MkDocs printed."""

    def make(folder: Path) -> None:
        done = run_in(copy_tiny(folder), "-m", "mkdocs", "build", ENABLE_MKDOCSTRINGS="true")
        assert done.returncode == 0, done.stdout + done.stderr
        (folder / "printed").write_text(done.stdout + done.stderr)

    root = once(session_folder / "site", make)
    return root / "site", (root / "printed").read_text()


@pytest.fixture(scope="module")
def address(built: tuple[Path, str]) -> Iterator[str]:
    """The tiny project's site, below a path, as project pages are."""
    from .browsing import serving

    with serving(built[0], "/some/project/") as url:
        yield url


def copy_engine(target: Path) -> None:
    """Put what every project shares into a folder: the code, linked, and the site's configuration, guides and assets."""
    target.mkdir(parents=True, exist_ok=True)
    for name in ("src", "gen", "overrides"):
        (target / name).symlink_to(REPO / name)
    for name in ("guides", "assets"):
        shutil.copytree(REPO / "docs" / name, target / "docs" / name)
    shutil.copytree(DEMO, target / "docs/assets/demo", dirs_exist_ok=True)
    shutil.copy(REPO / "mkdocs.yml", target / "mkdocs.yml")
    (target / ".cache").symlink_to(os.environ[CACHE])


def copy_tiny(target: Path) -> Path:
    """Copy the tiny project, with the engine that builds it and one cache that this session began empty."""
    shutil.copytree(TINY, target)
    copy_engine(target)
    return target


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the tiny project that a test may change."""
    return copy_tiny(tmp_path / "project")


@pytest.fixture
def minimal(tmp_path: Path) -> Path:
    """The tiny project with nothing on record but two dictionaries of metrics, and a short config."""
    root = tmp_path / "minimal"
    for name in ("configs", "docs"):
        shutil.copytree(TINY / name, root / name)
    shutil.copy(TINY / "LICENSE", root / "LICENSE")
    copy_engine(root)
    (root / "configs/experiments/tiny.yaml").write_text(MINIMAL_CONFIG)
    without_study(root)
    (root / "results/tiny").mkdir(parents=True)
    (root / "results/tiny/evaluation_results.json").write_text(json.dumps(MINIMAL_RESULTS))
    return root
