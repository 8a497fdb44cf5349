"""Keep access tokens out of everything that is printed."""

from __future__ import annotations

import os
import sys
from typing import Any
from urllib.parse import quote

VARIABLES = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_OIDC_ID_TOKEN")
"""Environment variables that hold a secret of the user's."""

_secrets: set[str] = set()


def add_secret(secret: str) -> None:
    """Keep a secret, and its form in a URL, out of every later output."""
    if len(secret) >= 8:
        _secrets.update({secret, quote(secret, safe="")})


def redact(text: str) -> str:
    """Replace every known secret in a text."""
    for secret in sorted(_secrets, key=len, reverse=True):
        text = text.replace(secret, "hf_…")
    return text


def redact_output() -> None:
    """Redact everything that this process writes to standard output and standard error from now on, tracebacks included."""
    for name in VARIABLES:
        add_secret(os.environ.get(name, ""))
    for name in ("stdout", "stderr"):
        if not isinstance(getattr(sys, name), _Redacted):
            setattr(sys, name, _Redacted(getattr(sys, name)))


class _Redacted:
    """A text stream that writes no secret."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write(redact(text))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
