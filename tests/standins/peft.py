"""Stands in for peft: an adapter changes a model by the bytes of its own files."""

from _files import fetch
from transformers import Model


class PeftModel:
    """Reads an adapter's files."""

    @classmethod
    def from_pretrained(cls, base: Model, name: str, revision: str | None = None) -> Model:
        """Read the adapter's weights; its config differs between the Hub and the local folder in the base's name."""
        fetch(name, "adapter_config.json", revision).read_bytes()
        return Model(base.weights + fetch(name, "adapter_model.safetensors", revision).read_bytes())
