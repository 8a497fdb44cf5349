"""What the texts of well-known licenses contain."""

from __future__ import annotations

from pathlib import Path

from src.record.errors import InputError
from src.record.files import read_text

LICENSES = {
    "mit": ("permission is hereby granted, free of charge", 'the software is provided "as is"'),
    "apache-2.0": ("apache license", "version 2.0, january 2004"),
    "bsd-2-clause": ("redistribution and use in source and binary forms",),
    "bsd-3-clause": ("redistribution and use in source and binary forms", "endorse or promote products"),
    "isc": ("permission to use, copy, modify, and", "with or without fee"),
    "unlicense": ("this is free and unencumbered software",),
    "gpl-2.0": ("gnu general public license", "version 2, june 1991"),
    "gpl-3.0": ("gnu general public license", "version 3, 29 june 2007"),
    "lgpl-3.0": ("gnu lesser general public license", "version 3, 29 june 2007"),
    "agpl-3.0": ("gnu affero general public license", "version 3, 19 november 2007"),
    "mpl-2.0": ("mozilla public license", "version 2.0"),
    "cc0-1.0": ("cc0 1.0 universal",),
    "cc-by-4.0": ("attribution 4.0 international",),
    "cc-by-sa-4.0": ("attribution-sharealike 4.0 international",),
    "cc-by-nc-4.0": ("attribution-noncommercial 4.0 international",),
    "openrail": ("rail",),
}
"""What the text of a license contains, in lower case and with single spaces, by the Hub's identifier."""


def check_license(license: str, path: Path) -> None:
    """Check that the license's text is the one that the project config names, as far as it is known here.

    Raises:
        InputError: It is another.
    """
    phrases = LICENSES.get(license, ())
    text = " ".join(read_text(path, "Put the license's text there.").lower().split())
    if license != "mit" and text.startswith("mit license"):  # what a new project begins with
        raise InputError(
            path, found="the text of the MIT License", expected=f"the text of {license}, which the project config names",
            hint="Put the license's text there, or correct `license` in the project config.",
        )  # fmt: skip
    missing = [phrase for phrase in phrases if phrase not in text]
    if missing:
        raise InputError(
            path,
            found=f"a text without “{missing[0]}”",
            expected=f"the text of {license}, which the project config names",
            hint="Correct `license` in the project config, or the text.",
        )
