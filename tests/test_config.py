"""What configs may state."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from src.record.config import MetricsConfig, ProjectConfig, TrainingConfig
from src.record.errors import InputError
from src.record.files import validate

from .conftest import TINY


def stated(**changes: Any) -> ProjectConfig:
    settings = yaml.safe_load((TINY / "configs/project.yaml").read_text()) | changes
    return validate(Path("project.yaml"), settings, ProjectConfig)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"language": ["en", False]}, "language"),
        ({"license": "other"}, "license_name: "),
        ({"license": "apache"}, "no license apache; did you mean apache-2.0"),
        ({"license": "my own"}, "no license my own; use other"),
        ({"version": 1.0}, "version: "),
    ],
)
def test_what_a_project_cannot_state_names_its_key(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as caught:
        stated(**changes)
    assert said in str(caught.value)


def test_several_languages_and_a_license_of_its_own() -> None:
    project = stated(
        language=["en", "pt-BR"], license="other", license_name="Mine", license_link="https://example.org/license"
    )
    assert project.languages == ["en", "pt-BR"]


def training(**settings: Any) -> TrainingConfig:
    return validate(Path("mine.yaml"), settings, TrainingConfig)


def test_the_trainers_own_ways_of_writing_are_read() -> None:
    given = {"max_steps": -1, "num_train_epochs": 3, "lr_scheduler_type": "cosine", "report_to": "none"}
    found = training(**given, warmup_steps=0.1, max_grad_norm=0)
    assert (found.max_steps, found.num_train_epochs, found.lr_scheduler_type, found.report_to) == (
        None,
        3,
        "cosine",
        [],
    )
    assert (found.warmup_ratio, found.warmup_steps, found.max_grad_norm) == (0.1, 0, 0)
    assert "max_steps" not in found.model_fields_set


def test_settings_that_are_not_understood_are_kept_as_stated_without_paths() -> None:
    places = {"output_dir": "out", "deepspeed": "/home/me/ds.json", "data": "C:\\me", "hub_token": "x"}
    kept = {"fsdp_config": {"a": {"b": [1, None]}}, "per_device_eval_batch_size": 4, "use": True, "note": "x" * 500}
    found = training(**places, **kept | {"nested": {"path": "~/x", "list": ["./y", 2]}})
    assert found.others == kept | {"nested": {"list": [2]}}
    written = found.others_written
    assert (written["use"], written["fsdp_config"], written["note"]) == ("true", '{"a": {"b": [1, null]}}', "x" * 500)


def test_what_a_setting_cannot_be_names_its_key() -> None:
    with pytest.raises(InputError, match=r"mine.yaml: foo"):
        training(foo=float("nan"))


@pytest.mark.parametrize("key", ["learning_rat", "max_step", "wieght_decay"])
def test_a_misspelt_setting_is_named_and_another_tools_is_not(key: str) -> None:
    with pytest.raises(InputError, match=f"{key}: did you mean"):
        training(**{key: 1})
    assert training(per_device_eval_batch_size=4).others == {"per_device_eval_batch_size": 4}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"label": "One"}, "has the label of"),
        ({"label": "Two", "variant_of": "nothing"}, "variant_of: no metric nothing"),
    ],
)
def test_metrics_are_told_apart(changes: dict[str, str], said: str) -> None:
    one = {"label": "One", "definition": "It.", "direction": "higher", "unit": "proportion"}
    with pytest.raises(InputError, match=said):
        validate(Path("metrics.yaml"), {"metrics": {"one": one, "two": one | changes}}, MetricsConfig)


@pytest.mark.parametrize("address", ["https://[::1", "http://example.org", "https://a b"])
def test_an_address_that_cannot_be_opened_is_refused(address: str) -> None:
    with pytest.raises(InputError, match="site_url"):
        stated(site_url=address)
