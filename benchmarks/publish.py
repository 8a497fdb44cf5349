"""How long publishing takes, against bare commits of the same files, side by side: `python -m benchmarks.publish`.

Both go to a Hub in this process. Ours is everything but the loading of models: collecting is not counted, checks, plan, commits, reading back,
becoming public and the receipt are. The median of several rounds, in turn.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import huggingface_hub as hf
import pytest

from tests.publishing import TOKEN, Bundle, Desk, make_bundle

ROUNDS = 7
ROLES = ("dataset", "base", "model")


def seconds(work: Callable[[], object]) -> float:
    """Return how long something takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def bare(bundle: Bundle, *, create: bool) -> None:
    """Commit the same files with `create_commit`, one commit per repository."""
    api = hf.HfApi(token=TOKEN)
    for repo in (bundle.repo(role) for role in ROLES):
        if create:
            api.create_repo(repo.repo_id, repo_type=repo.kind, visibility="private")
        adds = [hf.CommitOperationAdd(file.path, file.source) for file in repo.files.values()]
        api.create_commit(repo.repo_id, adds, commit_message="Upload", repo_type=repo.kind)


def main() -> None:
    """Measure and print."""
    os.environ["CACHE_OF_TESTS"] = tempfile.mkdtemp()
    folder = Path(tempfile.mkdtemp())
    bundles = [
        make_bundle(folder / "first", folder / "cache"),
        make_bundle(folder / "second", folder / "cache", tags=["x"]),
    ]
    times: dict[str, list[float]] = {}
    for number in range(ROUNDS + 1):
        for name in ("ours", "bare"):
            with pytest.MonkeyPatch.context() as patch:
                place = folder / f"{name}-{number}"
                place.mkdir()
                desk = Desk(place, bundles[0], patch)
                desk.publish(only=("dataset",), plan_only=True)  # sets the client up
                for step, bundle in (("first", bundles[0]), ("update", bundles[1])):
                    desk.bundle = bundle
                    ours = lambda: desk.publish(only=ROLES)  # noqa: B023, E731
                    theirs = lambda: bare(bundle, create=step == "first")  # noqa: B023, E731
                    times.setdefault(f"{name} {step}", []).append(seconds(ours if name == "ours" else theirs))
                desk.close()
    medians = {name: statistics.median(found[1:]) for name, found in times.items()}
    ratios = {f"{step}: ours / bare": medians[f"ours {step}"] / medians[f"bare {step}"] for step in ("first", "update")}
    print(json.dumps(medians | ratios | {"rounds": ROUNDS}, indent=2))


if __name__ == "__main__":
    main()
