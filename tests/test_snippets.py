"""The code of a card and its notebook runs, and loads the model as it was trained: with the pinned libraries, on adapters of each kind."""

from __future__ import annotations

import ast
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from src.documents.build import build
from src.documents.notebook import PATH
from src.documents.renderer import Renderer
from src.documents.snippet import python_string, snippet_prompt
from src.record.errors import InputError
from src.record.gaps import check_gaps
from src.record.model import read_model

from .conftest import REPO, run_in
from .hub_server import HubServer
from .publishing import Desk, change_project, online
from .records import CAUSAL, describe_adapter, without_settings

CHECKPOINT = "checkpoints/best_model"


@pytest.fixture
def project(project: Path) -> Path:
    """The tiny project with a record that leaves the adapter's settings to its files."""
    without_settings(project)
    return project


def snippet(root: Path) -> str:
    return Renderer(build(root, None).context, "hub").render("parts/snippet.md")


def save_adapter(
    base: Path, folder: Path, task: str, change: Callable[..., None] | None = None, labels: int = 0
) -> Any:
    """Save a real adapter on the tiny base model, as people do; return the model."""
    import torch
    import transformers
    from peft import LoraConfig, get_peft_model

    auto = getattr(transformers, read_head(folder, task).auto)
    model = auto.from_pretrained(base, **({"num_labels": labels} if labels else {}))
    tokenizer = transformers.AutoTokenizer.from_pretrained(base)
    if change is not None:
        change(model, tokenizer)
    model.config.pad_token_id = tokenizer.eos_token_id
    config = LoraConfig(r=2, lora_alpha=4, target_modules=["c_attn"], fan_in_fan_out=True, task_type=task)
    adapted = get_peft_model(model, config)
    for name, values in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(values)
    shutil.rmtree(folder)
    adapted.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    settings = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps(settings | {"base_model_name_or_path": "tiny"}))
    return adapted.eval()


def read_head(folder: Path, task: str) -> Any:
    (folder / "adapter_config.json").write_text(json.dumps(CAUSAL | {"task_type": task}))
    return read_model(folder).head


def run(code: str, places: dict[str, Path], monkeypatch: pytest.MonkeyPatch, folder: Path) -> dict[str, Any]:
    """Run a snippet where the libraries find folders by name."""
    folder.mkdir()
    for name, place in places.items():
        (folder / name).symlink_to(place)
    monkeypatch.chdir(folder)
    found: dict[str, Any] = {}
    exec(re.findall(r"```python\n(.*?)```", code, flags=re.DOTALL)[0], found)
    return found


def add_tokens(model: Any, tokenizer: Any) -> None:
    tokenizer.add_tokens(["<think>", "</think>"])
    model.resize_token_embeddings(len(tokenizer))


KINDS: dict[str, tuple[str, Any, int, str]] = {
    "text generation": ("CAUSAL_LM", None, 0, 'pipeline("text-generation", model="tiny-lora", tokenizer="tiny-lora")'),
    "added tokens": ("CAUSAL_LM", add_tokens, 0, 'AutoPeftModelForCausalLM.from_pretrained("tiny-lora")'),
    "two labels": ("SEQ_CLS", None, 2, 'pipeline("text-classification", model="tiny-lora"'),
    "three labels": ("SEQ_CLS", None, 3, 'model_kwargs={"num_labels": 3}'),
    "token labels": ("TOKEN_CLS", None, 3, 'pipeline("token-classification", model="tiny-lora"'),
    "features": ("FEATURE_EXTRACTION", None, 0, 'pipeline("feature-extraction", model="tiny-lora"'),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_the_snippet_loads_what_was_trained(
    kind: str, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    task, change, labels, written = KINDS[kind]
    trained = save_adapter(project / "models/tiny", project / CHECKPOINT, task, change, labels)
    code = snippet(project)
    assert written in code, code
    places = {"tiny": project / "models/tiny", "tiny-lora": project / CHECKPOINT}
    loaded = run(code, places, monkeypatch, tmp_path / "by-name")["ask"]
    inputs = loaded.tokenizer("spell a word <think>", return_tensors="pt")
    with torch.inference_mode():
        there, here = loaded.model.eval()(**inputs)[0].float(), trained(**inputs)[0].float()
    assert there.shape == here.shape
    assert torch.allclose(there, here, atol=0.05 * float(here.abs().max())), float((there - here).abs().max())


@pytest.mark.slow
def test_a_pinned_base_is_loaded_as_pinned(hub: HubServer, project: Path, tmp_path: Path) -> None:
    """The base model's newest commit has other weights than the one that the adapter was trained on."""
    from safetensors.numpy import load_file, save

    base = project / "models/tiny"
    repo = hub.add_repo("model", "org/base")
    for path in sorted(base.iterdir()):
        hub.edit("model", "org/base", path.name, path.read_bytes())
    pinned = repo.refs["main"]
    weights = {name: values * 0 for name, values in load_file(base / "model.safetensors").items()}
    hub.edit("model", "org/base", "model.safetensors", save(weights, {"format": "pt"}))
    change_project(project, "experiments/tiny.yaml", base_model="org/base")
    settings = json.loads((project / CHECKPOINT / "adapter_config.json").read_text())
    describe_adapter(project, settings | {"base_model_name_or_path": "org/base", "revision": pinned})
    (tmp_path / "tiny-lora").symlink_to(project / CHECKPOINT)
    script = re.findall(r"```python\n(.*?)```", snippet(project), flags=re.DOTALL)[0]
    script += "\nprint(float(sum(p.abs().sum() for n, p in model.named_parameters() if 'lora' not in n)) > 0)\n"
    environment = online(hub, tmp_path / "home", HF_HUB_OFFLINE="0", HF_HUB_DISABLE_XET="1", PYTHONPATH=str(REPO))
    done = run_in(tmp_path, "-c", script, **environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("True"), done.stdout


@pytest.mark.parametrize(
    ("task", "written", "tag"),
    [
        ("CAUSAL_LM", "return_full_text=False", "text-generation"),
        ("SEQ_2_SEQ_LM", "AutoModelForSeq2SeqLM.from_pretrained", "text2text-generation"),
        ("TOKEN_CLS", 'pipeline("token-classification"', "token-classification"),
    ],
)
def test_snippet_and_tag_follow_the_task(task: str, written: str, tag: str, project: Path) -> None:
    describe_adapter(project, CAUSAL | {"task_type": task})
    assert written in snippet(project)
    card = build(project, None).model_card.text
    assert f"pipeline_tag: {tag}\n" in card
    assert f"adapter for {tag.replace('-', ' ')}" in card


@pytest.mark.parametrize("config", [CAUSAL | {"task_type": "QUESTION_ANS"}, CAUSAL | {"task_type": None}])
def test_for_any_other_task_the_author_writes_the_snippet(config: dict[str, Any], project: Path) -> None:
    describe_adapter(project, config)
    assert "Set `pipeline_tag` and `snippet` in the project config." in snippet(project)
    assert "pipeline_tag: " not in build(project, None).model_card.text
    change_project(project, pipeline_tag="question-answering", snippet="print('mine')\n")
    assert snippet(project) == "```python\nprint('mine')\n```"
    assert "pipeline_tag: question-answering\n" in build(project, None).model_card.text


@pytest.mark.parametrize(
    ("name", "more", "pipeline"),
    [
        ("T5ForConditionalGeneration", {}, "text2text-generation"),
        ("BartForSequenceClassification", {}, "text-classification"),
        ("WhisperForConditionalGeneration", {"num_mel_bins": 80}, None),
        ("ViTForImageClassification", {}, None),
    ],
)
def test_the_task_of_a_full_model_follows_from_its_class(
    name: str, more: dict[str, int], pipeline: str | None, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"architectures": [name], **more}))
    head = read_model(tmp_path).head
    assert (head.pipeline if head else None) == pipeline


def test_a_hostile_revision_does_not_reach_the_snippet(project: Path) -> None:
    change_project(project, "experiments/tiny.yaml", base_model="org/base")
    describe_adapter(project, CAUSAL | {"revision": '"); import os #'})
    assert "import os" not in snippet(project)


def test_the_card_says_what_keeps_visitors_from_the_base(project: Path) -> None:
    context = build(project, None).context
    gated = replace(context, base_obstacle="the base model org/base is gated: visitors need access to it")
    assert "**To load it:** the base model org/base is gated" in Renderer(gated, "hub").render("parts/snippet.md")
    assert "To load it" not in Renderer(context, "hub").render("parts/snippet.md")


def test_without_a_prompt_of_its_own_the_snippet_asks_a_recorded_question(project: Path) -> None:
    path = project / "configs/project.yaml"
    path.write_text("".join(line for line in path.open() if not line.startswith("example_prompt:")))
    record = build(project, None).context.record
    rows = record.answered(record.run_name, next(iter(record.results.tasks)))
    assert rows is not None
    prompt = snippet_prompt(record)
    place = rows.prompts().index(prompt.text)
    assert prompt.answer == rows.texts("answer")[place]
    shown = snippet(project)
    assert f"ask({python_string(prompt.text)}, " in shown
    assert f"The answer on record: {prompt.answer}" in shown


@pytest.mark.parametrize(
    "text",
    ['say "hi"', 'a\n"b"', "a\\n\nb", 'a """b"""\nc', "```python\nevil()\n```", "a\u202eb", "😀\x00"],
)
def test_any_prompt_is_a_string_that_nothing_gets_out_of(text: str, project: Path) -> None:
    change_project(project, example_prompt=text)
    (code,) = re.findall(r"```python\n(.*?)```", snippet(project), flags=re.DOTALL)
    called = [n for n in ast.walk(ast.parse(code)) if isinstance(n, ast.Call) and getattr(n.func, "id", "") == "ask"]
    assert [ast.literal_eval(call.args[0]) for call in called] == [text]
    assert code.replace("\n", "").isprintable()


@pytest.mark.slow
def test_a_chat_model_gets_a_message(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = project / CHECKPOINT / "tokenizer_config.json"
    template = "{% for message in messages %}{{ message['content'] }} is spelled{% endfor %}"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"chat_template": template}))
    code = snippet(project)
    assert 'ask([{"role": "user", "content": "The word cherry is spelled"}], ' in code
    assert "It prints" not in code  # what is on record was printed without the template
    settings = json.loads((project / CHECKPOINT / "adapter_config.json").read_text())
    describe_adapter(project, settings | {"base_model_name_or_path": "tiny"})
    places = {"tiny": project / "models/tiny", "tiny-lora": project / CHECKPOINT}
    assert isinstance(run(code, places, monkeypatch, tmp_path / "by-name")["answer"][0]["generated_text"], str)


def test_a_classifier_is_published_with_names_for_its_labels(project: Path, tmp_path: Path) -> None:
    describe_adapter(project, CAUSAL | {"task_type": "SEQ_CLS"})
    with pytest.raises(InputError, match=r"best_model: .*LABEL_0.*`snippet`"):
        check_gaps(build(project, None).context.record)
    change_project(project, snippet="print('mine')\n")
    check_gaps(build(project, None).context.record)
    config = {"architectures": ["BertForSequenceClassification"], "model_type": "bert"}
    for names, unnamed in ((None, True), ({"0": "LABEL_0", "1": "LABEL_1"}, True), ({"0": "no", "1": "yes"}, False)):
        (tmp_path / "config.json").write_text(json.dumps(config | {"id2label": names}))
        assert read_model(tmp_path).unnamed_labels is unnamed


@pytest.mark.nightly
def test_the_notebook_runs_and_its_outputs_are_those_on_record(desk: Desk, tmp_path: Path) -> None:
    done = desk.publish()
    assert done.code == 0, done.out
    desk.patch.undo()  # from here on it is a visitor's
    desk.hub.start()
    book = nbformat.reads(desk.bundle.repo("model").files[PATH].content.decode(), as_version=4)
    nbformat.validate(book)
    written = {cell.id: list(cell.outputs) for cell in book.cells if cell.cell_type == "code"}
    assert len(written["cell-2"][0].text.splitlines()) == 2
    environment = online(desk.hub, tmp_path / "home", HF_HUB_DISABLE_XET="1", HF_HUB_DISABLE_PROGRESS_BARS="1")
    NotebookClient(book, timeout=300, kernel_name="python3").execute(env=environment)
    desk.hub.stop()
    for cell in book.cells:
        if cell.cell_type != "code":
            continue
        said = "".join(out.text for out in cell.outputs if out.output_type == "stream" and out.name == "stdout")
        assert said == "".join(out.text for out in written[cell.id] if out.output_type == "stream"), cell.id
