"""Train a LoRA adapter on spellings, on questions, or on both, from scratch or from another adapter."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import torch

from src.record.binding import check_settings
from src.record.checkpoint import adapter_config, checkpoint_files, hash_files
from src.record.config import ExperimentConfig
from src.record.errors import InputError, show
from src.record.files import write_json
from src.record.study import PlannedRun

from .environment import describe_environment, git_state
from .models import base_hashes, check_finite, load_base, load_tokenizer
from .runs import replacing_files, resumed, same_run, training_log
from .training_data import IGNORED, held_out_sequences, material_files, training_sequences

DIVERGED = (
    "The training diverged: lower learning_rate, or raise warmup_steps. The adapter that lay there before is kept."
)
"""What can be done about a loss or weights that are not finite."""


def train(run: PlannedRun, log: Path, work: Path) -> dict[str, Any]:
    """Train the adapter, or resume a run that was interrupted."""
    from peft import LoraConfig, PeftModel, get_peft_model
    from peft.optimizers import create_loraplus_optimizer
    from transformers import Trainer, TrainingArguments, set_seed

    config = run.experiment
    settings = config.required_training
    if "wandb" in settings.report_to:
        os.environ.setdefault("WANDB_MODE", "offline")
        os.environ.setdefault("WANDB_DIR", str(work))
        os.environ.setdefault("WANDB_PROJECT", config.experiment_name)
        os.environ.setdefault("WANDB_SILENT", "true")
    data = hash_files(material_files(config.dataset_config))  # before the models are loaded, which takes longer
    tokenizer = load_tokenizer(config.required_base_model)
    on_cpu = not torch.cuda.is_available()
    # PyTorch's fused attention is slower than plain matrix products on a CPU, for heads as narrow as these.
    base = load_base(config.required_base_model, attention="eager" if on_cpu else None)
    lora = config.required_lora
    _check_known(config)
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
        eval_strategy="steps",
        save_strategy="steps",
        eval_steps=settings.eval_steps,
        save_steps=settings.eval_steps,
        logging_steps=settings.logging_steps,
        save_total_limit=2,
        load_best_model_at_end=True,
        metric_for_best_model="eval_loss",
        greater_is_better=False,
        prediction_loss_only=True,
        report_to=settings.report_to or "none",
        use_cpu=on_cpu,
    )
    hashes = {"base": base_hashes(config.required_base_model), "data": data}
    if config.start_from:
        hashes["start"] = hash_files(checkpoint_files(Path(config.start_from)))
    same_run(work, {"config": config.as_trained(), **hashes})
    set_seed(config.seed)
    if base.config.model_type == "gpt2":
        project_only_labeled_positions(base)
    if config.start_from:
        start = Path(config.start_from)
        check_settings(start, config, start, {}, adapter_config(start))
        model = PeftModel.from_pretrained(base, config.start_from, is_trainable=True, use_safetensors=True)
    else:
        adapter = LoraConfig(
            task_type="CAUSAL_LM",
            r=lora.r,
            lora_alpha=lora.alpha,
            lora_dropout=lora.dropout,
            target_modules=lora.target_modules,
            use_rslora=lora.use_rslora,
            bias=lora.bias,
            modules_to_save=lora.modules_to_save,
            fan_in_fan_out=base.config.model_type == "gpt2",
        )
        model = get_peft_model(base, adapter)
    if settings.torch_compile:
        base.base_model.compile(dynamic=False)

    length = min(settings.sequence_length, getattr(base.config, "max_position_embeddings", settings.sequence_length))
    training, materials, used_up = training_sequences(config, tokenizer, length)
    held_out = held_out_sequences(config, tokenizer, length)
    optimizer = create_loraplus_optimizer(
        model,
        torch.optim.AdamW,
        lr=settings.learning_rate,
        loraplus_lr_ratio=settings.loraplus_lr_ratio,
        loraplus_weight_decay=settings.weight_decay,
        fused=True,
    )
    trainer = Trainer(
        model=model, args=arguments, train_dataset=training, eval_dataset=held_out, optimizers=(optimizer, None)
    )
    with resumed(trainer, config.country_iso_code) as (last, resources):
        before = trainer.evaluate()["eval_loss"]  # a new adapter starts at zero, so this is the base model
        trainer.train(resume_from_checkpoint=last)

    checkpoint = Path(config.checkpoint)
    per_step = arguments.train_batch_size * arguments.gradient_accumulation_steps
    result = {
        "experiment_name": config.experiment_name,
        "config": config.as_recorded(),
        "best_step": trainer.state.best_global_step,
        "best_validation_loss": trainer.state.best_metric,
        "steps": trainer.state.global_step,
        "examples": sum(materials.values()),
        "materials": materials,
        "used_up": used_up,
        "sequences": len(training),
        "passes": trainer.state.global_step * per_step / len(training),
        "parameters": {
            "trainable": sum(p.numel() for p in model.parameters() if p.requires_grad),
            "total": sum(p.numel() for p in model.parameters()),
        },
        "log": [{"step": 0, "validation_loss": before}, *training_log(trainer.state.log_history)],
        "resources": resources,
        "tracking": _tracking(settings.report_to),
        "environment": describe_environment(),
        "git": git_state(),
    }
    _check_converged(result["log"])
    check_finite(model.half(), "training_config", DIVERGED)
    _export(model, tokenizer, checkpoint)
    result["hashes"] = {**hashes, "adapter": hash_files(checkpoint_files(checkpoint))}
    write_json(log, {"run": run.name, "training_log": result} if run.further else result)
    return result


def _check_known(config: ExperimentConfig) -> None:
    """Refuse settings that belong to another trainer, instead of training without them."""
    training, lora = config.required_training, config.required_lora
    foreign = {key: getattr(training, key) for key in ("num_train_epochs", "optim", "warmup_ratio")}
    for key, value in (foreign | training.others | lora.others).items():
        if value is not None:
            raise InputError("the experiment", f"{key}: {show(value)}, which `src.train` does not know. Take it out.")


def _check_converged(log: list[dict[str, Any]]) -> None:
    """Refuse a training whose losses are no numbers, before anything is written over."""
    for entry in log:
        for name, value in entry.items():
            if not math.isfinite(value):
                raise InputError("training_config", f"{name} {value} at step {entry['step']}. {DIVERGED}")


def project_only_labeled_positions(model: Any) -> None:
    """Make a causal language model compute its loss from the positions that have a label, and no logits for any other.

    The projection to the vocabulary is a third of a small model's work, and prompts carry no label. Loss and gradients stay what they
    were. The model's logits must be its output embedding applied to the last hidden state, as GPT-2's are.
    """
    from transformers.modeling_outputs import CausalLMOutput

    def forward(
        input_ids: torch.Tensor, labels: torch.Tensor, num_items_in_batch: Any = None, **options: Any
    ) -> CausalLMOutput:
        options.pop("return_dict", None)
        hidden = model.base_model(input_ids=input_ids, use_cache=False, **options).last_hidden_state[:, :-1]
        targets = labels[:, 1:]
        labeled = targets != IGNORED
        logits = model.get_output_embeddings()(hidden[labeled]).float()
        loss = torch.nn.functional.cross_entropy(
            logits, targets[labeled], reduction="mean" if num_items_in_batch is None else "sum"
        )
        return CausalLMOutput(loss=loss if num_items_in_batch is None else loss / num_items_in_batch)

    model.forward = forward


def _tracking(report_to: list[str]) -> dict[str, Any] | None:
    """Say where the run was tracked: the W&B run's id and folder, or the names of other integrations."""
    if "wandb" not in report_to:
        return {"integrations": report_to} if report_to else None
    import wandb

    if (run := wandb.run) is None:
        return None
    mode, folder = "offline" if run.offline else "online", Path(run.dir).parent.name
    run.finish()
    found = {"run_id": run.id, "project": run.project, "mode": mode, "url": run.url, "folder": folder}
    return {"integrations": report_to, **found}


def _export(model: Any, tokenizer: Any, checkpoint: Path) -> None:
    with replacing_files(checkpoint) as staging:
        model.save_pretrained(staging, safe_serialization=True)
        (staging / "README.md").unlink(missing_ok=True)  # peft's own card; ours is made from the record
        tokenizer.save_pretrained(staging)
