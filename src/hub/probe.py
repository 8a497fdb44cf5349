"""Load what is published, in a process of its own: `python -m src.hub.probe REQUEST REPLY`, both JSON files.

It needs torch, transformers, peft and datasets, which the publisher itself does not import.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any


def dataset(name: str, configs: list[str]) -> Any:
    """Load every config of a dataset; return each split's columns and number of rows."""
    from datasets import load_dataset

    found = {}
    for config in configs:
        splits = load_dataset(name, config).items()
        found[config] = {key: {"rows": split.num_rows, "columns": sorted(split.column_names)} for key, split in splits}
    return found


def logits(
    prompts: list[str], auto: str, options: dict[str, Any], resized: int | None, published: Any, local: Any
) -> Any:
    """Compare models by their names on the Hub with the local ones; return the largest difference and the number of logits.

    `published` and `local` have `base`, `tokenizer`, and `adapters`: pairs of name and subfolder, none for a full model, whose name
    is then `base`. `auto` is the class that loads a model, with `options`; `resized` is its number of token embeddings, if changed.
    """
    import torch
    import transformers
    from peft import PeftModel

    _refuse_code()
    found: list[list[Any]] = []
    for where in (published, local):
        tokenizer = transformers.AutoTokenizer.from_pretrained(where["tokenizer"])
        values = []
        for name, subfolder in where["adapters"] or [(None, None)]:
            model = getattr(transformers, auto).from_pretrained(where["base"], **options)
            if resized:
                model.resize_token_embeddings(resized)
            if name is not None:
                model = PeftModel.from_pretrained(model, name, **({"subfolder": subfolder} if subfolder else {}))
            values += [_output(model.eval(), tokenizer(p, return_tensors="pt"), torch) for p in prompts]
        found.append(values)
    if [a.shape for a in found[0]] != [b.shape for b in found[1]]:
        return {"difference": None, "count": 0}
    pairs = list(zip(*found, strict=True))
    return {"difference": max(float((a - b).abs().max()) for a, b in pairs), "count": sum(a.numel() for a, _ in pairs)}


def _refuse_code() -> None:
    """Make transformers refuse, without waiting for a yes, to run code that comes with a model."""
    from transformers import dynamic_module_utils

    dynamic_module_utils.TIME_OUT_REMOTE_CODE = 0


def _output(model: Any, inputs: Any, torch: Any) -> Any:
    """Return a model's first output: logits, or an encoder's hidden states."""
    given = dict(inputs)
    if model.config.is_encoder_decoder:
        given["decoder_input_ids"] = inputs["input_ids"][:, :1]
    with torch.inference_mode():
        return model(**given)[0].float()


def snippet(code: str) -> Any:
    """Run a snippet as it is; return the last line that it printed."""
    _refuse_code()
    printed = StringIO()
    with redirect_stdout(printed):
        exec(compile(code, "snippet.py", "exec"), {"__name__": "__main__"})  # noqa: S102 - our template's own
    lines = printed.getvalue().strip().splitlines()
    return lines[-1] if lines else ""


JOBS: dict[str, Callable[..., Any]] = {job.__name__: job for job in (dataset, logits, snippet)}


def main() -> None:
    """Do every job of the request, each in its folder; one that fails does not keep the others from being done."""
    request = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    if request["offline"]:
        setattr(socket.socket, "connect", _refuse)  # noqa: B010 - a type checker does not allow the plain form
    replies = []
    for job in request["jobs"]:
        os.chdir(job.pop("place"))
        try:
            replies.append({"result": JOBS[job.pop("job")](**job)})
        except (Exception, SystemExit) as error:  # noqa: BLE001 - reported as the failure of this job
            lines = str(error).strip().splitlines()
            replies.append({"error": f"{type(error).__name__}: {lines[0] if lines else ''}"})
    Path(sys.argv[2]).write_text(json.dumps(replies), encoding="utf-8")


def _refuse(self: socket.socket, address: Any) -> None:
    raise OSError("the network is off during the verification")


if __name__ == "__main__":
    main()
