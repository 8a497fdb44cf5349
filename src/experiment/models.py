"""Loading base models, adapters and tokenizers, with a clear error when one is not available."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from src.record.checkpoint import base_files, checkpoint_files, hash_files
from src.record.errors import InputError, show


def _loaded(loader: Any, name: str, **options: Any) -> Any:
    """Call a `from_pretrained`, and turn what it raises for a missing model into one clear error.

    A path in a folder that exists here is never looked up on the Hub, which would try a mistyped one for half a minute.
    """
    if Path(Path(name).parts[0]).is_dir() and not Path(name).is_dir():
        raise InputError(name, "not found. Correct base_model, or run the step that makes it.")
    try:
        return loader.from_pretrained(name, **options)
    except (OSError, ValueError, SafetensorError) as error:
        raise InputError(name, show(str(error).partition("\n")[0])) from error


def check_finite(model: torch.nn.Module, where: str, hint: str) -> None:
    """Refuse weights that are not finite, such as a training that diverged leaves."""
    for name, weights in model.named_parameters():
        if not bool(torch.isfinite(weights).all()):
            raise InputError(where, f"{name}: weights that are not finite. {hint}")


def load_tokenizer(name: str) -> Any:
    """Load the tokenizer of a base model (a local folder or a Hub id)."""
    from transformers import AutoTokenizer

    return _loaded(AutoTokenizer, name)


def load_base(name: str, attention: str | None = None) -> Any:
    """Load a base model in float32 (a local folder or a Hub id), weights from safetensors only."""
    from transformers import AutoConfig, AutoModelForCausalLM

    config = _loaded(AutoConfig, name)
    if getattr(config, "activation_function", None) == "gelu_new":
        config.activation_function = "gelu_pytorch_tanh"  # the same function in one pass instead of eight
    options: dict[str, Any] = {"attn_implementation": attention} if attention else {}
    return _loaded(AutoModelForCausalLM, name, config=config, dtype=torch.float32, use_safetensors=True, **options)


def base_hashes(name: str) -> dict[str, str]:
    """Return the SHA-256 of every file of a base model that was loaded: of its folder, or of its cached download."""
    if Path(name).is_dir():
        return hash_files(base_files(Path(name)))
    from huggingface_hub import snapshot_download

    cached = Path(snapshot_download(name, local_files_only=True))
    return hash_files(
        {path.name: path.resolve() for path in cached.iterdir() if path.is_file() and path.name != "README.md"}
    )


def load_adapter(base: Any, checkpoint: Path) -> Any:
    """Put a LoRA adapter on a base model; pickles are refused."""
    from peft import PeftModel

    checkpoint_files(checkpoint)
    return PeftModel.from_pretrained(base, str(checkpoint), use_safetensors=True).eval()
