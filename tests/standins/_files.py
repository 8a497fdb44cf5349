"""Files of a repository on the Hub, or of a local folder."""

from pathlib import Path

from huggingface_hub import hf_hub_download


def fetch(name: str, file: str, revision: str | None = None, kind: str | None = None) -> Path:
    """Return a file, downloaded if `name` is no folder."""
    if Path(name).is_dir():
        return Path(name) / file
    return Path(hf_hub_download(name, file, revision=revision, repo_type=kind))
