"""Fine-tune a LoRA adapter on spelling alone."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from src.record.config import DatasetConfig, ExperimentConfig
from src.record.files import sha256_file, write_json

from .dataset import read_rows
from .energy import measure, total
from .environment import describe_environment, git_state
from .models import load_base, load_tokenizer

IGNORED = -100
"""Label of a token that does not count in the loss (PyTorch's cross-entropy convention)."""


def read_training_rows(config: DatasetConfig) -> list[dict[str, Any]]:
    """Read the spelling examples that the config trains on.

    Raises:
        InputError: The dataset has not been built, or nothing is left of it.
    """
    path = Path(config.path) / "training" / "train.parquet"
    rows = read_rows(path)
    if config.leave_out_position_templates:
        rows = [row for row in rows if not row["states_position"]]
    if config.leave_out_count_templates:
        rows = [row for row in rows if not row["states_count"]]
    return rows


def encode_example(tokenizer: Any, row: dict[str, Any], completion_only: bool) -> tuple[list[int], list[int]]:
    """Encode an example and the line break after it.

    Letters written without a separator are encoded one by one: the tokenizer would join them to the word again.

    Returns:
        Token ids, and labels of the same length with the prompt ignored if `completion_only`.
    """
    prompt, completion = row["prompt"], row["completion"] + "\n"
    if row["separator"] == "none":
        start, end = row["letters_start"], row["letters_end"]
        ids_prompt = _encode_apart(tokenizer, prompt, start, end)
        ids_completion = _encode_apart(tokenizer, completion, start - len(prompt), end - len(prompt))
    else:
        ids_prompt = tokenizer.encode(prompt, add_special_tokens=False)
        ids_completion = tokenizer.encode(completion, add_special_tokens=False)
    labels = ([IGNORED] * len(ids_prompt) if completion_only else ids_prompt) + ids_completion
    return ids_prompt + ids_completion, labels


def _encode_apart(tokenizer: Any, text: str, start: int, end: int) -> list[int]:
    if start < 0 or end > len(text):
        return list(tokenizer.encode(text, add_special_tokens=False))
    pieces = [text[:start], *text[start:end], text[end:]]
    if pieces[0].endswith(" "):
        pieces[0], pieces[1] = pieces[0][:-1], " " + pieces[1]
    return [i for piece in pieces if piece for i in tokenizer.encode(piece, add_special_tokens=False)]


def pack(examples: Sequence[tuple[list[int], list[int]]], length: int, padding: int) -> list[dict[str, list[int]]]:
    """Pack examples, one after another, into sequences of a fixed length; none is cut, the rest is padded.

    Returns:
        Dictionaries of `input_ids` and `labels`, each `length` long. Padding is ignored by the loss and stands at the
        end, where a causal model's earlier positions cannot see it.
    """
    packed = []
    ids: list[int] = []
    labels: list[int] = []
    for example_ids, example_labels in examples:
        if len(example_ids) > length:
            continue
        if len(ids) + len(example_ids) > length:
            packed.append((ids, labels))
            ids, labels = [], []
        ids, labels = ids + example_ids, labels + example_labels
    if ids:
        packed.append((ids, labels))
    return [
        {"input_ids": i + [padding] * (length - len(i)), "labels": t + [IGNORED] * (length - len(t))} for i, t in packed
    ]


class _Packed(torch.utils.data.Dataset[dict[str, list[int]]]):
    def __init__(self, rows: list[dict[str, list[int]]]) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, list[int]]:
        return self.rows[index]


def validation_examples(config: DatasetConfig) -> list[dict[str, Any]]:
    """Write the validation words out like training examples: plainly, with a space between the letters."""
    rows = read_rows(Path(config.path) / "spelling" / "validation.parquet")
    return [
        {"prompt": f"The word {row['word']} is spelled", "completion": f" {row['answer']}.", "separator": "space"}
        for row in rows
    ]


def train(config: ExperimentConfig, results: Path, work: Path) -> dict[str, Any]:
    """Train the adapter, or go on with a run that was interrupted.

    Args:
        config: The experiment.
        results: Folder that receives `training_log.json`.
        work: Folder of the Trainer's own checkpoints, which a resumed run starts from.

    Returns:
        What `training_log.json` holds.

    Raises:
        InputError: The base model or the dataset is missing.
    """
    from peft import LoraConfig, get_peft_model
    from transformers import Trainer, TrainingArguments, set_seed
    from transformers.trainer_utils import get_last_checkpoint

    settings = config.training_config
    if "wandb" in settings.report_to:
        os.environ.setdefault("WANDB_MODE", "offline")
        os.environ.setdefault("WANDB_DIR", str(work))
        os.environ.setdefault("WANDB_PROJECT", config.experiment_name)
        os.environ.setdefault("WANDB_SILENT", "true")
    work.mkdir(parents=True, exist_ok=True)
    tokenizer = load_tokenizer(config.required_base_model)
    base = load_base(config.required_base_model)
    set_seed(config.seed)
    adapter = LoraConfig(
        task_type="CAUSAL_LM",
        r=config.lora_config.r,
        lora_alpha=config.lora_config.alpha,  # type: ignore[arg-type]
        lora_dropout=config.lora_config.dropout,
        target_modules=config.lora_config.target_modules,
        fan_in_fan_out=base.config.model_type == "gpt2",
    )
    model = get_peft_model(base, adapter)

    rows = read_training_rows(config.dataset_config)
    random.Random(config.seed).shuffle(rows)
    padding = tokenizer.eos_token_id
    length = min(settings.sequence_length, getattr(base.config, "max_position_embeddings", settings.sequence_length))
    training = pack([encode_example(tokenizer, r, settings.completion_only_loss) for r in rows], length, padding)
    held_out = pack(
        [encode_example(tokenizer, r, True) for r in validation_examples(config.dataset_config)], length, padding
    )

    arguments = TrainingArguments(
        output_dir=str(work),
        run_name=config.experiment_name,
        seed=config.seed,
        learning_rate=settings.learning_rate,
        per_device_train_batch_size=settings.per_device_train_batch_size,
        per_device_eval_batch_size=settings.per_device_train_batch_size,
        gradient_accumulation_steps=settings.gradient_accumulation_steps,
        max_steps=settings.max_steps,
        warmup_steps=settings.warmup_steps,
        lr_scheduler_type=settings.lr_scheduler_type,
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.max_grad_norm,
        bf16=settings.bf16,
        torch_compile=settings.torch_compile,
        eval_strategy="steps",
        save_strategy="steps",
        eval_steps=settings.eval_steps,
        save_steps=settings.eval_steps,
        logging_steps=settings.logging_steps,
        save_total_limit=2,
        load_best_model_at_end=True,
        metric_for_best_model="eval_loss",
        greater_is_better=False,
        report_to=settings.report_to or "none",
        ddp_find_unused_parameters=False,
        use_cpu=not torch.cuda.is_available(),
    )
    trainer = Trainer(model=model, args=arguments, train_dataset=_Packed(training), eval_dataset=_Packed(held_out))
    last = get_last_checkpoint(str(work))  # type: ignore[no-untyped-call]
    start = int(last.rsplit("-", 1)[1]) if last else 0
    rank = os.environ.get("RANK", "0")
    ledger = work / f"resources-{rank}.json"
    with measure(ledger, start, config.country_iso_code) as span:
        before = trainer.evaluate()["eval_loss"]  # the adapter starts at zero, so this is the base model
        trainer.train(resume_from_checkpoint=last)
        span.end = trainer.state.global_step

    checkpoint = Path(config.checkpoint)
    result = {
        "experiment_name": config.experiment_name,
        "best_step": trainer.state.best_global_step,
        "best_validation_loss": trainer.state.best_metric,
        "steps": trainer.state.global_step,
        "examples": len(rows),
        "sequences": len(training),
        "parameters": {
            "trainable": sum(p.numel() for p in model.parameters() if p.requires_grad),
            "total": sum(p.numel() for p in model.parameters()),
        },
        "log": [{"step": 0, "validation_loss": before}, *_log(trainer.state.log_history)],
        "resources": total(ledger, settings.max_steps),
        "tracking": _tracking(settings.report_to),
        "environment": describe_environment(),
        "git": git_state(),
    }
    if trainer.is_world_process_zero():
        _export(model, tokenizer, checkpoint)
        result["adapter_sha256"] = sha256_file(checkpoint / "adapter_model.safetensors")
        write_json(results / "training_log.json", result)
    return result


def _log(history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Keep the log's losses and learning rates, one entry a step."""
    names = {"loss": "loss", "eval_loss": "validation_loss", "learning_rate": "learning_rate", "grad_norm": "grad_norm"}
    merged: dict[int, dict[str, Any]] = {}
    for entry in history:
        kept = {name: float(entry[key]) for key, name in names.items() if key in entry}
        if kept:
            merged.setdefault(int(entry["step"]), {}).update(kept)
    return [{"step": step, **values} for step, values in sorted(merged.items())]


def _tracking(report_to: list[str]) -> dict[str, Any] | None:
    """Say where the run was tracked: the W&B run's id and folder, or the names of other integrations."""
    if "wandb" not in report_to:
        return {"integrations": report_to} if report_to else None
    import wandb

    run = wandb.run
    if run is None:
        return None
    tracked = {
        "integrations": report_to,
        "run_id": run.id,
        "project": run.project,
        "mode": "offline" if run.offline else "online",
        "url": run.url,
        "folder": Path(run.dir).parent.name,
    }
    run.finish()
    return tracked


def _export(model: Any, tokenizer: Any, checkpoint: Path) -> None:
    staging = checkpoint.with_name(f".{checkpoint.name}.staging")
    shutil.rmtree(staging, ignore_errors=True)
    model.save_pretrained(staging, safe_serialization=True)
    (staging / "README.md").unlink(missing_ok=True)  # peft's own card; ours is made from the record
    tokenizer.save_pretrained(staging)
    checkpoint.mkdir(parents=True, exist_ok=True)
    for file in staging.iterdir():
        file.chmod(0o644)
        file.replace(checkpoint / file.name)
    staging.rmdir()
