"""What documents say of a checkpoint is what its files say: adapters of many kinds, classifiers, full models."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from src.documents.build import build
from src.documents.renderer import Renderer, cited_anywhere
from src.record.checkpoint import checkpoint_files, left_out
from src.record.errors import InputError
from src.record.model import read_model

CHECKPOINT = "checkpoints/best_model"

Kind = tuple[dict[str, Any], list[str], list[str]]

CAUSAL = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": 8, "lora_alpha": 16, "target_modules": ["c_attn"]}

KINDS: dict[str, Kind] = {
    "LoRA": (CAUSAL, ["LoRA adapter (rank 8, alpha 16) on c_attn", "alpha / r times", "the base model's weights stay"], ["√r", "DoRA"]),
    "rsLoRA": (CAUSAL | {"use_rslora": True}, ["alpha / √r times", "rsLoRA"], ["alpha / r times"]),
    "DoRA": (CAUSAL | {"use_dora": True}, ["(DoRA)"], ["√r"]),
    "rank pattern": (CAUSAL | {"rank_pattern": {"h.0": 4}}, ["Rank differs from module to module."], ["Alpha"]),
    "both patterns": (
        CAUSAL | {"rank_pattern": {"h.0": 4}, "alpha_pattern": {"h.0": 4}},
        ["Rank and alpha differ from module to module."],
        [],
    ),
    "modules to save": (
        CAUSAL | {"modules_to_save": ["c_attn", "not_there"]},
        ["all other weights stay frozen", "saved with the adapter: c_attn."],
        ["the base model's weights stay", "not_there"],
    ),
    "some layers": (CAUSAL | {"layers_to_transform": [3, 1]}, ["on c_attn of layers 1, 3. The"], []),
    "parameters": (CAUSAL | {"target_modules": [], "target_parameters": ["experts.down_proj"]}, ["on experts.down_proj."], []),
    "trained tokens": (
        CAUSAL | {"trainable_token_indices": [1, 2]},
        ["all other weights stay frozen", "The embeddings of some tokens are trained too."],
        ["the base model's weights stay"],
    ),
    "many modules": (
        CAUSAL | {"target_modules": [f"h.{i}.{name}" for i in range(600) for name in ("c_fc", "c_attn")]},
        ["on c_attn, c_fc (1,200 modules)."],
        ["h.0"],
    ),
    "bias": (CAUSAL | {"bias": "all"}, ["`bias: all`", "all other weights"], []),
    "a pattern": (CAUSAL | {"target_modules": "all-linear"}, ["on all-linear"], []),
    "IA3": ({"peft_type": "IA3", "task_type": "CAUSAL_LM", "target_modules": ["c_attn"]}, ["IA³ adapter on c_attn, with "], ["rank", "@hu2022", "Hu et al"]),
    "prompt tuning": ({"peft_type": "PROMPT_TUNING", "task_type": "CAUSAL_LM", "num_virtual_tokens": 8}, ["Prompt tuning adapter, with 8 virtual tokens and "], ["rank", " on "]),
    "unknown to us": ({"peft_type": "NEWKIND", "task_type": "CAUSAL_LM"}, ["NEWKIND adapter"], ["rank", "alpha"]),
    "hostile": ({"peft_type": "<b>*x*</b>", "task_type": "CAUSAL_LM"}, ["&#60;b"], ["<b>"]),
    "nothing stated": ({}, ["is not stated"], ["LoRA", "rank"]),
}  # fmt: skip


def adapter(root: Path, config: dict[str, Any]) -> None:
    """Make the project's checkpoint say something else of itself."""
    (root / CHECKPOINT / "adapter_config.json").write_text(json.dumps(config))


def without_settings(root: Path) -> None:
    """Take out what the record itself says of the adapter."""
    path = root / "configs/experiments/tiny.yaml"
    lines = path.read_text().splitlines(True)
    start = next(i for i, line in enumerate(lines) if line.startswith("lora_config"))
    end = next(i for i in range(start + 1, len(lines)) if not lines[i].startswith(" "))
    path.write_text("".join(lines[:start] + lines[end:]))
    for name in ("evaluation_results", "training_log"):
        file = root / f"results/tiny/{name}.json"
        data = json.loads(file.read_text())
        data["config"] = None
        data["hashes"] = None
        file.write_text(json.dumps(data))
    results = json.loads((root / "results/tiny/evaluation_results.json").read_text())
    results["training_log"] = None
    (root / "results/tiny/evaluation_results.json").write_text(json.dumps(results))
    (root / "results/tiny/training_log.json").unlink()
    project = root / "configs/project.yaml"
    project.write_text("".join(line for line in project.read_text().splitlines(True) if not line.startswith("study:")))
    (root / "docs/fragments/finding.md.j2").unlink(missing_ok=True)


@pytest.fixture
def bare(project: Path) -> Path:
    without_settings(project)
    return project


def part(root: Path, name: str) -> str:
    return Renderer(build(root, None).context, "hub").render(f"parts/{name}.md")


@pytest.mark.parametrize("kind", KINDS)
def test_the_card_says_what_the_adapter_is(kind: str, bare: Path) -> None:
    config, said, unsaid = KINDS[kind]
    adapter(bare, config)
    text = part(bare, "adapter")
    for fragment in said:
        assert fragment in text, text
    for fragment in unsaid:
        assert fragment not in text, text


@pytest.mark.parametrize(
    ("task", "auto", "last", "tag"),
    [
        ("CAUSAL_LM", "AutoModelForCausalLM", "model.generate(", "text-generation"),
        ("SEQ_2_SEQ_LM", "AutoModelForSeq2SeqLM", "model.generate(", "text2text-generation"),
        ("SEQ_CLS", "AutoModelForSequenceClassification", "id2label", "text-classification"),
        ("TOKEN_CLS", "AutoModelForTokenClassification", "id2label", "token-classification"),
        ("QUESTION_ANS", "AutoModelForQuestionAnswering", "start_logits", "question-answering"),
        ("FEATURE_EXTRACTION", "AutoModel", "last_hidden_state", "feature-extraction"),
    ],
)
def test_snippet_and_tag_follow_the_task(task: str, auto: str, last: str, tag: str, bare: Path) -> None:
    adapter(bare, CAUSAL | {"task_type": task})
    text = part(bare, "snippet")
    assert f"from transformers import {auto}, AutoTokenizer" in text and last in text
    card = build(bare, None).model_card.text
    assert f"pipeline_tag: {tag}\n" in card and "library_name: peft\n" in card


def test_without_a_task_there_is_no_snippet(bare: Path) -> None:
    adapter(bare, {"peft_type": "LORA", "r": 8, "lora_alpha": 16})
    assert "does not state its task" in part(bare, "snippet")
    assert "pipeline_tag" not in build(bare, None).model_card.text


def test_a_pinned_revision_reaches_the_snippet(bare: Path) -> None:
    path = bare / "configs/experiments/tiny.yaml"
    path.write_text(path.read_text().replace("base_model: models/tiny", "base_model: org/base"))
    adapter(bare, CAUSAL | {"revision": "abc123"})
    assert 'from_pretrained("org/base", revision="abc123")' in part(bare, "snippet")
    adapter(bare, CAUSAL | {"revision": '"); import os #'})
    assert "import os" not in part(bare, "snippet")


def test_float16_is_not_called_float32(bare: Path) -> None:
    path = bare / "configs/experiments/tiny.yaml"
    path.write_text(path.read_text().replace("training_config:\n", "training_config:\n  fp16: true\n  bf16: false\n"))
    assert "| Precision | float16 autocast |" in part(bare, "settings")


def peft_model(base: Path, folder: Path, auto: str, change: Callable[[Any], None] | None = None, **config: Any) -> None:
    """Save a real adapter on the tiny base model, as people do."""
    import transformers
    from peft import LoraConfig, get_peft_model

    options = {"num_labels": 3} if "Sequence" in auto else {}
    model = getattr(transformers, auto).from_pretrained(base, **options)
    tokenizer = transformers.AutoTokenizer.from_pretrained(base)
    if change is not None:
        change((model, tokenizer))
    model.config.pad_token_id = tokenizer.eos_token_id
    found = get_peft_model(
        model, LoraConfig(r=2, lora_alpha=4, target_modules=["c_attn"], fan_in_fan_out=True, **config)
    )
    shutil.rmtree(folder)
    found.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def add_tokens(pair: Any) -> None:
    model, tokenizer = pair
    tokenizer.add_tokens(["<think>", "</think>"])
    model.resize_token_embeddings(len(tokenizer))


def verified(root: Path) -> str:
    from tests.conftest import invoke

    done: subprocess.CompletedProcess[str] = invoke(root, "publish", "--verify", "--only", "model")
    return f"{done.returncode}\n{done.stdout}\n{done.stderr}"


@pytest.mark.nightly
def test_a_classifier_is_loaded_and_its_snippet_run(bare: Path) -> None:
    peft_model(bare / "models/tiny", bare / CHECKPOINT, "AutoModelForSequenceClassification", task_type="SEQ_CLS")
    assert read_model(bare / CHECKPOINT).labels == 3
    said = verified(bare)
    assert "num_labels=3" in part(bare, "snippet")
    assert "the card's snippet runs (printed 'LABEL_" in said and "largest difference 0" in said, said


@pytest.mark.nightly
def test_added_tokens_are_resized_for(bare: Path) -> None:
    peft_model(bare / "models/tiny", bare / CHECKPOINT, "AutoModelForCausalLM", add_tokens, task_type="CAUSAL_LM")
    rows = read_model(bare / CHECKPOINT).vocabulary
    assert f"base.resize_token_embeddings({rows})" in part(bare, "snippet")
    said = verified(bare)
    assert said.startswith("0\n") and "largest difference 0" in said, said


@pytest.mark.nightly
def test_a_full_model_is_published_like_an_adapter(bare: Path) -> None:
    shutil.rmtree(bare / CHECKPOINT)
    shutil.copytree(bare / "models/tiny", bare / CHECKPOINT)
    (bare / CHECKPOINT / "training_args.bin").write_bytes(b"\x80\x04.")
    text = part(bare, "adapter")
    assert text.startswith("A full model (GPT2LMHeadModel) with ") and "LoRA" not in text
    snippet = part(bare, "snippet")
    assert "peft" not in snippet and "AutoModelForCausalLM.from_pretrained(" in snippet
    said = verified(bare)
    assert said.startswith("0\n") and "largest difference 0" in said and "the card's snippet runs" in said, said
    assert "training_args.bin" in said  # named as left out


def test_only_the_allow_list_is_published(bare: Path) -> None:
    folder = bare / CHECKPOINT
    (folder / "training_args.bin").write_bytes(b"\x80\x04.")
    (folder / "checkpoint-500").mkdir()
    (folder / "checkpoint-500/optimizer.pt").write_bytes(b"\x80\x04.")
    (folder / "added_tokens.json").write_text("{}")
    (folder / "spiece.model").write_bytes(b"x")
    assert left_out(folder) == ["checkpoint-500/", "training_args.bin"]
    from tests.conftest import invoke

    done = invoke(bare, "publish", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "not published from checkpoints/best_model: checkpoint-500/, training_args.bin" in done.stdout
    assert (bare / "dist/hub/model/spiece.model").is_file() and not list((bare / "dist/hub").rglob("*.bin"))


def save_shapes(
    folder: Path, config: dict[str, Any], shapes: dict[str, tuple[int, ...]], name: str = "adapter"
) -> Path:
    """Write a checkpoint with tensors of these shapes."""
    folder.mkdir()
    (folder / ("config.json" if name == "model" else "adapter_config.json")).write_text(json.dumps(config))
    weights = "model.safetensors" if name == "model" else "adapter_model.safetensors"
    save_file({tensor: np.zeros(shape, np.float32) for tensor, shape in shapes.items()}, folder / weights)
    return folder


def test_labels_are_those_of_the_last_layer(tmp_path: Path) -> None:
    head = "base_model.model.classifier"
    shapes = {f"{head}.dense.weight": (32, 32), f"{head}.out_proj.weight": (3, 32), f"{head}.out_proj.bias": (3,)}
    folder = save_shapes(tmp_path / "roberta", CAUSAL | {"task_type": "SEQ_CLS"}, shapes)
    assert read_model(folder).labels == 3


def test_embeddings_that_peft_saves_along_are_not_trained(tmp_path: Path) -> None:
    shapes = {"base_model.model.h.0.c_attn.lora_A.weight": (2, 16), "base_model.model.wte.weight": (514, 16)}
    assert read_model(save_shapes(tmp_path / "along", CAUSAL, shapes)).trained_parameters == 32
    whole = CAUSAL | {"modules_to_save": ["wte"]}
    assert read_model(save_shapes(tmp_path / "whole", whole, shapes)).trained_parameters == 32 + 514 * 16
    prompt = {"peft_type": "P_TUNING", "task_type": "CAUSAL_LM"}  # its encoder is trained and not saved
    assert (
        read_model(save_shapes(tmp_path / "prompt", prompt, {"prompt_embeddings": (4, 16)})).trained_parameters is None
    )


SPEECH = "automatic-speech-recognition"


@pytest.mark.parametrize(
    ("name", "config", "pipeline"),
    [
        ("T5ForConditionalGeneration", {"model_type": "t5"}, "text2text-generation"),
        ("MarianMTModel", {"model_type": "marian"}, "text2text-generation"),
        ("T5EncoderModel", {"model_type": "t5"}, None),
        ("BartForSequenceClassification", {"model_type": "bart"}, "text-classification"),
        ("BertForMaskedLM", {"model_type": "bert"}, "fill-mask"),
        ("WhisperForConditionalGeneration", {"model_type": "whisper", "num_mel_bins": 80}, SPEECH),
        ("Wav2Vec2ForCTC", {"feat_extract_norm": "group"}, SPEECH),
        ("Wav2Vec2ForSequenceClassification", {"feat_extract_norm": "group"}, "audio-classification"),
        ("ASTForAudioClassification", {"num_mel_bins": 128, "patch_size": 16}, "audio-classification"),
        ("ViTForImageClassification", {"image_size": 224}, "image-classification"),
        ("LayoutLMv3ForTokenClassification", {"max_2d_position_embeddings": 1024}, None),
        ("Qwen2_5_VLForConditionalGeneration", {"model_type": "qwen2_5_vl", "vision_config": {}}, None),
        ("Qwen2AudioForConditionalGeneration", {"audio_config": {}}, None),
        ("BltForCausalLM", {"patch_size": 4}, "text-generation"),
    ],
)
def test_the_task_follows_from_class_and_input(
    name: str, config: dict[str, Any], pipeline: str | None, tmp_path: Path
) -> None:
    head = read_model(save_shapes(tmp_path / "full", config | {"architectures": [name]}, {"a": (2,)}, "model")).head
    assert (head.pipeline if head else None) == pipeline


@pytest.mark.parametrize(
    ("task", "base", "mapped", "pipeline"),
    [
        ("CAUSAL_LM", "Qwen/Qwen2.5-7B", None, "text-generation"),
        ("CAUSAL_LM", "/cache/models--Qwen--Qwen2.5-VL-7B/snapshots/0123abc", None, None),
        ("SEQ_CLS", "C:\\models\\wav2vec2-base", None, None),
        ("SEQ_2_SEQ_LM", "openai/whisper-small", None, None),
        (None, "openai/whisper-small", "WhisperForConditionalGeneration", SPEECH),
        (None, "google/vit-base-patch16-224", "ViTForImageClassification", "image-classification"),
        (None, "org/base", "LlamaForCausalLM", "text-generation"),
    ],
)
def test_an_adapter_on_sound_or_images_is_not_called_one_on_text(
    task: str | None, base: str, mapped: str | None, pipeline: str | None, tmp_path: Path
) -> None:
    mapping = {"base_model_class": mapped, "parent_library": "transformers"} if mapped else None
    config = CAUSAL | {"task_type": task, "base_model_name_or_path": base, "auto_mapping": mapping}
    head = read_model(save_shapes(tmp_path / "adapter", config, {"x.lora_A.weight": (8, 4)})).head
    assert (head.pipeline if head else None) == pipeline


@pytest.mark.parametrize(
    ("base", "needs"),
    [
        ("unsloth/llama-3-8b-bnb-4bit", "torch transformers peft bitsandbytes accelerate`."),
        ("org/llama-GPTQ", "peft`, and what transformers needs for weights quantized by gptq."),
        ("org/llama", "torch transformers peft`."),
    ],
)
def test_the_snippet_names_what_a_quantized_base_needs(base: str, needs: str, bare: Path) -> None:
    path = bare / "configs/experiments/tiny.yaml"
    path.write_text(path.read_text().replace("base_model: models/tiny", f"base_model: {base}"))
    adapter(bare, CAUSAL)
    assert f"{needs}\n" in part(bare, "snippet") + "\n"


def test_a_full_model_without_a_tokenizer_has_no_snippet(bare: Path) -> None:
    folder = bare / CHECKPOINT
    shutil.rmtree(folder)
    folder.mkdir()
    for name in ("config.json", "model.safetensors"):
        shutil.copy(bare / "models/tiny" / name, folder)
    assert part(bare, "snippet") == "The model has no tokenizer, so a snippet could not run."
    (folder / "vocab.txt").write_text("a")
    assert "AutoTokenizer.from_pretrained(" in part(bare, "snippet")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda folder: (folder / "adapter_model.safetensors").rename(folder / "model.gguf"), "found only model.gguf, expected weights as safetensors"),
        (lambda folder: (folder / "adapter_model.safetensors").rename(folder / "adapter_model-00001-of-00002.bin"), "a pickle can run code"),
        (lambda folder: shutil.copytree(folder, folder / "checkpoint-500") and (folder / "adapter_config.json").unlink(), "Give one of the folders in it: checkpoint-500."),
    ],
)  # fmt: skip
def test_a_folder_without_weights_says_what_is_there(make: Callable[[Path], Any], said: str, tmp_path: Path) -> None:
    from tests.conftest import REPO, invoke

    folder = save_shapes(tmp_path / "adapter", CAUSAL, {"x.lora_A.weight": (8, 4)})
    make(folder)
    done = invoke(REPO, "new", str(tmp_path / "mine"), "--name", "mine", "--adapter", str(folder))
    assert done.returncode == 2 and said in done.stderr, done.stderr


def test_a_snapshot_in_the_hubs_cache_is_read_and_other_links_are_not(tmp_path: Path) -> None:
    cache = tmp_path / "models--me--ad"
    (cache / "snapshots").mkdir(parents=True)
    (cache / "blobs").mkdir()
    folder = save_shapes(cache / "snapshots/0123abc", CAUSAL, {"x.lora_A.weight": (8, 4)})
    for path in list(folder.iterdir()):
        path.rename(cache / "blobs" / path.name)
        path.symlink_to(Path("../../blobs") / path.name)
    assert list(checkpoint_files(folder)) == ["adapter_config.json", "adapter_model.safetensors"]
    (tmp_path / "secret.json").write_text("{}")
    (folder / "tokenizer.json").symlink_to(tmp_path / "secret.json")
    with pytest.raises(InputError, match="found a symbolic link"):
        checkpoint_files(folder)


def test_a_model_that_reads_sound_has_a_tag_and_no_snippet_for_text(bare: Path) -> None:
    mapping = {"base_model_class": "WhisperForConditionalGeneration", "parent_library": "transformers"}
    adapter(bare, CAUSAL | {"task_type": None, "auto_mapping": mapping})
    assert part(bare, "snippet") == "The model reads sound; snippets are generated for text models only."
    card = build(bare, None).model_card.text
    assert f"pipeline_tag: {SPEECH}\n" in card and "LoRA adapter for a speech recognizer" in card


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("code", "outcome"), [("org/code--modeling_x.XForCausalLM", 0), ("modeling_x.XForCausalLM", 3)]
)
def test_a_model_with_code_of_its_own_is_never_run(code: str, outcome: int, bare: Path) -> None:
    """Code on the Hub is named to readers; code in the folder, which is not published, would leave a model nobody can load."""
    folder = bare / CHECKPOINT
    shutil.rmtree(folder)
    shutil.copytree(bare / "models/tiny", folder)
    settings = json.loads((folder / "config.json").read_text())
    mapped = {
        "AutoConfig": code.replace("modeling_x.XForCausalLM", "configuration_x.XConfig"),
        "AutoModelForCausalLM": code,
    }
    (folder / "config.json").write_text(json.dumps(settings | {"model_type": "newkind", "auto_map": mapped}))
    for name in ("modeling_x", "configuration_x"):
        (folder / f"{name}.py").write_text("raise SystemExit('this code was run')")
    named = "org/code" if outcome == 0 else "configuration_x.py`, `modeling_x.py"
    assert f"needs the code of `{named}`, which is not part of this repository and was not run here" in part(
        bare, "snippet"
    )
    said = verified(bare)
    assert said.startswith(f"{outcome}\n") and "this code was run" not in said, said
    assert (
        "which is never run here" if outcome == 0 else "needs configuration_x.py, modeling_x.py, which is not published"
    ) in said


def test_a_quantized_model_has_no_parameter_count(bare: Path) -> None:
    shutil.rmtree(bare / CHECKPOINT)
    config = {"architectures": ["LlamaForCausalLM"], "quantization_config": {"quant_method": "gptq"}}
    save_shapes(bare / CHECKPOINT, config, {"model.layers.0.qweight": (4, 4)}, "model")
    text = part(bare, "adapter")
    assert "(LlamaForCausalLM) with quantized weights" in text and "parameters" not in text


def test_no_path_of_the_authors_machine_is_published(bare: Path) -> None:
    from tests.conftest import invoke

    adapter(bare, CAUSAL | {"tokenizer_name_or_path": "/home/me/hidden/tokenizer", "peft_version": "0.18.0"})
    path = bare / CHECKPOINT / "tokenizer_config.json"
    more = {"special_tokens_map_file": "C:\\hidden\\map.json", "name_or_path": "~/hidden/small", "sep_token": "/"}
    path.write_text(json.dumps(json.loads(path.read_text()) | more))
    done = invoke(bare, "publish", "--dry-run")
    assert done.returncode == 0, done.stderr
    for file in (bare / "dist/hub/model").iterdir():
        assert file.is_dir() or b"hidden" not in file.read_bytes(), file
    published = json.loads((bare / "dist/hub/model/tokenizer_config.json").read_text())
    assert published["name_or_path"] == "small" and published["sep_token"] == "/"
    assert "special_tokens_map_file" not in published


def test_results_that_name_a_path_are_not_published(bare: Path) -> None:
    from tests.conftest import invoke

    path = bare / "results/tiny/evaluation_results.json"
    data = json.loads(path.read_text())
    data["base_model"]["name"] = "/home/me/hidden"
    path.write_text(json.dumps(data))
    done = invoke(bare, "publish", "--dry-run")
    assert done.returncode == 2 and "base_model.name: found a path of your machine" in done.stderr, done.stderr
    assert "hidden" not in done.stderr


@pytest.mark.parametrize("index", ['{"weight_map": {"a": "model-00001-of-00002.safetensors"}}', "{}"])
def test_an_index_of_other_shards_is_refused(index: str, tmp_path: Path) -> None:
    folder = save_shapes(tmp_path / "full", {}, {"a": (2,)}, "model")
    shutil.copy(folder / "model.safetensors", folder / "model-00002-of-00002.safetensors")
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
    (folder / "model.safetensors.index.json").write_text(index)
    with pytest.raises(InputError, match="does not fit the shards"):
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
    adapter(bare, CAUSAL)
    assert "hu2022" in cited_anywhere(build(bare, None).context)


def test_a_missing_shard_is_refused(tmp_path: Path, bare: Path) -> None:
    folder = bare / CHECKPOINT
    shutil.copytree(bare / "models/tiny", folder, dirs_exist_ok=True)
    (folder / "adapter_config.json").unlink()
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
    with pytest.raises(InputError, match="1 of 2 shards"):
        checkpoint_files(folder)


def test_the_card_says_what_keeps_visitors_from_the_base(bare: Path) -> None:
    adapter(bare, CAUSAL)
    context = build(bare, None).context
    told = replace(context, base_obstacle="the base model org/base is gated: visitors need access to it")
    assert "**To load it:** the base model org/base is gated" in Renderer(told, "hub").render("parts/snippet.md")
    assert "To load it" not in Renderer(context, "hub").render("parts/snippet.md")
