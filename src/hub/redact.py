"""Keep access tokens out of everything that is printed."""

from __future__ import annotations

import os
import sys
from typing import Any
from urllib.parse import quote

VARIABLES = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_OIDC_ID_TOKEN")
"""Environment variables that hold a secret of the user's."""


class Redactor:
    """Knows the secrets of this process and replaces them in texts."""

    def __init__(self) -> None:
        self._secrets: set[str] = set()
        for name in VARIABLES:
            self.add(os.environ.get(name, ""))

    def add(self, secret: str) -> None:
        """Keep a secret, and its form in a URL, out of every later output."""
        if len(secret) >= 8:
            self._secrets.update({secret, quote(secret, safe="")})

    def redact(self, text: str) -> str:
        """Replace every known secret in a text."""
        for secret in sorted(self._secrets, key=len, reverse=True):
            text = text.replace(secret, "hf_…")
        return text

    def install(self) -> None:
        """Redact everything written to standard output and standard error from now on, tracebacks included."""
        for name in ("stdout", "stderr"):
            setattr(sys, name, _RedactedStream(getattr(sys, name), self))


class _RedactedStream:
    """A text stream that writes no secret."""

    def __init__(self, stream: Any, redactor: Redactor) -> None:
        self._stream, self._redactor = stream, redactor

    def write(self, text: str) -> int:
        self._stream.write(self._redactor.redact(text))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
