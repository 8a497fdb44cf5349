"""What running the model costs: `results/NAME/deployment.json`, written by `python -m src.benchmark`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from .config import Strict
from .schemas import Environment, Sha256

VariantName = Literal["base", "adapter", "merged"]


class Variant(Strict):
    """One way to run the model, measured in processes of its own."""

    variant: VariantName = Field(description="Base model, adapter next to it, or merged into it.")
    parameters: int = Field(ge=1, description="Parameters in memory.")
    disk_bytes: int = Field(ge=1, description="Bytes of the weights that are read, as they are published or merged.")
    load_seconds: float = Field(gt=0, description="Median time to load the weights, once the libraries are imported.")
    latency_seconds: float = Field(gt=0, description="Median time of one answer, over all processes.")
    latency_p95_seconds: float = Field(gt=0, description="95th percentile of the same times.")
    tokens_per_second: float = Field(gt=0, description="Generated tokens by the median time.")
    peak_memory_bytes: int = Field(ge=1, description="Median of the processes' peak resident memory.")


class Sample(Strict):
    """What a model wrote after a prompt."""

    prompt: str
    model: str = Field(description="`base`, or the name of a run.")
    line: str = Field(max_length=500, description="First line of the greedy continuation.")


class Deployment(Strict):
    """A benchmark of the model on one machine."""

    prompt: str = Field(description="Text that was continued.")
    new_tokens: int = Field(ge=1, description="Tokens that each answer is made of.")
    processes: int = Field(ge=1, description="Processes a variant; the variants took turns.")
    answers: int = Field(ge=1, description="Answers per process that were timed, after one that was not.")
    dtype: str = Field(description="Number format of the weights in memory.")
    import_memory_bytes: int = Field(ge=0, description="Peak memory before anything is loaded.")
    same_answers: bool = Field(description="Whether adapter and merged model wrote the same tokens.")
    environment: Environment
    adapter_sha256: Sha256 = Field(description="SHA-256 of the adapter that was measured.")
    variants: list[Variant] = Field(min_length=1)
    samples: list[Sample] = Field([], description="What the models write after the example prompts.")
