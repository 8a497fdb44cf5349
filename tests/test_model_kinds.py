"""What documents say of a checkpoint is what its files say: adapters of many kinds, classifiers, full models."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from src.documents.build import build
from src.documents.renderer import Renderer, cited_anywhere
from src.record.checkpoint import checkpoint_files, left_out
from src.record.errors import InputError
from src.record.model import read_model

from .conftest import refuses, succeeds
from .records import CAUSAL, checkpoint, describe_adapter, edit_json, without_settings

CHECKPOINT = "checkpoints/best_model"

Kind = tuple[dict[str, Any], list[str], list[str]]


KINDS: dict[str, Kind] = {
    "LoRA": (CAUSAL, ["LoRA adapter (rank 8, alpha 16) on c_attn", "alpha / r times", "the base model's weights stay"], ["√r", "DoRA"]),
    "rsLoRA": (CAUSAL | {"use_rslora": True}, ["alpha / √r times", "also sets `use_rslora`."], ["alpha / r times"]),
    "special keys": (
        CAUSAL | {"use_dora": True, "rank_pattern": {"h.0": 4}, "alpha_pattern": {}, "layers_to_transform": [3], "trainable_token_indices": [1]},
        ["also sets `use_dora`, `rank_pattern`, `layers_to_transform`, `trainable_token_indices`."],
        ["alpha_pattern", "the base model's weights stay"],
    ),
    "modules to save": (
        CAUSAL | {"modules_to_save": ["c_attn", "not_there"]},
        ["besides the adapter: c_attn."],
        ["the base model's weights stay", "not_there"],
    ),
    "bias": (CAUSAL | {"bias": "all"}, ["`bias: all`"], ["the base model's weights stay"]),
    "IA3": ({"peft_type": "IA3", "task_type": "CAUSAL_LM", "target_modules": ["c_attn"]}, ["IA3 adapter on c_attn, with "], ["rank", "@hu2022", "Hu et al"]),
    "hostile": ({"peft_type": "<b>*x*</b>", "task_type": "CAUSAL_LM"}, ["&#60;b"], ["<b>"]),
    "nothing stated": ({}, ["is not stated"], ["LoRA", "rank"]),
}  # fmt: skip


@pytest.fixture
def bare(project: Path) -> Path:
    without_settings(project)
    return project


def part(root: Path, name: str) -> str:
    return Renderer(build(root, None).context, "hub").render(f"parts/{name}.md")


@pytest.mark.parametrize("kind", KINDS)
def test_the_card_says_what_the_adapter_is(kind: str, bare: Path) -> None:
    config, said, unsaid = KINDS[kind]
    describe_adapter(bare, config)
    text = part(bare, "adapter")
    for fragment in said:
        assert fragment in text, text
    for fragment in unsaid:
        assert fragment not in text, text


def test_only_the_allow_list_is_published(bare: Path) -> None:
    folder = bare / CHECKPOINT
    (folder / "training_args.bin").write_bytes(b"\x80\x04.")
    (folder / "checkpoint-500").mkdir()
    (folder / "checkpoint-500/optimizer.pt").write_bytes(b"\x80\x04.")
    (folder / "added_tokens.json").write_text("{}")
    (folder / "spiece.model").write_bytes(b"x")
    assert left_out(folder) == ["checkpoint-500/", "training_args.bin"]
    done = succeeds(bare, "publish", "--dry-run")
    assert "not published from checkpoints/best_model: checkpoint-500/, training_args.bin" in done.stdout
    assert (bare / "dist/hub/model/spiece.model").is_file() and not list((bare / "dist/hub").rglob("*.bin"))


def test_labels_are_those_of_the_last_layer(tmp_path: Path) -> None:
    head = "base_model.model.classifier"
    shapes = {f"{head}.dense.weight": (32, 32), f"{head}.out_proj.weight": (3, 32), f"{head}.out_proj.bias": (3,)}
    folder = checkpoint(tmp_path / "roberta", CAUSAL | {"task_type": "SEQ_CLS"}, shapes)
    assert read_model(folder).labels == 3


def test_embeddings_that_peft_saves_along_are_not_trained(tmp_path: Path) -> None:
    shapes = {"base_model.model.h.0.c_attn.lora_A.weight": (2, 16), "base_model.model.wte.weight": (514, 16)}
    assert read_model(checkpoint(tmp_path / "along", CAUSAL, shapes)).trained_parameters is None
    whole = CAUSAL | {"modules_to_save": ["wte"]}
    assert read_model(checkpoint(tmp_path / "whole", whole, shapes)).trained_parameters == 32 + 514 * 16
    prompt = {"peft_type": "P_TUNING", "task_type": "CAUSAL_LM"}  # its encoder is trained and not saved
    assert (
        read_model(checkpoint(tmp_path / "prompt", prompt, {"prompt_embeddings": (4, 16)})).trained_parameters is None
    )


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize 6800000\n" % (b"0" * 64)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda folder: (folder / "adapter_model.safetensors").rename(folder / "model.gguf"), "adapter_model.safetensors: not found"),
        (lambda folder: (folder / "adapter_config.json").unlink(), "neither adapter_config.json nor config.json"),
        (lambda folder: (folder / "adapter_model.safetensors").write_bytes(POINTER), "a Git LFS pointer"),
        (lambda folder: (folder / "adapter_model.safetensors").open("ab").write(b"x"), "by its header"),
        (lambda folder: (folder / "adapter_model.safetensors").write_text("<!doctype html>"), "not a safetensors file"),
    ],
)  # fmt: skip
def test_a_folder_without_whole_weights_is_refused(make: Callable[[Path], Any], said: str, tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "adapter", CAUSAL)
    make(folder)
    with pytest.raises(InputError) as refused:
        checkpoint_files(folder)
    assert said in str(refused.value)


def test_a_snapshot_in_the_hubs_cache_is_read_and_other_links_are_not(tmp_path: Path) -> None:
    cache = tmp_path / "models--me--ad"
    (cache / "snapshots").mkdir(parents=True)
    (cache / "blobs").mkdir()
    folder = checkpoint(cache / "snapshots/0123abc", CAUSAL)
    for path in list(folder.iterdir()):
        path.rename(cache / "blobs" / path.name)
        path.symlink_to(Path("../../blobs") / path.name)
    assert list(checkpoint_files(folder)) == ["adapter_config.json", "adapter_model.safetensors"]
    (tmp_path / "secret.json").write_text("{}")
    (folder / "tokenizer.json").symlink_to(tmp_path / "secret.json")
    with pytest.raises(InputError, match="not a regular file"):
        checkpoint_files(folder)


def test_a_quantized_model_has_no_parameter_count(bare: Path) -> None:
    shutil.rmtree(bare / CHECKPOINT)
    config = {"architectures": ["LlamaForCausalLM"], "quantization_config": {"quant_method": "gptq"}}
    checkpoint(bare / CHECKPOINT, config, {"model.layers.0.qweight": (4, 4)})
    text = part(bare, "adapter")
    assert "(LlamaForCausalLM) with quantized weights" in text and "parameters" not in text


def test_no_path_of_the_authors_machine_is_published(bare: Path) -> None:
    describe_adapter(bare, CAUSAL | {"tokenizer_name_or_path": "/home/me/hidden/tokenizer", "peft_version": "0.18.0"})
    more = {"special_tokens_map_file": "C:\\hidden\\map.json", "name_or_path": "~/hidden/small", "sep_token": "/"}
    edit_json(bare / CHECKPOINT / "tokenizer_config.json", lambda data: data.update(more))
    succeeds(bare, "publish", "--dry-run")
    for file in (bare / "dist/hub/model").iterdir():
        assert file.is_dir() or b"hidden" not in file.read_bytes(), file
    published = json.loads((bare / "dist/hub/model/tokenizer_config.json").read_text())
    assert published["name_or_path"] == "small" and published["sep_token"] == "/"
    assert "special_tokens_map_file" not in published


def test_results_that_name_a_path_are_not_published(bare: Path) -> None:
    path = bare / "results/tiny/evaluation_results.json"
    edit_json(path, lambda data: data["base_model"].update(name="/home/me/hidden"))
    errors = refuses(bare, "publish", "--dry-run")
    assert "base_model.name: a path of your machine" in errors, errors
    assert "hidden" not in errors


@pytest.mark.parametrize("index", ['{"weight_map": {"a": "model-00001-of-00002.safetensors"}}', "{}", None])
def test_shards_that_are_not_all_there_are_refused(index: str | None, tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "full", {}, {"a": (2,)})
    (folder / "model.safetensors").rename(folder / "model-00002-of-00002.safetensors")
    if index is not None:
        (folder / "model.safetensors.index.json").write_text(index)
    with pytest.raises(InputError, match="does not fit the shards" if index else r"index\.json"):
        checkpoint_files(folder)


def test_a_full_model_is_not_called_an_adapter(bare: Path) -> None:
    shutil.rmtree(bare / CHECKPOINT)
    shutil.copytree(bare / "models/tiny", bare / CHECKPOINT)
    for path in [bare / "configs/project.yaml", *(bare / "docs/fragments").rglob("*.j2")]:
        path.write_text(path.read_text().replace("@hu2022", "@holm1979"))  # the author's own citations stay
    context = build(bare, None).context
    assert "hu2022" not in cited_anywhere(context)
    for name in ("glossary", "deployment", "adapter"):
        text = Renderer(context, "hub").render(f"parts/{name}.md")
        assert "adapter" not in text.lower() and "LoRA" not in text, text
    describe_adapter(bare, CAUSAL)
    assert "hu2022" in cited_anywhere(build(bare, None).context)
