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


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"license": "other"}, "license_name: "),
        ({"license": "apache"}, "no license apache; did you mean apache-2.0"),
        ({"site_url": "http://example.org"}, "site_url"),
    ],
)
def test_what_a_project_cannot_state_names_its_key(changes: dict[str, Any], said: str) -> None:
    settings = yaml.safe_load((TINY / "configs/project.yaml").read_text())
    with pytest.raises(InputError, match=said):
        validate(Path("project.yaml"), settings | changes, ProjectConfig)


def training(**settings: Any) -> TrainingConfig:
    return validate(Path("mine.yaml"), settings, TrainingConfig)


def test_the_trainers_own_ways_of_writing_are_read() -> None:
    given = {"max_steps": -1, "num_train_epochs": 3, "lr_scheduler_type": "cosine", "report_to": "none"}
    found = training(**given, warmup_steps=0.1, max_grad_norm=0)
    assert (found.max_steps, found.num_train_epochs, found.report_to) == (None, 3, [])
    assert (found.lr_scheduler_type, found.warmup_ratio, found.warmup_steps) == ("cosine", 0.1, 0)
    assert "max_steps" not in found.model_fields_set


def test_settings_that_are_not_understood_are_kept_as_stated_without_paths() -> None:
    places = {"output_dir": "out", "deepspeed": "/home/me/ds.json", "data": "C:\\me", "hub_token": "x"}
    kept = {"fsdp_config": {"a": {"b": [1, None]}}, "per_device_eval_batch_size": 4, "use": True, "note": "x" * 500}
    found = training(**places, **kept | {"nested": {"path": "~/x", "list": ["./y", 2]}})
    assert found.others == kept | {"nested": {"list": [2]}}
    written = found.others_written
    assert (written["use"], written["fsdp_config"], written["note"]) == ("true", '{"a": {"b": [1, null]}}', "x" * 500)


def test_a_misspelt_setting_is_named_and_another_tools_is_not() -> None:
    with pytest.raises(InputError, match=r"mine.yaml: .*wieght_decay: did you mean"):
        training(wieght_decay=1)
    assert training(per_device_eval_batch_size=4).others == {"per_device_eval_batch_size": 4}


def test_two_metrics_of_one_label_are_refused() -> None:
    one = {"label": "One", "definition": "It.", "direction": "higher", "unit": "proportion"}
    with pytest.raises(InputError, match="has the label of"):
        validate(Path("metrics.yaml"), {"metrics": {"one": one, "two": one}}, MetricsConfig)
