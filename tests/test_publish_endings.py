"""However a publication ends, the last line is true."""

from __future__ import annotations

import json
from typing import Any

import pytest

from src.hub.receipt import Receipt

from .publishing import DATASET, Desk, Ending, answer, commits, raise_, when

pytestmark = pytest.mark.slow


def test_what_could_not_be_looked_up_is_unknown(desk: Desk) -> None:
    """A stranger's commit at the change of visibility, and from then on no answer: the last line does not say what nobody saw."""

    def act() -> None:
        desk.hub.edit("dataset", "alice/tiny-letters", "evil.py", b"import os")
        desk.transport.after = lambda request, response: answer(503)()

    when(desk, "PUT", "/settings", act)
    done = desk.ends(4, **DATASET)
    assert not desk.repo("dataset").private
    assert done.state[-1].startswith(
        "alice/tiny-letters: unknown, look at https://huggingface.co/datasets/alice/tiny-letters"
    )
    assert "unverified" not in done.out


def test_a_defect_ends_with_what_is_on_the_hub(desk: Desk) -> None:
    def ends_with(error: BaseException) -> Ending:
        desk.patch.setattr(Receipt, "entry", lambda *rest, **more: raise_(error))
        return desk.publish(**DATASET)

    with pytest.raises(KeyError) as error:
        ends_with(KeyError("no such key"))
    (note,) = error.value.__notes__
    assert note.startswith("alice/tiny-letters: public, our commit ")
    done = ends_with(OSError("the disk is gone"))
    assert done.code == 2
    assert "error: the disk is gone" in done.out
    done = ends_with(SystemExit(1))  # as Rich does where nobody reads the output any more
    assert done.code == 141
    assert done.state[-1].startswith("alice/tiny-letters: public, our commit ")


def test_a_receipt_that_cannot_be_written_is_found_before_anything_is_sent(desk: Desk) -> None:
    def refuse(*rest: Any) -> None:
        raise PermissionError(13, "Permission denied", "results/tiny")

    desk.patch.setattr("src.hub.receipt.write_json", refuse)
    done = desk.ends(2, "results/tiny: Permission denied", **DATASET)
    assert done.state == ["nothing was changed on the Hub"]
    assert not desk.hub.repos


def test_a_receipt_of_another_hub_is_not_believed(desk: Desk) -> None:
    assert desk.publish(**DATASET, tag="v1").code == 0
    desk.receipt_path.write_text(json.dumps(desk.receipt | {"endpoint": "https://other.example"}))
    desk.ends(0, **DATASET)
    assert desk.receipt["endpoint"] == "https://huggingface.co"
    assert commits(desk.repo("dataset")) == 1
    assert desk.receipt["repos"][0]["tag"] is None


def test_a_tag_that_the_hub_does_not_take_is_not_called_taken(desk: Desk) -> None:
    when(desk, "POST", "/tag/", answer(409, {"X-Error-Message": "Reference is locked"}), times=9)
    desk.ends(3, "the tag v1 is on no commit", **DATASET, tag="v1")
