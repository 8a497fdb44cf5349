"""Create a project: the engine's files, blank files for its author, and a record; and upgrade the engine of one."""

from __future__ import annotations

import datetime
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import yaml

from src import ENGINE, VERSION
from src.exchange.imported import write_record
from src.exchange.reading import listed
from src.exchange.trainer import read_trainer
from src.record.checkpoint import checkpoint_files, json_object, left_out
from src.record.config import LoraConfig
from src.record.errors import InputError, printable
from src.record.files import read_text, sha256_file, validate, write_json
from src.record.model import read_model
from src.record.model_name import parse_model_name, shown_model
from src.record.schemas import EvaluationResults, ModelResults

ENGINE_ROOT = Path(__file__).parent.parent.parent
"""The checkout that this code is in."""

STARTER = Path(__file__).parent

SHARED = (
    "src/*", "gen/*", "overrides/*", "tests/*", "docs/guides/*", "docs/assets/*", ".github/workflows/*", "Makefile", "mkdocs.yml",
    "constraints.txt",
)  # fmt: skip
"""What every project shares, as patterns of paths."""

OWN = (
    "docs/assets/readme-chart.svg", "docs/assets/logo.svg", "docs/assets/favicon.svg", "docs/guides/reproduce.md", "tests/test_committed.py",
    "src/engine.json",
)  # fmt: skip
"""Of these, what belongs to the project that the engine is taken from."""

EXPERIMENT = (
    "src/experiment/*", "src/pretrain.py", "src/dataset.py", "src/train.py", "src/evaluate.py", "tests/test_experiment.py",
    "tests/test_dataset.py", "tests/test_word_questions.py", "tests/make_tiny.py", "docs/assets/demo/*", "docs/guides/ask.md",
)  # fmt: skip
"""Of these, what makes a record or asks models about letters, for a project that does the same experiment."""

EXPERIMENT_TOO = ("experiment.mk", "Snakefile", "configs/snakemake/*", "data/words/*")
"""What such a project has besides."""

MOVED = {"docs/assets/demo/": "tests/demo/"}
"""Where a project without the experiment has what only its tests need."""

MANIFEST = Path("src/engine.json")
"""The engine's files in a project, with their hashes: what an upgrade may replace."""

SETTINGS = ("pyproject.toml", "mkdocs.yml")
"""Files of the engine that an author is expected to edit."""

LARGE = 10_000_000
"""Bytes from which a file of weights is left out of git."""


def create(
    target: Path,
    name: str,
    *,
    adapter: Path | None = None,
    lm_eval: Sequence[Path] = (),
    filter: str | None = None,
    metrics: Path | None = None,
    with_experiment: bool = False,
) -> list[str]:
    """Create a project, whole or not at all."""
    from src.documents.build import build

    checked_name(name)
    if target.is_symlink() or (target.exists() and not (target.is_dir() and not any(target.iterdir()))):
        raise InputError(target, "not a new or empty folder. Name another one, or pass --upgrade for a project.")
    if with_experiment and not (ENGINE_ROOT / "src/experiment").is_dir():
        raise InputError(ENGINE_ROOT / "src/experiment", "not found. Run the command in a repository that has it.")
    place = target.absolute()
    place.parent.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(dir=place.parent, prefix=f".{place.name}.") as temporary,
        _named_as(target, root := Path(temporary) / place.name),
    ):
        count = len(_write_engine(root, name, with_experiment=with_experiment))
        lines = [f"{count:,} files of the engine, {ENGINE} {VERSION}"]
        _copy_starter(STARTER, root, name)
        if adapter is not None:
            lines += _copy_model(adapter, root / "checkpoints" / name)
        if lm_eval:
            from src.exchange.lm_eval import import_lm_eval

            found = import_lm_eval(lm_eval, filter)
            written, _ = write_record(found, root, weights=str(adapter or ""))
            lines += [*found.notes, *written]
        elif metrics is not None:
            lines += _write_metrics(root, name, metrics)
        else:
            _copy_starter(STARTER / "sample", root, name)
            lines.append(f"results/{name}: a sample record, which says that it is one")
        lines += _describe_run(root, name, adapter)
        for path, text in build(root, None).committed().items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        if place.exists():
            place.rmdir()
        root.replace(place)
    return list(dict.fromkeys(lines))


def checked_name(name: str) -> None:
    """Refuse a name that is not safe as a file name and on the Hub."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}", name):
        raise InputError("--name", f"{name} is not letters, digits, `.`, `_` and `-`. Choose another name.")


@contextmanager
def _named_as(target: Path, root: Path) -> Iterator[None]:
    """Name files in errors as in the project that would have been created, not in its temporary folder."""
    try:
        yield
    except InputError as error:
        message = f"{error.message} Nothing was created."
        raise InputError(error.file.replace(str(root), str(target)), message.replace(str(root), str(target))) from None


def _engine_files() -> Iterator[str]:
    """List the engine's files: what git tracks, or what is there where there is no git."""
    if not (ENGINE_ROOT / "mkdocs.yml").is_file():
        raise InputError(ENGINE_ROOT, "an installed package. Clone the repository, and run the command there.")
    listed = _git("ls-files", "-z").split("\0")
    if "mkdocs.yml" not in listed:
        listed = [path.relative_to(ENGINE_ROOT).as_posix() for path in ENGINE_ROOT.rglob("*")]
    for name in listed:
        if (ENGINE_ROOT / name).is_file() and "__pycache__" not in name:
            yield name


def _git(*arguments: str) -> str:
    """Return what git says about the engine's repository; nothing where there is none."""
    try:
        return subprocess.run(["git", *arguments], cwd=ENGINE_ROOT, capture_output=True, check=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return ""


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch(name, pattern) for pattern in patterns)


def _write_engine(root: Path, name: str, *, with_experiment: bool) -> dict[str, str]:
    """Write the engine's files and list them with their hashes in `MANIFEST`; return that list."""
    files = []
    for source in _engine_files():
        if not _matches(source, SHARED + (EXPERIMENT_TOO if with_experiment else ())) or _matches(source, OWN):
            continue
        place = source
        if not with_experiment and _matches(source, EXPERIMENT):
            place = next((source.replace(old, new, 1) for old, new in MOVED.items() if source.startswith(old)), "")
        if place:
            (root / place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ENGINE_ROOT / source, root / place)
            files.append(place)
    license_file = next(path for path in (ENGINE_ROOT / "src/LICENSE", ENGINE_ROOT / "LICENSE") if path.is_file())
    shutil.copy(license_file, root / "src/LICENSE")  # the engine's own, whatever the project's is
    _write_settings(root, name, with_experiment=with_experiment)
    hashes = {file: sha256_file(root / file) for file in sorted({*files, "src/LICENSE", *SETTINGS})}
    write_json(root / MANIFEST, {"engine": ENGINE, "version": VERSION, "name": name, "files": hashes})
    return hashes


def upgrade(root: Path, *, overwrite: bool = False) -> list[str]:
    """Replace the engine's files in a project by this repository's; the author's files stay byte for byte."""
    if root.resolve() == ENGINE_ROOT.resolve():
        raise InputError(root, "is where this command is run from. Run it in a clone of the newer engine.")
    listed = json_object(root / MANIFEST) if (root / MANIFEST).is_file() else {}
    before = listed.get("files")
    if not isinstance(before, dict) or not isinstance(listed.get("name"), str):
        raise InputError(root / MANIFEST, "not found, so the engine's files are not known. Create the project again.")
    edited = [file for file, digest in before.items() if (root / file).is_file() and sha256_file(root / file) != digest]
    theirs = [file for file in edited if file not in SETTINGS]
    if theirs and not overwrite:
        todo = "Move the changes, or pass --overwrite."
        raise InputError(root, f"files of the engine that were edited here: {', '.join(theirs)}. {todo}")
    with tempfile.TemporaryDirectory() as temporary:
        fresh = Path(temporary) / "engine"
        fresh.mkdir()
        after = _write_engine(fresh, listed["name"], with_experiment=(root / "src/experiment").is_dir())
        kept = [file for file in edited if file in SETTINGS]
        taken = [f for f in after if f not in before and (root / f).exists() and sha256_file(root / f) != after[f]]
        if taken:
            raise InputError(root, f"in the way of new files of the engine: {', '.join(taken)}. Move them elsewhere.")
        gone = before.keys() - after.keys()
        now = {file: sha256_file(root / file) for file in after if (root / file).is_file()}
        changed = [file for file, digest in after.items() if now.get(file) != digest and file not in kept]
        for file in [*changed, str(MANIFEST)]:
            (root / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(fresh / file, root / file)
        for file in gone:
            (root / file).unlink(missing_ok=True)
    lines = [f"edited here, so left as it is: {file}" for file in kept]
    lines += [f"replaced, though edited here: {file}" for file in theirs]
    return [*lines, f"{ENGINE} {listed.get('version')} → {VERSION}: {len(changed)} files written, {len(gone)} removed"]


def _copy_starter(source: Path, root: Path, name: str) -> None:
    """Copy the files that an author begins with; `{{ name }}` and `{{ year }}` in texts, and NAME in paths, are filled in."""
    year = str(datetime.date.today().year)
    for path in sorted(source.rglob("*")):
        relative = path.relative_to(source)
        if not path.is_file() or path.suffix == ".py" or {"__pycache__", "sample"} & set(relative.parts):
            continue
        target = root / (".gitignore" if relative.name == "gitignore" else str(relative).replace("NAME", name))
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".parquet":
            shutil.copy(path, target)
        else:
            text = path.read_text(encoding="utf-8").replace("{{ name }}", name).replace("{{ year }}", year)
            target.write_text(text, encoding="utf-8")


def _write_settings(root: Path, name: str, *, with_experiment: bool) -> None:
    """Write pyproject.toml and mkdocs.yml without what belongs to the project that the engine is taken from."""
    text = read_text(ENGINE_ROOT / "pyproject.toml")
    text = re.sub(r'(?m)^name = ".*"$', f'name = "{re.sub(r"[._-]+", "-", name).lower()}"', text, count=1)
    text = re.sub(r'(?m)^version = ".*"$', 'version = "0.1.0"', text, count=1)
    text = re.sub(r'(?m)^description = ".*"$', f'description = "Site and Hub bundle of {name}, from one record."', text)
    text = re.sub(r"(?m)^license(-files)? = .*\n", "", text)
    if not with_experiment:
        text = re.sub(r"(?ms)^experiment = \[.*?^\]\n", "", text)
    noted = re.search(rf"(?ms)^\[tool\.{ENGINE}\].*?(?=^\[|\Z)", text)
    if noted is None:  # this is the engine's own repository
        commit = _git("rev-parse", "HEAD").strip()
        text = f'{text.rstrip()}\n\n[tool.{ENGINE}] # the engine in src, gen and tests\nversion = "{VERSION}"\n'
        text += f'commit = "{commit}"\n' if commit else ""
    (root / "pyproject.toml").write_text(text, encoding="utf-8")
    if not with_experiment:  # the engine's Python reference is for those who work on it
        config = root / "mkdocs.yml"
        text = config.read_text(encoding="utf-8")
        text = re.sub(r"(?ms)^  - mkdocstrings:\n.*?(?=^\S|\n\n)", "", text)
        config.write_text(text, encoding="utf-8")


def _write_metrics(root: Path, name: str, path: Path) -> list[str]:
    """Write a record of metrics alone; of a whole record, whose answers are files of their own, these are taken."""
    hint = 'Write {"base_model": {"metrics": {…}}, "finetuned_model": {"metrics": {…}}}.'
    given = json_object(path)
    sections: dict[str, Any] = {key: given[key] for key in ("base_model", "finetuned_model") if key in given}
    for part in sections.values():
        if called := validate(path, part, ModelResults, hint).name:
            part["name"] = shown_model(called)
    results = {"experiment_name": name, **sections}
    tuned = validate(path, results, EvaluationResults, hint).finetuned_model
    write_json(root / "results" / name / "evaluation_results.json", results)
    todo = "TODO: what it measures, whether higher or lower is better, and whether it is a proportion, from 0 to 1."
    declared: dict[str, dict[str, Any]] = {
        key: {"label": key, "definition": todo, "direction": "higher", "unit": "number"} for key in tuned.metrics
    }
    declared[next(iter(declared))]["primary"] = True
    _write_yaml(root / "configs/metrics.yaml", {"metrics": declared})
    return [
        f"results/{name}: {len(declared):,} metrics, without answers",
        f"configs/metrics.yaml: say what each of them measures: {listed(declared)}",
    ]


def _describe_run(root: Path, name: str, adapter: Path | None) -> list[str]:
    """Write what is known of the run into the experiment's config; the adapter knows its base model better than the results."""
    path = root / "configs/experiments" / f"{name}.yaml"
    config: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else {}
    lines: list[str] = []
    names = [config.pop("base_model", None)]
    if adapter is not None:
        model = read_model(root / "checkpoints" / name)
        if model.settings is not None:
            validate(adapter / "adapter_config.json", model.settings, LoraConfig)
            config["lora_config"] = model.settings
        if not model.full:
            names.insert(0, model.config.get("base_model_name_or_path"))
        trained = read_trainer(adapter, name)
        if trained.log is not None:
            config["training_config"] = trained.settings
            _write_log(root / "results" / name, trained.log)
            lines += trained.log["notes"]
            lines.append(f"results/{name}/training_log.json: the Trainer's log, {trained.log['steps']} steps")
    bases = [parse_model_name(given) for given in names if isinstance(given, str) and given]
    base = next((given for given in bases if not given.local), None)
    if base is not None:
        if not base.same_model(bases[-1]):
            lines.append(f"base_model: {base.id}, which the adapter names; the results name {bases[-1].id}")
            config.pop("base_revision", None)  # it is of the results' base
        revision = {"base_revision": base.revision} if base.revision else {}
        config = {"base_model": base.id} | revision | config
    _write_yaml(path, {"experiment_name": name} | config)
    if base is None and (bases or "note" not in config):
        called = f"; the files call it {printable(bases[0].name)}" if bases else ""
        with path.open("a", encoding="utf-8") as stream:
            stream.write(f"# base_model: # TODO: the base model's id on the Hub{called}\n")
    rest = "" if "training_config" in config else "; add how it was trained"
    return [*lines, f"configs/experiments/{name}.yaml: what is known of the run{rest}"]


def _copy_model(source: Path, target: Path) -> list[str]:
    """Copy the publishable files of a checkpoint; weights that git cannot well hold are left out of it."""
    files, left = checkpoint_files(source), left_out(source)
    target.mkdir(parents=True)
    for name, path in files.items():
        shutil.copyfile(path, target / name)
    lines = [f"checkpoints/{target.name}: {', '.join(files)}" + (f"; left out: {', '.join(left)}" if left else "")]
    large = [name for name in files if (target / name).stat().st_size > LARGE]
    if large:
        ignored = [f"/checkpoints/{target.name}/{name}\n" for name in large]
        with (target.parent.parent / ".gitignore").open("a", encoding="utf-8") as stream:
            stream.writelines(["# above 10 MB: use Git LFS, or leave them out\n", *ignored])
        lines.append(f".gitignore: leaves out {', '.join(large)}, above 10 MB; to commit them, use Git LFS")
    return lines


def _write_log(folder: Path, log: dict[str, Any]) -> None:
    """Put a training log next to the results, and its name and hash into them."""
    place, results = folder / "training_log.json", folder / "evaluation_results.json"
    write_json(place, log)
    stated = json_object(results)
    write_json(results, stated | {"training_log": {"file": place.name, "sha256": sha256_file(place)}})


def _write_yaml(path: Path, data: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=1000), encoding="utf-8")
