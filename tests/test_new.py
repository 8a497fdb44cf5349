"""A project of its own, created by `python -m src.new`: what is in it, what is not, and that it builds, tests and publishes."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml
from pypdf import PdfReader

from src.record.files import sha256_file
from src.record.load import load_record

from .conftest import REPO, TINY, invoke, once, refuses, run_in, succeeds
from .hub_server import HubServer
from .publishing import Author
from .records import CAUSAL, checkpoint, edit_json
from .test_import import color_runs
from .test_trainer import STATE

WORDS = (
    "spelling", "spelled", "strawberr", "gpt2-mini", "public-domain", "public domain", "letter_", "letters of", "wamerican", "mlschmitt",
    "cherry", "toy", "how many r", "books",
)  # fmt: skip
"""What only the study of this repository, or the toy of its tests, has to do with."""

BINARY = (".png", ".woff2", ".parquet", ".safetensors")

ENGINE = ("src", "gen", "tests", "docs/guides", "overrides", "docs/assets")
"""Folders of the engine, which a project shares with all others."""

THEME = ("javascripts", "stylesheets")

EXPERIMENT = ("src/experiment", "src/train.py", "docs/assets/demo", "Snakefile", "experiment.mk")
"""What a project has that makes its record itself."""

BASE = "someone/small-base"
DISTIL = CAUSAL | {"base_model_name_or_path": "distilbert/distilgpt2"}


def lm_eval_results(folder: Path, adapter: str) -> tuple[Path, Path]:
    """Write what the harness writes about a task, of a base model and an adapter of it."""
    color_runs(folder, {"b": f"pretrained={BASE}", "t": f"pretrained={BASE},peft={adapter}"})
    return folder / "b", folder / "t"


def adapter_folder(folder: Path) -> Path:
    """Copy the toy's adapter as a Trainer leaves one, with files that are not published."""
    shutil.copytree(TINY / "checkpoints/best_model", folder)
    edit_json(folder / "adapter_config.json", lambda data: data.update(base_model_name_or_path=BASE))
    (folder / "training_args.bin").write_bytes(b"pickle")
    (folder / "checkpoint-5").mkdir()
    (folder / "checkpoint-5/optimizer.pt").write_bytes(b"pickle")
    (folder / "README.md").write_text("# out")
    (folder / "trainer_state.json").write_text(STATE)
    return folder


def new(cwd: Path, *arguments: str) -> Path:
    """Create the project `mine` as a user does."""
    done = succeeds(REPO, "new", str(cwd / "mine"), "--name", "mine", *arguments)
    assert done.stdout == f"cd {cwd / 'mine'} && git init\nmake serve\n.venv/bin/python -m src.publish --dry-run\n"
    return cwd / "mine"


def build_site(root: Path) -> None:
    done = run_in(root, "-m", "mkdocs", "build", "--strict")
    assert done.returncode == 0, done.stdout + done.stderr


def dry_run(root: Path) -> str:
    done = run_in(root, "-m", "src.publish", "--dry-run")
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def text_of(path: Path) -> str:
    """Return what a file says in lower case: a PDF's text, and the bytes of any other."""
    if path.suffix == ".pdf":
        reader = PdfReader(path)
        return "\n".join([str(reader.metadata), *(page.extract_text() for page in reader.pages)]).lower()
    return path.read_bytes().decode("latin-1").lower()


def words_of_ours(root: Path, words: Sequence[str] = WORDS) -> list[str]:
    """List where a word of this study is in a project's own files, its site and its bundle: names and every byte of what they hold."""
    found = []
    others = (*(f"{part}/" for part in (*ENGINE, ".cache", ".git")), *(f"site/assets/{part}/" for part in THEME))
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if not path.is_file() or name.startswith(others) or path.name == "tokenizer.json":  # the toy's, with its words
            continue
        text = text_of(path) + name.lower()
        known = [word for word in words if len(word) > 4 or path.suffix not in BINARY]  # short ones come by chance
        found += [f"{name}: {text[max(0, i - 60) : i + 60]!r}" for word in known if (i := text.find(word)) >= 0]
    return found


@pytest.fixture(scope="module")
def nothing(session_folder: Path) -> Path:
    """A project with nothing but a name, with its site and bundle."""

    def make(folder: Path) -> None:
        folder.mkdir()
        root = new(folder)
        build_site(root)
        dry_run(root)

    return once(session_folder / "new-nothing", make) / "mine"


@pytest.fixture(scope="module")
def whole(session_folder: Path) -> Path:
    """A project with an adapter and results of the harness, with its site."""

    def make(folder: Path) -> None:
        folder.mkdir()
        adapter = adapter_folder(folder / "adapter")
        base, tuned = lm_eval_results(folder / "out", str(adapter))
        root = new(folder, "--adapter", str(adapter), "--lm-eval", str(base), "--lm-eval", str(tuned))
        build_site(root)

    return once(session_folder / "new-whole", make) / "mine"


def test_an_error_names_no_temporary_folder(tmp_path: Path) -> None:
    path = adapter_folder(tmp_path / "adapter") / "adapter_config.json"
    edit_json(path, lambda data: data.update(lora_alpha=0))
    errors = refuses(REPO, "new", str(tmp_path / "mine"), "--name", "mine", "--adapter", str(path.parent))
    assert "adapter_config.json: alpha: " in errors, errors
    assert ".mine." not in errors and not (tmp_path / "mine").exists()


@pytest.mark.slow
def test_a_project_with_nothing_but_a_name_has_a_sample_that_says_so(nothing: Path) -> None:
    page = (nothing / "site/index.html").read_text()
    assert "This is a sample record, whose numbers are made up." in page
    assert "made up" in (nothing / "dist/hub/model/README.md").read_text()
    assert "a sample record, whose numbers are made up" in refuses(nothing, "publish", "--yes")
    assert not (nothing / ".git").exists()


@pytest.mark.slow
def test_a_new_project_has_no_word_of_this_study(nothing: Path, whole: Path) -> None:
    assert words_of_ours(TINY)
    for root in (nothing, whole):
        found = words_of_ours(root)
        assert not found, "\n".join(found)
        assert len(list((root / "site").rglob("*.html"))) > 15
    for name in (*EXPERIMENT, "data", "models", "configs/studies"):
        assert not (nothing / name).exists(), name
    make = subprocess.run(["make", "help"], cwd=nothing, capture_output=True, text=True, check=True).stdout
    assert "make site" in make
    assert "make study" not in make


@pytest.mark.slow
def test_the_adapter_and_the_harness_results_are_in_it(whole: Path) -> None:
    record = load_record(whole)
    assert sorted(path.name for path in (whole / "checkpoints/mine").iterdir()) == [
        "adapter_config.json", "adapter_model.safetensors", "tokenizer.json", "tokenizer_config.json",
    ]  # fmt: skip
    assert (record.experiment.base_model, record.experiment.checkpoint) == (BASE, "checkpoints/mine")
    assert record.experiment.lora_config is not None and record.splits == []
    assert record.has_answers and set(record.results.tasks) == {"colors"}
    assert record.results.source is not None and record.results.source.tool.startswith("lm-evaluation-harness")
    assert record.training_log is not None and record.training_log.steps == 120
    page = (whole / "site/results/training/index.html").read_text()
    assert "training.light.svg" in page and "epochs of" not in page  # the number of sequences is not on record
    tool = (whole / "pyproject.toml").read_text()
    assert re.search(r'\[tool\.one-record\].*\nversion = "\d+\.\d+\.\d+"', tool)


@pytest.mark.slow
def test_of_metrics_alone_the_author_says_what_they_are(tmp_path: Path) -> None:
    values = {"accuracy": 0.5, "perplexity": 20.0, "f1": 71.2}
    file = tmp_path / "metrics.json"
    file.write_text(json.dumps({"base_model": {"metrics": values}, "finetuned_model": {"metrics": values}}))
    root = new(tmp_path, "--metrics", str(file))
    declared = yaml.safe_load((root / "configs/metrics.yaml").read_text())["metrics"]
    assert {metric["unit"] for metric in declared.values()} == {"number"}  # whatever names and sizes suggest
    assert all(metric["definition"].startswith("TODO: ") for metric in declared.values())
    build_site(root)
    dry_run(root)
    card = (root / "dist/hub/model/README.md").read_text()
    (entry,) = yaml.safe_load(card.split("---")[1])["model-index"][0]["results"]  # no metric is a dataset
    assert (entry["dataset"], len(entry["metrics"])) == ({"name": "unknown", "type": "unknown"}, 3)
    assert not words_of_ours(root)
    for empty in ("results/claims", "results/training", "results/runs", "examples", "try-it", "dataset-card"):
        assert not (root / "site" / empty).exists(), empty  # and strictly built: nothing links to them


@pytest.mark.parametrize(
    ("option", "given", "reason"),
    [
        ("--adapter", "me/sentiment-lora", "hf download"),
        ("--metrics", "nowhere.json", "nowhere.json: not found"),
        ("--lm-eval", "nowhere", "nowhere"),
    ],
)
def test_what_cannot_be_read_leaves_nothing_behind(tmp_path: Path, option: str, given: str, reason: str) -> None:
    errors = refuses(REPO, "new", str(tmp_path / "mine"), "--name", "mine", option, given)
    assert reason in errors
    assert len(errors.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_a_folder_with_files_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.md").write_text("mine")
    assert "not a new or empty folder" in refuses(REPO, "new", str(tmp_path / "mine"), "--name", "mine")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.md"]


def fill_gaps(root: Path) -> list[str]:
    """Write what only the author can say; return the files that had to be touched."""
    touched = []
    for path in [*(root / "configs").rglob("*.yaml"), *(root / "docs/fragments").iterdir()]:
        text = path.read_text()
        lines = [re.sub(r" # TODO.*", "", line) for line in text.splitlines()]
        filled = "\n".join(re.sub(r"TODO\b[^\"]*", "Written by its author.", line) for line in lines) + "\n"
        if "TODO" in re.sub(r"`TODO`", "", text):
            touched.append(path.relative_to(root).as_posix())
            path.write_text("\n".join(line for line in filled.splitlines() if not line.startswith("# ")) + "\n")
    return sorted(touched)


@pytest.mark.slow
@pytest.mark.hub
def test_two_files_lead_to_a_published_card(whole: Path, hub: HubServer, tmp_path: Path) -> None:
    hub.add_repo("model", BASE)
    for path in sorted((TINY / "models/tiny").iterdir()):
        hub.edit("model", BASE, path.name, path.read_bytes())
    author = Author(hub, Path(shutil.copytree(whole, tmp_path / "mine")))
    refused = author.publish("--yes")
    assert refused.returncode == 2
    assert "configs/project.yaml:" in refused.stderr
    assert not hub.log
    assert fill_gaps(author.root) == ["configs/project.yaml", "docs/fragments/training_data.md.j2"]
    done = author.publish("--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    repo = hub.repos[("model", "alice/mine")]
    files = repo.at("main").files
    assert not repo.private
    assert {"README.md", "adapter_model.safetensors", "LICENSE"} <= files.keys()
    assert not {name for name in files if name.endswith((".bin", ".pt"))}
    assert {name for kind, name in hub.repos} == {"alice/mine", BASE}
    published = tmp_path / "published"
    for name, blob in files.items():
        (published / name).parent.mkdir(parents=True, exist_ok=True)
        (published / name).write_bytes(blob.content)
    assert not words_of_ours(published)
    assert "TODO" not in (published / "README.md").read_text()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("own", "stated"),
    [("/data/small-base", BASE), (f"{BASE}-bnb-4bit", f"{BASE}-bnb-4bit")],
    ids=["a folder elsewhere", "another one"],
)
def test_the_base_is_the_adapters_and_another_one_is_named(own: str, stated: str, tmp_path: Path) -> None:
    adapter = checkpoint(tmp_path / "adapter", CAUSAL | {"base_model_name_or_path": own})
    base, tuned = lm_eval_results(tmp_path / "out", str(adapter))
    given = ("--adapter", str(adapter), "--lm-eval", str(base), "--lm-eval", str(tuned))
    done = succeeds(REPO, "new", str(tmp_path / "mine"), "--name", "mine", *given)
    assert load_record(tmp_path / "mine").experiment.base_model == stated
    line = f"base_model: {stated}, which the adapter names; the results name {BASE}\n"
    assert (line in done.stderr) is (stated != BASE)


@pytest.mark.slow
def test_words_are_about_the_results_that_they_were_written_for(project: Path, tmp_path: Path) -> None:
    """Claims about a study hold for a copy of its results; others are refused."""
    copy = shutil.copytree(project / "results/tiny", tmp_path / "copy/tiny") / "evaluation_results.json"
    succeeds(project, "publish", "--dry-run", "--results", str(copy), "--output", str(tmp_path / "out"))
    assert "The toy answers most questions with a number" in (tmp_path / "out/model/README.md").read_text()
    values = json.loads(copy.read_text())
    (tmp_path / "other.json").write_text(json.dumps({key: values[key] for key in ("base_model", "finetuned_model")}))
    assert "other.json: answers: " in refuses(
        project, "publish", "--dry-run", "--results", str(tmp_path / "other.json")
    )


def test_an_upgrade_replaces_the_engine_and_leaves_the_authors_files(tmp_path: Path) -> None:
    root = new(tmp_path)
    done = run_in(root, "-m", "src.new", ".", "--upgrade", PYTHONDONTWRITEBYTECODE="1")
    assert done.returncode == 2 and "is where this command is run from" in done.stderr
    manifest = json.loads((root / "src/engine.json").read_text())
    assert {"src/cli.py", "Makefile", "mkdocs.yml"} <= manifest["files"].keys()
    assert not {"README.md", "configs/project.yaml"} & manifest["files"].keys()
    own = {path: path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}
    old = root / "src/old.py"  # a file that an older engine had, and another text of one that this one has
    for path, text in ((old, "x"), (root / "src/cli.py", "y"), (root / "docs/fragments/lessons.md.j2", "mine")):
        path.write_text(text)
    manifest["files"] |= {f"src/{path.name}": sha256_file(path) for path in (old, root / "src/cli.py")}
    (root / "src/engine.json").write_text(json.dumps(manifest))
    (root / "pyproject.toml").write_text("mine")
    (root / "gen/site.py").write_text("edited")
    (root / "src/cache.py").unlink()
    errors = refuses(REPO, "new", str(root), "--upgrade")
    assert "edited here: gen/site.py. Move the changes, or pass --overwrite" in errors
    assert old.exists()
    done = succeeds(REPO, "new", str(root), "--upgrade", "--overwrite")
    assert "edited here, so left as it is: pyproject.toml" in done.stderr
    assert (root / "pyproject.toml").read_text() == "mine" and not old.exists()
    own |= {root / "pyproject.toml": b"mine", root / "docs/fragments/lessons.md.j2": b"mine"}
    assert {path: path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()} == own


def test_large_weights_are_not_offered_to_git_without_a_word(tmp_path: Path) -> None:
    adapter = checkpoint(tmp_path / "adapter", DISTIL, {"x.lora_A.weight": (8, 400_000)})
    done = invoke(REPO, "new", str(tmp_path / "mine"), "--name", "mine", "--adapter", str(adapter))
    assert "leaves out adapter_model.safetensors, above 10 MB; to commit them, use Git LFS" in done.stderr
    assert "/checkpoints/mine/adapter_model.safetensors\n" in (tmp_path / "mine/.gitignore").read_text()


def test_results_of_another_adapter_are_refused_with_both_names(tmp_path: Path) -> None:
    base, tuned = lm_eval_results(tmp_path / "out", "out/checkpoint-25")
    adapter = adapter_folder(tmp_path / "checkpoint-50")
    given = ("--adapter", str(adapter), "--lm-eval", str(base), "--lm-eval", str(tuned))
    errors = refuses(REPO, "new", str(tmp_path / "mine"), "--name", "mine", *given)
    assert "the results are of out/checkpoint-25, and checkpoint-50 is published" in errors, errors
    assert not (tmp_path / "mine").exists()


@pytest.mark.slow
def test_an_import_takes_the_place_of_the_sample(nothing: Path, tmp_path: Path) -> None:
    root = tmp_path / "mine"
    shutil.copytree(nothing, root, ignore=shutil.ignore_patterns("site", "dist", ".cache"))
    base, tuned = lm_eval_results(tmp_path / "out", "adapter")
    succeeds(root, "import_results", "lm-eval", str(base), str(tuned))
    record = load_record(root)
    assert "sums_exact_match" not in record.metrics.metrics
    assert record.experiment.base_model == BASE
    assert "sample" not in (record.experiment.note or "")
    build_site(root)


@pytest.mark.slow
@pytest.mark.experiment
def test_the_experiment_comes_along_where_it_is_asked_for(tmp_path: Path) -> None:
    root = new(tmp_path, "--with-experiment")
    for name in (*EXPERIMENT, "data/words/words.txt"):
        assert (root / name).exists(), name
    assert not (root / "docs/guides/reproduce.md").exists()
    assert not [path for path in (root / "data").rglob("*.parquet")]
    made = subprocess.run(["make", "-n", "experiment"], cwd=root, capture_output=True, text=True, check=True).stdout
    assert "src.train" in made
    build_site(root)


@pytest.mark.nightly
def test_the_new_projects_own_tests_are_green(tmp_path: Path) -> None:
    """As `make site` and `make test` run them, in this environment without this repository's own code."""
    root = new(tmp_path)
    binaries = root / ".venv/bin"
    binaries.mkdir(parents=True)
    for tool in ("python", "ruff", "mypy", "mkdocs"):
        (binaries / tool).write_text(f'#!/bin/sh\nexec "{Path(sys.executable).parent / tool}" "$@"\n')
        (binaries / tool).chmod(0o755)
    for mark in (".site", ".test"):
        (root / ".venv" / mark).touch()
    (tmp_path / "apart").mkdir()
    (tmp_path / "apart/sitecustomize.py").write_text(
        "import sys\nsys.meta_path[:] = [f for f in sys.meta_path if 'editable' not in getattr(f, '__module__', '')]\n"
    )
    environment = os.environ | {"PYTHONPATH": f"{root}:{tmp_path / 'apart'}"}
    environment.pop("PYTEST_ADDOPTS", None)
    for target in ("site", "test"):
        done = subprocess.run(
            ["make", target], cwd=root, env=environment, capture_output=True, text=True, timeout=1800, check=False
        )
        assert done.returncode == 0, (done.stdout + done.stderr)[-5000:]
    assert (root / "dist/hub/model/README.md").is_file()
