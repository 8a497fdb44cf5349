"""What a visitor would do with the repositories, run in a process of its own: `python -m src.hub.probe REQUEST REPLY`.

The request and the reply are JSON files. It needs torch, transformers, peft and datasets, which the publisher does not
import.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from .client import Hub, prepare
from .errors import Unreachable
from .waiting import Waiting


def load_splits(request: dict[str, Any]) -> dict[str, Any]:
    """Load every config of a dataset; return each split's columns and number of rows.

    Args:
        request: `repo_id`, `revision` and `configs`.
    """
    from datasets import load_dataset

    found = {}
    for config in request["configs"]:
        loaded = load_dataset(request["repo_id"], config, revision=request["revision"])
        found[config] = {
            name: {"rows": split.num_rows, "columns": sorted(split.column_names)} for name, split in loaded.items()
        }
    return found


def compare_logits(request: dict[str, Any]) -> dict[str, Any]:
    """Compare the adapter from the Hub with the local one.

    Args:
        request: `repo_id`, `revision`, `base`, `base_revision`, `checkpoint` and `local_base` (paths or names), `tokenizer` (whether the
            adapter has one of its own), `prompts`.

    Returns:
        By prompt, the largest absolute difference of the logits (natural logarithms of odds up to a constant), and the number
        of logits that were compared.
    """
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    def logits(base: str, adapter: str, base_revision: str | None, revision: str | None) -> list[Any]:
        own = (adapter, revision) if request["tokenizer"] else (base, base_revision)
        tokenizer = AutoTokenizer.from_pretrained(own[0], revision=own[1] or "main")
        loaded = AutoModelForCausalLM.from_pretrained(base, revision=base_revision or "main")
        model = PeftModel.from_pretrained(loaded, adapter, revision=revision or "main").eval()
        with torch.inference_mode():
            return [model(**tokenizer(p, return_tensors="pt")).logits.float() for p in request["prompts"]]

    remote = logits(request["base"], request["repo_id"], request["base_revision"], request["revision"])
    local = logits(request["local_base"], request["checkpoint"], None, None)
    return {
        prompt: {
            "same_shape": a.shape == b.shape,
            "difference": float((a - b).abs().max()) if a.shape == b.shape else None,
            "count": a.numel(),
        }
        for prompt, a, b in zip(request["prompts"], remote, local, strict=True)
    }


def main() -> None:
    """Answer one request."""
    request = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    jobs = {"dataset": load_splits, "model": compare_logits}
    waiting = Waiting(lambda line: None, request["patience"])  # the publisher says that it waits
    prepare(waiting, verbose=False)
    try:
        reply = Hub(True, waiting).call(jobs[request["job"]], request)
    except Unreachable as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_code)
    Path(sys.argv[2]).write_text(json.dumps(reply), encoding="utf-8")


if __name__ == "__main__":
    main()
