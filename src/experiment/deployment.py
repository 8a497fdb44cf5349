"""What running the model costs on this machine: time and memory of base, adapter and merged model, each in processes of its own."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from statistics import median, quantiles
from typing import Any, NamedTuple

from src.record.checkpoint import checkpoint_files
from src.record.config import ExperimentConfig
from src.record.deployment import Deployment, Variant, VariantName
from src.record.deployment import Sample as Line
from src.record.files import sha256_file, write_json

from .progress import progress_bar

VARIANTS: tuple[VariantName, ...] = ("base", "adapter", "merged")


class Sample(NamedTuple):
    """What one process measured, and the tokens that it wrote."""

    parameters: int
    load_seconds: float
    answer_seconds: tuple[float, ...]
    import_memory_bytes: int
    peak_memory_bytes: int
    tokens: tuple[int, ...]


def benchmark(
    config: ExperimentConfig,
    checkpoint: Path,
    prompt: str,
    output: Path,
    *,
    adapters: dict[str, Path],
    samples_of: Sequence[str],
    processes: int,
    answers: int,
    new_tokens: int,
) -> Deployment:
    """Measure load time, latency and memory on the CPU, and write them.

    Every process loads one variant, writes one answer that is not timed, and then the timed ones, one prompt at a time with greedy
    decoding and a fixed number of tokens. The variants take turns, so that a change of the machine's speed meets all of them.
    """
    from .environment import describe_environment

    checkpoint_files(checkpoint)
    base = config.required_base_model
    samples: dict[VariantName, list[Sample]] = {variant: [] for variant in VARIANTS}
    with tempfile.TemporaryDirectory() as scratch, progress_bar() as bar:
        task = bar.add_task("Measuring", total=processes * len(VARIANTS))
        merged = Path(scratch) / "merged"
        _apart(_merge, base, checkpoint, merged)
        for _ in range(processes):
            for variant in VARIANTS:
                name = str(merged) if variant == "merged" else base
                adapter = checkpoint if variant == "adapter" else None
                samples[variant].append(_apart(_measure, name, adapter, prompt, answers, new_tokens))
                bar.update(task, advance=1, description=f"Measured {variant}")
        weights = {"base": _weights(Path(base)), "merged": _weights(merged)}
        lines = _apart(_sample, base, adapters, [prompt, *samples_of], new_tokens)
    weights["adapter"] = weights["base"] + _weights(checkpoint)
    result = Deployment(
        prompt=prompt,
        new_tokens=new_tokens,
        processes=processes,
        answers=answers,
        dtype="float32",
        import_memory_bytes=int(median(s.import_memory_bytes for found in samples.values() for s in found)),
        same_answers=samples["adapter"][0].tokens == samples["merged"][0].tokens,
        environment=describe_environment(),
        adapter_sha256=sha256_file(checkpoint / "adapter_model.safetensors"),
        variants=[_variant(variant, samples[variant], weights[variant], new_tokens) for variant in VARIANTS],
        samples=lines,
    )
    write_json(output, result.model_dump(mode="json"))
    return result


def _variant(variant: VariantName, samples: list[Sample], disk_bytes: int, new_tokens: int) -> Variant:
    times = [seconds for sample in samples for seconds in sample.answer_seconds]
    middle = median(times)
    return Variant(
        variant=variant,
        parameters=samples[0].parameters,
        disk_bytes=disk_bytes,
        load_seconds=round(median(s.load_seconds for s in samples), 4),
        latency_seconds=round(middle, 5),
        latency_p95_seconds=round(quantiles(times, n=20)[-1], 5),
        tokens_per_second=round(new_tokens / middle, 1),
        peak_memory_bytes=int(median(s.peak_memory_bytes for s in samples)),
    )


def _apart(work: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function in a fresh process, whose memory is its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(work, *arguments).result()


def _weights(folder: Path) -> int:
    """Add up a local folder's weights; of a model on the Hub, those in the cache."""
    if not folder.is_dir():
        from huggingface_hub import try_to_load_from_cache

        cached = try_to_load_from_cache(str(folder), "model.safetensors")
        return Path(cached).stat().st_size if isinstance(cached, str) else 0
    return sum(path.stat().st_size for path in folder.glob("*.safetensors"))


def _peak_memory() -> int:
    """Return this process's peak resident memory in bytes."""
    status = Path("/proc/self/status")
    if status.is_file():  # unlike getrusage, not inherited from the parent
        line = next(line for line in status.read_text(encoding="ascii").splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    import resource
    import sys

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _quiet() -> None:
    import warnings

    from transformers.utils import logging

    logging.disable_progress_bar()
    warnings.simplefilter("ignore", FutureWarning)


def _merge(base: str, checkpoint: Path, merged: Path) -> None:
    """Add the adapter into the weights and save them, in the number format that the base is saved in."""
    import torch
    from transformers import AutoConfig

    from .models import load_tokenizer

    _quiet()
    saved = AutoConfig.from_pretrained(base).dtype or torch.float32
    _loaded(base, checkpoint).merge_and_unload().to(saved).save_pretrained(merged)
    load_tokenizer(base).save_pretrained(merged)


def _loaded(base: str, adapter: Path | None) -> Any:
    from .models import load_adapter, load_base

    model = load_base(base).eval()
    return model if adapter is None else load_adapter(model, adapter)


def _continued(model: Any, inputs: Any, end: int, new_tokens: int, **options: Any) -> list[int]:
    """Return the tokens that a model writes greedily after a prompt."""
    import torch

    with torch.inference_mode():
        output = model.generate(**inputs, max_new_tokens=new_tokens, do_sample=False, pad_token_id=end, **options)
    return list(output[0, inputs["input_ids"].shape[1] :].tolist())


def _sample(base: str, adapters: dict[str, Path], prompts: list[str], new_tokens: int) -> list[Line]:
    """Write the first line of each model's greedy continuation of each prompt; runs in a process of its own."""
    from .models import load_tokenizer

    _quiet()
    tokenizer = load_tokenizer(base)
    end, found = tokenizer.eos_token_id, []
    for name, folder in [("base", None), *adapters.items()]:
        model = _loaded(base, folder)
        for prompt in prompts:
            tokens = _continued(model, tokenizer(prompt, return_tensors="pt"), end, new_tokens)
            text = tokenizer.decode(tokens, skip_special_tokens=True)
            found.append(Line(prompt=prompt, model=name, line=text.strip().split("\n")[0][:500]))
    return found


def _measure(name: str, adapter: Path | None, prompt: str, answers: int, new_tokens: int) -> Sample:
    """Load one variant and time its answers; runs in a process of its own."""
    import peft  # noqa: F401
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer  # noqa: F401

    from .models import load_tokenizer

    _quiet()
    imported = _peak_memory()
    tokenizer = load_tokenizer(name)
    AutoModelForCausalLM._model_mapping[type(AutoConfig.from_pretrained(name))]  # imports the architecture's code
    began = time.perf_counter()
    model = _loaded(name, adapter)
    loaded = time.perf_counter() - began
    inputs, end = tokenizer(prompt, return_tensors="pt"), tokenizer.eos_token_id
    times, tokens = [], []
    for _ in range(answers + 1):
        start = time.perf_counter()
        tokens = _continued(model, inputs, end, new_tokens, min_new_tokens=new_tokens)
        times.append(time.perf_counter() - start)
    return Sample(
        parameters=sum(p.numel() for p in model.parameters()),
        load_seconds=loaded,
        answer_seconds=tuple(times[1:]),
        import_memory_bytes=imported,
        peak_memory_bytes=_peak_memory(),
        tokens=tuple(tokens),
    )
