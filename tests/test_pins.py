"""The versions that are installed: one list, for uv and for pip."""

from __future__ import annotations

import re
import tomllib

from .conftest import REPO


def test_pip_reads_the_pins_of_uv() -> None:
    project = tomllib.loads((REPO / "pyproject.toml").read_text())
    pins = project["tool"]["uv"]["constraint-dependencies"]
    assert (REPO / "constraints.txt").read_text().splitlines() == pins, "run `make pins`"
    pinned = {pin.split("==")[0].lower().replace("_", "-") for pin in pins}
    extras = project["project"]["optional-dependencies"].values()
    needed = [*project["project"]["dependencies"], *(name for extra in extras for name in extra)]
    names = {re.split(r"[\[<>=~ ;]", name)[0].lower().replace("_", "-") for name in needed}
    assert not names - pinned
