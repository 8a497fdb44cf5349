"""The site, built by MkDocs and looked at in a real browser; and the bundle, used as a visitor would."""

from __future__ import annotations

import re
import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from .conftest import REPO, Run, copy_project, run_in

PAGES = ("", "results/", "methodology/", "model-card/", "dataset-card/", "quickstart/", "reference/record/")
CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)


class Quiet(SimpleHTTPRequestHandler):
    """Serves files without a line for each."""

    def log_message(self, format: str, *args: object) -> None:
        del format, args


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Build the site as a user does; give its folder and all that MkDocs printed."""
    root = copy_project(tmp_path_factory.mktemp("site") / "project")
    done = run_in(root, "-m", "mkdocs", "build")
    assert done.returncode == 0, done.stdout + done.stderr
    return root / "site", done.stdout + done.stderr


@pytest.fixture(scope="module")
def address(built: tuple[Path, str]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(built[0])))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        yield browser
        browser.close()


def test_the_build_prints_neither_warning_nor_advertisement(built: tuple[Path, str]) -> None:
    _, output = built
    lines = [line for line in output.splitlines() if line.strip()]
    assert all(line.startswith("INFO") for line in lines), output
    assert "MkDocs 2" not in output
    assert "end of life" not in output


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_pages_in_a_browser(address: str, browser: Browser, scheme: str, width: int) -> None:
    context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 800})  # type: ignore[arg-type]
    page = context.new_page()
    outside: list[str] = []
    errors: list[str] = []
    page.on("request", lambda r: None if r.url.startswith((address, "data:", "blob:")) else outside.append(r.url))
    page.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda e: errors.append(str(e)))
    page.on("response", lambda r: errors.append(f"{r.status} {r.url}") if r.status >= 400 else None)
    for path in PAGES:
        page.goto(address + path, wait_until="networkidle")
        assert page.locator("h1").count() == 1, path
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"{path} scrolls sideways by {wide} px at {width} px"
    assert not outside
    assert not errors
    context.close()


def test_charts_follow_the_scheme_and_have_alternatives(address: str, browser: Browser) -> None:
    for scheme, other in (("light", "dark"), ("dark", "light")):
        context = browser.new_context(color_scheme=scheme)  # type: ignore[arg-type]
        page = context.new_page()
        page.goto(address + "results/", wait_until="networkidle")
        shown = page.locator(f"figure.chart img[src*='.{scheme}.svg']")
        hidden = page.locator(f"figure.chart img[src*='.{other}.svg']")
        assert shown.count() == hidden.count() >= 5
        for i in range(shown.count()):
            shown.nth(i).evaluate("i => i.scrollIntoView()")  # images load when they come into view
            page.wait_for_function("i => i.complete && i.naturalWidth > 0", arg=shown.nth(i).element_handle())
            assert shown.nth(i).is_visible()
            assert not hidden.nth(i).is_visible()
            assert len(shown.nth(i).get_attribute("alt") or "") > 20
        context.close()


def test_internal_links_lead_somewhere(built: tuple[Path, str]) -> None:
    site, _ = built
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        for target in re.findall(r'(?:href|src)="([^"]+)"', text):
            if re.match(r"[a-z]+:|//|#", target) or page.name == "404.html":
                continue
            path, _, anchor = target.partition("#")
            resolved = (page.parent / path.split("?")[0]).resolve() if path else page
            file = resolved / "index.html" if resolved.is_dir() else resolved
            assert file.is_file(), f"{page.relative_to(site)} links to {target}"
            if anchor and file.suffix == ".html" and not anchor.startswith("__"):
                assert f'id="{anchor}"' in file.read_text(encoding="utf-8"), f"{page.relative_to(site)}: {target}"


def test_two_builds_of_charts_give_the_same_bytes(built: tuple[Path, str], tmp_path: Path) -> None:
    from gen.site import generate

    files = generate(REPO, None)
    for name, content in files.items():
        if name.endswith(".svg"):
            assert (built[0] / name).read_bytes() == content, name


def test_the_minimal_record_gives_a_site(minimal: Path, run: Run) -> None:
    done = run(minimal, "-m", "mkdocs", "build")
    assert done.returncode == 0, done.stdout + done.stderr
    page = (minimal / "site/results/index.html").read_text()
    for text in ("0.0 %", "43.0 %", "worse as a bare number", "better as a bare number", "not measured"):
        assert text in page
    assert "significant improvement" not in page
    assert "Not measured: the record holds no training log." in page


def test_another_projects_metrics_need_only_be_declared(minimal: Path, run: Run) -> None:
    (minimal / "configs/metrics.yaml").write_text(
        "metrics:\n  rouge_l:\n    label: ROUGE-L\n    definition: Overlap.\n    direction: higher\n    unit: number\n    primary: true\n"
    )
    (minimal / "results/gpt2-mini/evaluation_results.json").write_text(
        '{"base_model": {"metrics": {"rouge_l": 12.5}}, "finetuned_model": {"metrics": {"rouge_l": 31.25}}}'
    )
    done = run(minimal, "-m", "mkdocs", "build")
    assert done.returncode == 0, done.stdout + done.stderr
    page = (minimal / "site/results/index.html").read_text()
    assert "ROUGE-L" in page
    assert "31.250" in page


# The bundle.


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Hub as a visitor's working folder: repositories lie under the names that the cards use."""
    root = tmp_path_factory.mktemp("hub")
    done = run_in(REPO, "-m", "src.publish", "--dry-run", "--namespace", "someone", "--output", str(root / "bundle"))
    assert done.returncode == 0, done.stderr
    visitor = root / "visitor" / "someone"
    visitor.mkdir(parents=True)
    for name, folder in (
        ("gpt2-mini-spelling-lora", "model"),
        ("gpt2-mini", "base"),
        ("spelling-and-letters", "dataset"),
    ):
        (visitor / name).symlink_to(root / "bundle" / folder)
    return root


def test_the_bundle_holds_what_is_published(bundle: Path) -> None:
    names = {p.relative_to(bundle / "bundle").as_posix() for p in (bundle / "bundle").rglob("*") if p.is_file()}
    for name in (
        "model/README.md", "model/LICENSE", "model/adapter_model.safetensors", "model/adapter_config.json", "model/tokenizer.json",
        "model/evaluation_results.json", "model/charts/metrics.png", "dataset/README.md", "dataset/LICENSE",
        "dataset/words/COPYRIGHT", "dataset/training/train.parquet", "base/README.md", "base/model.safetensors",
    ):  # fmt: skip
        assert name in names
    for image in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", (bundle / "bundle/model/README.md").read_text()):
        assert f"model/{image}" in names
    assert not [name for name in names if name.endswith((".bin", ".pt", ".pkl"))]


@pytest.mark.parametrize("card", ["model", "base", "dataset"])
def test_the_cards_snippet_runs_as_it_stands(bundle: Path, card: str) -> None:
    text = (bundle / "bundle" / card / "README.md").read_text()
    snippets = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    assert snippets
    for number, snippet in enumerate(snippets):
        file = bundle / f"{card}{number}.py"
        file.write_text(snippet)
        done = run_in(bundle / "visitor", str(file), HF_HOME=str(bundle / "hf"))
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip()


def test_publishing_twice_gives_the_same_bytes(bundle: Path, tmp_path: Path) -> None:
    done = run_in(REPO, "-m", "src.publish", "--dry-run", "--namespace", "someone", "--output", str(tmp_path / "again"))
    assert done.returncode == 0, done.stderr
    for file in (tmp_path / "again").rglob("*"):
        if file.is_file():
            assert file.read_bytes() == (bundle / "bundle" / file.relative_to(tmp_path / "again")).read_bytes(), file


def test_every_command_explains_itself(run: Run) -> None:
    for command in ("pretrain", "dataset", "train", "evaluate", "publish", "render"):
        done = run(REPO, "-m", f"src.{command}", "--help")
        assert done.returncode == 0
        assert f"python -m src.{command}" in done.stdout
        assert f"src.{command}" in (REPO / "README.md").read_text()


def test_make_help_names_every_target() -> None:
    import subprocess

    shown = subprocess.run(["make", "help"], cwd=REPO, capture_output=True, text=True, check=True).stdout
    for target in ("site", "serve", "test", "experiment", "render"):
        assert f"make {target}" in shown


def test_the_home_page_shows_the_real_tokens() -> None:
    from src.experiment.models import load_tokenizer

    tokenizer = load_tokenizer(str(REPO / "models/gpt2-mini"))
    tokens = [tokenizer.decode([i]).strip() for i in tokenizer.encode(" strawberry", add_special_tokens=False)]
    home = (REPO / "docs/index.md").read_text()
    assert re.findall(r"<span>(\w+)</span>", home) == tokens
    assert "two tokens" in home
    assert len(tokens) == 2
