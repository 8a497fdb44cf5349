"""Write the Hub's repositories as folders, exactly as they would be uploaded."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from src.documents.cards import base_card, dataset_card, model_card
from src.documents.context import Context
from src.figures.catalog import render
from src.record.checkpoint import adapter_config, checkpoint_files
from src.record.dataset import dataset_files
from src.record.errors import InputError

BASE_FILES = (
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    "training.json",
    "sources.tsv",
)
"""Files of a local base model that are published with it."""


@dataclass(frozen=True)
class Bundle:
    """The files of every repository: repository's folder, path inside it, size in bytes."""

    folder: Path
    files: tuple[tuple[str, str, int], ...]


def build_bundle(context: Context, output: Path, cache: Path | None = None) -> Bundle:
    """Write `model/`, `dataset/` and, for a base model of one's own, `base/`, whole or not at all.

    Args:
        context: What is published.
        output: Folder that is replaced.
        cache: Where rendered charts are kept.

    Raises:
        InputError: A file is missing, is a pickle, or is not the one that was evaluated.
    """
    record = context.record
    record.check_evaluated()
    contents = {"model": _model(context, cache)}
    if record.splits:
        contents["dataset"] = _dataset(context)
    if record.base_folder is not None:
        contents["base"] = _base(context)

    staging = output.with_name(f".{output.name}.staging")
    shutil.rmtree(staging, ignore_errors=True)
    for repo, files in contents.items():
        for name, content in files.items():
            target = staging / repo / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, Path):
                shutil.copyfile(content, target)
            else:
                target.write_bytes(content)
    shutil.rmtree(output, ignore_errors=True)
    output.parent.mkdir(parents=True, exist_ok=True)
    staging.replace(output)
    return Bundle(
        output,
        tuple(
            (repo, path.relative_to(output / repo).as_posix(), path.stat().st_size)
            for repo in contents
            for path in sorted((output / repo).rglob("*"))
            if path.is_file()
        ),
    )


def _licence(context: Context) -> Path:
    path = context.record.root / "LICENSE"
    if not path.is_file():
        raise InputError(
            path, found="no such file", expected="the licence that is published along", mend="Add the licence's text."
        )
    return path


def _model(context: Context, cache: Path | None) -> dict[str, Path | bytes]:
    record = context.record
    files: dict[str, Path | bytes] = {"README.md": model_card(context).encode(), "LICENSE": _licence(context)}
    files |= checkpoint_files(record.checkpoint)
    if context.names.base:
        # A visitor has no local folder: name the base model as it is called on the Hub.
        settings = adapter_config(record.checkpoint) | {"base_model_name_or_path": context.names.base}
        files["adapter_config.json"] = (json.dumps(settings, indent=2, sort_keys=True) + "\n").encode()
    files["evaluation_results.json"] = record.results_path
    for chart in context.charts:
        files[f"charts/{chart.name}.png"] = render(chart, "png", cache)
    return files


def _dataset(context: Context) -> dict[str, Path | bytes]:
    record = context.record
    files: dict[str, Path | bytes] = {"README.md": dataset_card(context).encode(), "LICENSE": _licence(context)}
    files |= dataset_files(record.data)
    notice = record.data / "words" / "COPYRIGHT"
    if notice.is_file():
        files["words/COPYRIGHT"] = notice
    return files


def _base(context: Context) -> dict[str, Path | bytes]:
    folder = context.record.base_folder
    if folder is None:
        return {}
    files: dict[str, Path | bytes] = {name: folder / name for name in BASE_FILES if (folder / name).is_file()}
    files["LICENSE"] = _licence(context)
    if context.record.base_training is not None:
        files["README.md"] = base_card(context).encode()
    elif (folder / "README.md").is_file():
        files["README.md"] = folder / "README.md"
    return files
