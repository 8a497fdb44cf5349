"""Create a project: the engine's files, blank files for its author, and a record."""

from __future__ import annotations

import datetime
import re
import shutil
import subprocess
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pyarrow as pa
import yaml

from src import ENGINE, VERSION
from src.exchange.imported import checked_name, write_record
from src.exchange.reading import few
from src.exchange.trainer import read_trainer
from src.record.answers import write_answers
from src.record.checkpoint import checkpoint_files, json_object, left_out
from src.record.config import LoraConfig, MetricConfig
from src.record.errors import InputError, printable
from src.record.files import parse_json, read_text, sha256_file, validate, write_json
from src.record.gaps import SAMPLE
from src.record.known_metrics import in_percent, known_metric
from src.record.load import load_record
from src.record.model import Model, read_model
from src.record.model_name import ModelName, parse_model_name, shown_model
from src.record.questions import write_questions
from src.record.schemas import EvaluationResults

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
)  # fmt: skip
"""Of these, what belongs to the project that the engine is taken from."""

EXPERIMENT = (
    "src/experiment/*", "src/pretrain.py", "src/dataset.py", "src/train.py", "src/evaluate.py", "src/benchmark.py", "tests/test_experiment.py",
    "tests/test_dataset.py", "tests/test_word_questions.py", "tests/make_tiny.py", "docs/assets/demo/*", "docs/guides/ask.md",
)  # fmt: skip
"""Of these, what makes a record or asks models about letters, for a project that does the same experiment."""

EXPERIMENT_TOO = ("experiment.mk", "Snakefile", "configs/snakemake/*", "data/words/*")
"""What such a project has besides."""

MOVED = {"docs/assets/demo/": "tests/demo/"}
"""Where a project without the experiment has what only its tests need."""


def create(
    target: Path,
    name: str,
    *,
    adapter: Path | None = None,
    lm_eval: tuple[Path, Path] | None = None,
    filter: str | None = None,
    metrics: Path | None = None,
    with_experiment: bool = False,
) -> list[str]:
    """Create a project, whole or not at all.

    Args:
        target: Its folder: new or empty.
        name: Name of the experiment and of the model's repository.
        adapter: The adapter's folder, whose publishable files are copied.
        lm_eval: The base model's and the tuned model's results of lm-evaluation-harness.
        filter: Which filter's answers count, where a task has several.
        metrics: A file with the metrics of both models.
        with_experiment: Whether the project does this repository's experiment: dataset, training, evaluation.

    Returns:
        What was created, a line each.

    Raises:
        InputError: The folder is not empty, the engine is not in a checkout, or what is given cannot be read.
    """
    checked_name(name)
    if target.is_symlink() or (target.exists() and not (target.is_dir() and not any(target.iterdir()))):
        raise InputError(
            target, found="something that is there already", expected="a new or empty folder", hint="Name another folder.",
        )  # fmt: skip
    if with_experiment and not (ENGINE_ROOT / "src/experiment").is_dir():
        raise InputError(
            ENGINE_ROOT / "src/experiment", found="no such folder", expected="the experiment, to take along",
            hint="Run the command in a repository that has it.",
        )  # fmt: skip
    place = target.absolute()
    place.parent.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(dir=place.parent, prefix=f".{place.name}.") as temporary,
        _named_as(target, root := Path(temporary) / place.name),
    ):
        lines = [f"{_copy_engine(root, with_experiment=with_experiment):,} files of the engine, {ENGINE} {VERSION}"]
        write_starter(root, name)
        _write_settings(root, name, with_experiment=with_experiment)
        if lm_eval is not None:
            from src.exchange.lm_eval import import_lm_eval

            found = import_lm_eval(*lm_eval, filter)
            lines += [*found.said, *write_record(found, root, name, replace=False)]
        elif metrics is not None:
            lines += _write_metrics(root, name, metrics)
        else:
            lines += _write_sample(root, name)
        lines += _describe_run(root, name, adapter)
        _write_documents(root)
        if place.exists():
            place.rmdir()
        root.replace(place)
    return list(dict.fromkeys(lines))


@contextmanager
def _named_as(target: Path, root: Path) -> Iterator[None]:
    """Name files in errors as in the project that would have been created, not in its temporary folder."""
    try:
        yield
    except InputError as error:
        if str(root) not in error.file:
            raise
        raise InputError(
            error.file.replace(str(root), str(target)), key=error.key, found=error.found, expected=error.expected,
            hint=f"{error.hint} Nothing was created.",
        ) from None  # fmt: skip


def _engine_files() -> Iterator[str]:
    """List the engine's files: what git tracks, or what is there where there is no git."""
    if not (ENGINE_ROOT / "mkdocs.yml").is_file():
        raise InputError(
            ENGINE_ROOT, found="an installed package", expected="a checkout of the repository",
            hint="Clone the repository, and run the command there.",
        )  # fmt: skip
    try:
        listed = subprocess.run(
            ["git", "ls-files", "-z"],
            cwd=ENGINE_ROOT, capture_output=True, check=True, text=True,
        ).stdout.split("\0")  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        listed = []
    if "mkdocs.yml" not in listed:
        listed = [path.relative_to(ENGINE_ROOT).as_posix() for path in ENGINE_ROOT.rglob("*")]
    for name in listed:
        if (ENGINE_ROOT / name).is_file() and "__pycache__" not in name:
            yield name


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch(name, pattern) for pattern in patterns)


def _copy_engine(root: Path, *, with_experiment: bool) -> int:
    count = 0
    wanted = SHARED + (EXPERIMENT_TOO if with_experiment else ())
    for name in _engine_files():
        if not _matches(name, wanted) or _matches(name, OWN):
            continue
        place = name
        if not with_experiment and _matches(name, EXPERIMENT):
            place = next((name.replace(old, new, 1) for old, new in MOVED.items() if name.startswith(old)), "")
        if place:
            (root / place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ENGINE_ROOT / name, root / place)
            count += 1
    license_file = next(path for path in (ENGINE_ROOT / "src/LICENSE", ENGINE_ROOT / "LICENSE") if path.is_file())
    shutil.copy(license_file, root / "src/LICENSE")  # the engine's own, whatever the project's is
    return count + 1


def write_starter(root: Path, name: str, only: Collection[str] = ()) -> None:
    """Write the files that an author begins with.

    Args:
        root: The project.
        name: Name of the experiment.
        only: Files and folders to write; all by default.
    """
    year = str(datetime.datetime.now(datetime.UTC).year)
    for path in sorted(STARTER.rglob("*")):
        relative = path.relative_to(STARTER)
        chosen = not only or any(relative.is_relative_to(part) for part in only)
        if chosen and path.is_file() and path.suffix != ".py" and "__pycache__" not in relative.parts:
            target = root / (".gitignore" if relative.name == "gitignore" else relative)
            target.parent.mkdir(parents=True, exist_ok=True)
            text = path.read_text(encoding="utf-8").replace("{{ name }}", name).replace("{{ year }}", year)
            target.write_text(text, encoding="utf-8")


def _write_settings(root: Path, name: str, *, with_experiment: bool) -> None:
    """Write pyproject.toml and mkdocs.yml without what belongs to the project that the engine is taken from."""
    text = read_text(ENGINE_ROOT / "pyproject.toml", "Restore it.")
    text = re.sub(r'(?m)^name = ".*"$', f'name = "{re.sub(r"[._-]+", "-", name).lower()}"', text, count=1)
    text = re.sub(r'(?m)^version = ".*"$', 'version = "0.1.0"', text, count=1)
    text = re.sub(r'(?m)^description = ".*"$', f'description = "Site and Hub bundle of {name}, from one record."', text)
    text = re.sub(r"(?m)^license(-files)? = .*\n", "", text)
    if not with_experiment:
        text = re.sub(r"(?ms)^experiment = \[.*?^\]\n", "", text)
    noted = re.search(rf"(?ms)^\[tool\.{ENGINE}\].*?(?=^\[|\Z)", text)
    if noted is None:  # this is the engine's own repository
        commit = _commit()
        text = f'{text.rstrip()}\n\n[tool.{ENGINE}] # the engine in src, gen and tests\nversion = "{VERSION}"\n'
        text += f'commit = "{commit}"\n' if commit else ""
    (root / "pyproject.toml").write_text(text, encoding="utf-8")
    if not with_experiment:  # the engine's Python reference is for those who work on it
        config = root / "mkdocs.yml"
        text = config.read_text(encoding="utf-8")
        text = re.sub(r"(?ms)^  - mkdocstrings:\n.*?(?=^\S|\n\n)", "", text)
        config.write_text(text, encoding="utf-8")


def _commit() -> str | None:
    try:
        found = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=ENGINE_ROOT, capture_output=True, check=True, text=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return found.stdout.strip()


def _write_metrics(root: Path, name: str, path: Path) -> list[str]:
    """Write a record of metrics alone, and declare the metrics as far as their names say what they are."""
    hint = 'Write {"base_model": {"metrics": {…}}, "finetuned_model": {"metrics": {…}}}.'
    data = parse_json(path, read_text(path, hint))
    if isinstance(data, dict):  # of a whole record, whose answers are files of their own, the metrics are taken
        data = {key: value for key, value in data.items() if key in ("base_model", "finetuned_model")}
    found = validate(path, data, EvaluationResults, hint)
    base, tuned = found.base_model.metrics, found.finetuned_model.metrics
    if not base or base.keys() != tuned.keys():
        odd = ", ".join(sorted(base.keys() ^ tuned.keys())) or "no metrics"
        raise InputError(path, found=odd, expected="the same metrics of both models", hint="Correct the file.")
    for side in data.values():
        if side.get("name"):
            side["name"] = shown_model(side["name"])
    write_json(root / "results" / name / "evaluation_results.json", {"experiment_name": name, **data})
    declared: dict[str, Any] = {}
    unknown, percent = [], [key for key in base if in_percent(key, [base[key], tuned[key]])]
    for key in base:
        metric = known_metric(key, [base[key], tuned[key]])
        if metric is None:
            unknown.append(key)
            definition = "TODO: what it measures, and whether higher or lower is better."
            metric = MetricConfig(label=key, definition=definition, direction="higher", unit="number")
        declared[key] = metric.model_dump(exclude_defaults=True) | ({"primary": True} if not declared else {})
    _write_yaml(root / "configs/metrics.yaml", {"metrics": declared})
    lines = [f"results/{name}: {len(declared):,} metrics, without answers"]
    if unknown:
        lines.append(f"configs/metrics.yaml: say of {few(unknown)} whether higher or lower is better")
    if percent:
        lines.append(f"{path.name}: {few(percent)} seems to be in per cent; divide by 100 to have it shown as a share")
    return lines


def _write_sample(root: Path, name: str) -> list[str]:
    """Write a small record of sums, which says everywhere that it is a sample."""
    folder = root / "results" / name
    sums = [(a, b) for a in range(2, 8) for b in range(2, 10)]
    asked = [
        {
            "id": f"sum-{a}-{b}",
            "task": "sums",
            "prompt": f"What is {a} + {b}?",
            "reference": str(a + b),
            "larger": max(a, b),
        }
        for a, b in sums
    ]

    def answers(right: range) -> pa.Table:
        given = [a + b if (3 * a + b) % 10 in right else a + b + 1 for a, b in sums]
        return pa.Table.from_pylist(
            [
                {"id": row["id"], "answer": str(value), "correct": str(value) == row["reference"]}
                for row, value in zip(asked, given, strict=True)
            ]
        )

    (folder / "answers").mkdir(parents=True)
    tables = {"base": answers(range(3)), "finetuned": answers(range(8))}
    means = {model: sum(table["correct"].to_pylist()) / len(sums) for model, table in tables.items()}
    results = {
        "experiment_name": name,
        "base_model": {"metrics": {"sums_exact_match": means["base"]}},
        "finetuned_model": {"metrics": {"sums_exact_match": means["finetuned"]}},
        "questions": write_questions(folder / "questions.parquet", pa.Table.from_pylist(asked)),
        "answers": {
            model: write_answers(folder / f"answers/{model}.parquet", table) for model, table in tables.items()
        },
        "tasks": {
            "sums": {
                "questions": len(sums), "method": "Made up for this sample.", "template": "{prompt}",
                "fields": {"prompt": {"column": "prompt"}},
            }
        },
        "source": {"tool": SAMPLE, "files": {}, "left_out": ["Everything: no model was asked."]},
    }  # fmt: skip
    write_json(folder / "evaluation_results.json", results)
    metric = {
        "label": "Sums, exact match", "definition": "Share of sums answered right. A sample: no model was asked.",
        "direction": "higher", "unit": "proportion", "primary": True, "task": "sums", "measure": "exact_match",
        "breakdowns": [{"column": "larger", "label": "Larger number of the sum"}],
    }  # fmt: skip
    _write_yaml(root / "configs/metrics.yaml", {"metrics": {"sums_exact_match": metric}})
    note = "TODO: this is a sample record, whose numbers are made up; import results of your own with `python -m src.import_results`."
    _write_yaml(root / "configs/experiments" / f"{name}.yaml", {"experiment_name": name, "note": note})
    project = root / "configs/project.yaml"
    text = project.read_text(encoding="utf-8")
    summary = (
        "TODO: this is a sample record, whose numbers are made up. Say here what was trained, on what and what for."
    )
    project.write_text(re.sub(r"(?m)^  TODO: what was trained.*$", f"  {summary}", text), encoding="utf-8")
    return [f"results/{name}: a sample record, which says that it is one"]


def _describe_run(root: Path, name: str, adapter: Path | None) -> list[str]:
    """Write what is known of the run into the experiment's config, and copy the adapter."""
    path = root / "configs/experiments" / f"{name}.yaml"
    config: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else {}
    config = {"experiment_name": name} | config
    lines: list[str] = []
    comments = []
    config.pop("checkpoint", None)
    if config.get("dataset_config") == {"path": f"data/{name}"}:
        del config["dataset_config"]  # there is none
    evaluated, model, card = config.pop("base_model", None), None, {}
    if adapter is not None:
        model = _copy_model(adapter, root / "checkpoints" / name, lines)
        config["checkpoint"] = f"checkpoints/{name}"
        if model.settings is not None:
            hint = "Save the adapter again with peft."
            stated = {
                {"alpha": "lora_alpha", "dropout": "lora_dropout"}.get(k, k): v for k, v in model.settings.items()
            }
            validate(adapter / "adapter_config.json", stated, LoraConfig, hint)
            config["lora_config"] = model.settings
        trained = read_trainer(adapter, name)
        lines += trained.said
        if trained.settings:
            config["training_config"] = trained.settings
        if trained.seed is not None:
            config["seed"] = trained.seed
        if trained.log is not None:
            _write_log(root / "results" / name, trained.log)
            lines.append(f"results/{name}/training_log.json: the Trainer's log, {trained.log['steps']} steps")
        card = trained.card
    base, other = _bases(model, card, evaluated)
    if base is not None and isinstance(evaluated, str) and not base.same_model(parse_model_name(evaluated)):
        config.pop("base_revision", None)  # it is of the other one
    if base is not None and (base.on_hub or other is not None):
        revision = {"base_revision": base.revision} if base.revision else {}
        config = {"experiment_name": name, "base_model": base.id} | revision | config
    elif base is not None:
        called = f"; the files call it {printable(base.name)}"
        comments.append(f"base_model: ORGANIZATION/NAME # TODO: the base model's name on the Hub{called}")
    elif "note" not in config:
        comments.append("base_model: ORGANIZATION/NAME # TODO: the base model's name on the Hub")
    if base is not None and other is not None:
        why = f"the adapter names {base.id} as its base, other files {other.id}; state this if it is published for that one"
        comments.append(f"published_for: {other.id} # TODO: {why}, or remove the line")
    _write_yaml(path, config)
    if comments:
        path.write_text(
            path.read_text(encoding="utf-8") + "".join(f"# {line}\n" for line in comments), encoding="utf-8"
        )
    rest = "" if "training_config" in config else "; add how it was trained"
    return [*lines, f"configs/experiments/{name}.yaml: what is known of the run{rest}"]


def _bases(model: Model | None, card: dict[str, Any], evaluated: object) -> tuple[ModelName | None, ModelName | None]:
    """Return the base model that an adapter or a model names, and another one that other files name on the Hub.

    Args:
        model: What the checkpoint says of itself.
        card: Front matter of its README.
        evaluated: The base model of the results.
    """
    listed = card.get("base_model")
    of_card = listed[0] if isinstance(listed, list) and len(listed) == 1 else listed
    own = model.config.get("_name_or_path" if model.full else "base_model_name_or_path") if model else None
    names = [parse_model_name(name) for name in (own, of_card, evaluated) if isinstance(name, str) and name]
    if not names:
        return None, None
    full = model is not None and model.full  # which may be called by its own folder
    base = next((name for name in names if name.on_hub and (full or name.same_model(names[0]))), names[0])
    results = [parse_model_name(evaluated)] if isinstance(evaluated, str) and evaluated else []
    others = results if base.on_hub else names  # a README that contradicts the adapter is not asked
    return base, next((name for name in others if name.on_hub and not (full or name.same_model(base))), None)


def _copy_model(source: Path, target: Path, lines: list[str]) -> Model:
    files, left = checkpoint_files(source), left_out(source)
    target.mkdir(parents=True)
    for name, path in files.items():
        shutil.copyfile(path, target / name)
    lines.append(f"checkpoints/{target.name}: {', '.join(files)}" + (f"; left out: {', '.join(left)}" if left else ""))
    return read_model(target)


def _write_log(folder: Path, log: dict[str, Any]) -> None:
    """Put a training log next to the results, and its name and hash into them."""
    place, results = folder / "training_log.json", folder / "evaluation_results.json"
    write_json(place, log)
    stated = json_object(results)
    write_json(results, stated | {"training_log": {"file": place.name, "sha256": sha256_file(place)}})


def _write_documents(root: Path) -> None:
    """Check the record as every command does, and write the documents that are committed."""
    from src.documents.build import build

    load_record(root)
    for path, text in build(root, None).committed().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def describe(root: Path, name: str, known: dict[str, Any]) -> None:
    """Put what was known of a run before into the experiment's config."""
    path = root / "configs/experiments" / f"{name}.yaml"
    written = yaml.safe_load(path.read_text(encoding="utf-8"))
    _write_yaml(path, {**written, **known})


def _write_yaml(path: Path, data: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=1000), encoding="utf-8")
