"""The contents of the Hub's repositories: which files of the record go into each, and in which form."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from pathlib import Path

from src.documents.build import Documents
from src.documents.context import Context
from src.documents.demo import Demo, DemoFile
from src.documents.notebook import PATH, notebook
from src.documents.space import space_files
from src.exchange.benchmark import benchmark_file
from src.record.checkpoint import adapter_config, base_files, checkpoint_files, json_object
from src.record.errors import InputError
from src.record.files import regular_file
from src.record.gaps import unready
from src.record.model_name import is_path, parse_model_name
from src.record.publication import Role
from src.record.splits import dataset_files

from .eval_results import results_files
from .preflight import check_license, check_splits, left_out_notes
from .repository import ROLES, Commits, HubFile, Repository, Sources, hashed
from .secrets import check_secrets

CONFIGS = ("adapter_config.json", "config.json", "generation_config.json", "tokenizer_config.json")
"""Files of a checkpoint in which transformers and peft note where something was on the author's machine."""

NOTICES = ("COPYRIGHT", "LICENSE", "NOTICE")
"""Notices in the dataset's folders, next to what they are about."""


def collect(
    documents: Documents,
    only: Collection[Role] = ROLES,
    endpoint: str = "https://huggingface.co",
    *,
    unfinished: bool = False,
) -> list[Repository]:
    """Collect and hash the files of every repository, after checking that they are what was evaluated.

    An `unfinished` model's repository may be without an adapter while there is none, to be looked at only.
    """
    context = documents.context
    record, names = context.record, context.names
    if not (unfinished and record.lacks_adapter):
        record.check_evaluated()
    repos = []
    if "dataset" in only and record.splits:
        repos.append(Repository("dataset", names.dataset, "dataset", hashed(_dataset(documents))))
    if "base" in only and record.base_folder is not None and names.base is not None:
        repos.append(Repository("base", names.base, "model", hashed(_base(documents)), results(context, "base")))
    if "model" in only:
        files = hashed(_model(documents))
        repos.append(Repository("model", names.model, "model", files, results(context, "model")))
    if "space" in only and context.space is not None and isinstance(context.demo, Demo) and names.base is not None:
        repos.append(_space(documents, context.space, context.demo, names.base, endpoint))
    return [repo.at({}) for repo in repos]


def gather(
    context: Context, only: Collection[Role], token: str | None, endpoint: str, *, unfinished: bool = False
) -> tuple[list[Repository], list[str]]:
    """Collect the repositories, and check what needs neither the network nor a model; return them, and notes for the person."""
    record, documents = context.record, Documents(context)
    check_license(record)
    if "dataset" in only:
        check_splits(record)
    documents.check()
    repos = collect(documents, only, endpoint, unfinished=unfinished)
    if not repos:
        why = f" ({context.demo})" if "space" in only and isinstance(context.demo, str) else ""
        raise InputError("--only", f"The project has no {' or '.join(only)} to publish{why}.")
    notes = left_out_notes(record)
    notes += check_secrets(repos, token, record.project.allow_secrets, context.cache)
    return repos, notes + unready(record)


def local_base(context: Context) -> Repository | None:
    """Return the base model's repository, for an adapter that is published without it; None if it is not a local one."""
    only: tuple[Role, ...] = ("base",)
    return next(iter(collect(Documents(context), only)), None)


def results(context: Context, role: Role) -> Callable[[Commits], dict[str, HubFile]]:
    """Return what writes the Hub's evaluation results of a model; they name the dataset's commit."""
    return lambda commits: hashed(results_files(context, role, commits.get("dataset")))


def _space(documents: Documents, space: str, demo: Demo, base: str, endpoint: str) -> Repository:
    context = documents.context
    record, model = context.record, context.names.model
    published: list[tuple[Role, str, str, str, Sources]] = [
        ("base", base, "base", "", _base(documents)),
        ("model", model, "adapter", "", _adapter(context, record.checkpoint)),
    ]
    for (name, checkpoint), folder in zip(record.further_adapters.items(), record.further_folders, strict=True):
        published.append(("model", model, f"adapters/{name}", f"{folder}/", _adapter(context, checkpoint)))
    weights: list[tuple[Role, str, str, str, HubFile]] = []
    for role, repo_id, folder, there, sources in published:
        wanted = {name: source for name, source in sources.items() if f"{folder}/{name}" in demo.files}
        weights += [(role, repo_id, folder, there, file) for file in hashed(wanted).values()]

    def write(commits: Commits) -> dict[str, HubFile]:
        """Name the commits of the weights; `main` while there are none."""
        files = [
            DemoFile(
                f"{folder}/{file.path}",
                f"{endpoint}/{repo}/resolve/{commits.get(role, 'main')}/{there}{file.path}",
                file.size,
                file.sha256,
            )
            for role, repo, folder, there, file in weights
        ]
        return hashed(space_files(context, demo, files))

    return Repository("space", space, "space", hashed({"LICENSE": _license(context)}), write)


def _license(context: Context) -> Path:
    return regular_file(context.record.root, "LICENSE")


def _adapter(context: Context, folder: Path) -> Sources:
    files: Sources = {**checkpoint_files(folder)}
    settings = adapter_config(folder)
    if settings.get("base_model_name_or_path"):
        # A visitor has no local folder, so the base model has its name on the Hub.
        name = context.names.base or parse_model_name(str(settings["base_model_name_or_path"])).id
        settings |= {"base_model_name_or_path": name}
        files["adapter_config.json"] = (json.dumps(settings, indent=2, sort_keys=True) + "\n").encode()
    return files | {
        name: text for name in CONFIGS if name in files and (text := _without_paths(files[name])) is not None
    }


def _without_paths(source: Path | bytes) -> bytes | None:
    """Return a config without paths of the author's machine: a model keeps its name, a file is left out; None if there are none."""
    data = json_object(source) if isinstance(source, Path) else json.loads(source)
    paths = {key: value for key, value in data.items() if key.endswith(("name_or_path", "_file")) and is_path(value)}
    if not paths:
        return None
    named = {key: parse_model_name(value).id for key, value in paths.items() if key.endswith("name_or_path")}
    kept = {key: named.get(key, value) for key, value in data.items() if key not in paths or key in named}
    return (json.dumps(kept, indent=2, ensure_ascii=False) + "\n").encode()


def _model(documents: Documents) -> Sources:
    context = documents.context
    record = context.record
    files: Sources = {"README.md": documents.model_card.text.encode(), "LICENSE": _license(context)}
    if not record.lacks_adapter:
        files |= _adapter(context, record.checkpoint)
    for folder, checkpoint in record.further_folders.items():  # PEFT calls the folder `subfolder`
        files |= {f"{folder}/{name}": source for name, source in _adapter(context, checkpoint).items()}
    for side in ("base_model", "finetuned_model"):
        stated = getattr(record.results, side)
        if stated is not None and is_path(stated.name):
            raise InputError(record.results_path, f"{side}.name: a path of your machine. Write the model's Hub id.")
    files["evaluation_results.json"] = record.results_path
    files["final_report.json"] = documents.final_report.encode()
    files["report.pdf"] = documents.pdf()
    if isinstance(context.demo, Demo):
        files[PATH] = notebook(context, context.demo).encode()
    for chart in context.charts.values():
        files[f"charts/{chart.name}.png"] = context.rendered(chart, "png")
    files |= {f"pictures/{name}": path for name, path in context.pictures.items()}
    return files


def _dataset(documents: Documents) -> Sources:
    record = documents.context.record
    files: Sources = {"LICENSE": _license(documents.context)}
    if documents.dataset_card is not None:
        files["README.md"] = documents.dataset_card.text.encode()
    files |= {name: regular_file(record.data, name) for name in dataset_files(record.data)}
    for split in record.published_splits:
        files.setdefault(f"{split.config}/{split.name}.parquet", split.path)
    for notice in sorted(path for name in NOTICES for path in record.data.glob(f"*/{name}")):
        name = notice.relative_to(record.data).as_posix()
        files[name] = regular_file(record.data, name)
    files |= benchmark_file(record)
    return files


def _base(documents: Documents) -> Sources:
    folder = documents.context.record.base_folder
    if folder is None:
        return {}
    files: Sources = {**base_files(folder)}
    files["LICENSE"] = _license(documents.context)
    if documents.base_card is not None:
        files["README.md"] = documents.base_card.text.encode()
    elif (folder / "README.md").exists():
        files["README.md"] = regular_file(folder, "README.md")
    return files
