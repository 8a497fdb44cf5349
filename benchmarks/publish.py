"""How fast publishing is, against the least that could be done, side by side in one run: `python -m benchmarks.publish`.

- plan and upload: our planning and uploading of the bundle that lies collected in memory, against a bare `HfApi.create_commit` of
  the same files, both to a new local Hub; the median of several rounds, in turn;
- dry run: the wall time of `python -m src.publish --dry-run` with warm caches, and whether it imports torch or transformers;
- hashing: our SHA-256 of a sparse file of 5 GB against `sha256sum`, and the memory that it takes.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parent.parent
TOKEN = "hf_benchmark"
ROUNDS = 15


def seconds(work: Callable[[], object]) -> float:
    """Return how long something takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def upload() -> dict[str, float]:
    """Compare our planning and uploading with bare commits of the same files."""
    from tests.hub_server import HubServer, User

    folder = tempfile.TemporaryDirectory()
    server = HubServer(Path(folder.name) / "hub")
    server.users[TOKEN] = User("alice")
    os.environ |= {"HF_ENDPOINT": server.start(), "HF_TOKEN": TOKEN, "HF_HUB_DISABLE_XET": "1"}

    import huggingface_hub as hf

    from src.documents.build import Documents
    from src.documents.context import Context, RepoNames
    from src.hub.bundle import Repository, collect
    from src.hub.checks import check_login, check_plan, check_secrets
    from src.hub.client import Hub, prepare
    from src.hub.plan import plan_repo
    from src.hub.upload import stage
    from src.hub.waiting import Waiting
    from src.record import files
    from src.record.load import load_record

    waiting = Waiting(lambda line: None, patience=180)
    prepare(waiting, verbose=False)
    record = load_record(ROOT)
    context = Context(record, RepoNames.of(record, "alice"), ROOT / ".cache", inside_hub=True)
    repos = collect(Documents(context))

    def forget() -> None:
        server.repos.clear()
        server.objects.clear()
        files._HASHED.clear()

    def ours() -> None:
        hub = Hub(TOKEN, waiting)
        user, _ = check_login(hub, "alice")
        check_secrets(repos, TOKEN)
        plans = [plan_repo(hub, repo, "public", None, user, Path(folder.name)) for repo in repos]
        for plan in plans:
            check_plan(hub, plan, None, {})
        for plan in plans:
            stage(hub, plan)

    def bare() -> None:
        api = hf.HfApi(token=TOKEN)
        for repo in repos:
            api.create_repo(repo.repo_id, repo_type=repo.kind, visibility="private")
            adds = [hf.CommitOperationAdd(f.path, f.source) for f in repo.files.values()]
            api.create_commit(repo.repo_id, adds, commit_message="Upload", repo_type=repo.kind)

    def hashed(repo: Repository) -> None:
        for file in repo.files.values():
            if isinstance(file.source, Path):
                files.sha256_file(file.source)

    times: dict[str, list[float]] = {"ours": [], "bare": []}
    for _ in range(ROUNDS + 1):
        for name, work in (("ours", ours), ("bare", bare)):
            forget()
            hashing = seconds(lambda: [hashed(repo) for repo in repos]) if name == "ours" else 0.0
            times[name].append(hashing + seconds(work))
    server.stop()
    medians = {name: statistics.median(found[1:]) for name, found in times.items()}
    folder.cleanup()
    return medians | {
        "rounds": ROUNDS,
        "ratio": medians["ours"] / medians["bare"],
        "bytes": sum(repo.size for repo in repos),
    }


def dry_run() -> dict[str, object]:
    """Time the dry run with warm caches and list which heavy libraries it imports."""
    code = (
        "import sys, runpy; sys.argv = ['publish', '--dry-run', '--output', sys.argv[1]]\n"
        "try: runpy.run_module('src.publish', run_name='__main__')\n"
        "except SystemExit: pass\n"
        "print([m for m in ('torch', 'transformers', 'peft', 'datasets') if m in sys.modules], file=sys.stderr)"
    )
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", code, f"{folder}/bundle"]
        runs = []
        for _ in range(ROUNDS):
            start = time.perf_counter()
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
            runs.append(time.perf_counter() - start)
    return {"seconds": statistics.median(runs[1:]), "imported": done.stderr.strip().splitlines()[-1]}


def hashing() -> dict[str, float]:
    """Compare our hashing of a 5 GB file with sha256sum's."""
    from src.record import files

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "large.safetensors"
        with path.open("wb") as stream:
            stream.truncate(5 * 1024**3)
        ours, theirs = [], []
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for _ in range(3):
            files._HASHED.clear()
            ours.append(seconds(lambda: files.sha256_file(path)))
            theirs.append(seconds(lambda: subprocess.run(["sha256sum", str(path)], check=True, capture_output=True)))
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        summed = subprocess.run(["sha256sum", str(path)], check=True, capture_output=True, text=True).stdout.split()[0]
        assert files.sha256_file(path) == summed
    fast, floor = statistics.median(ours), statistics.median(theirs)
    return {"ours": fast, "sha256sum": floor, "speed_ratio": floor / fast, "grown_mb": grown / 1024}


if __name__ == "__main__":
    hashlib.sha256()  # loaded before memory is measured
    print(json.dumps({"upload": upload(), "dry_run": dry_run(), "hashing": hashing()}, indent=2))
