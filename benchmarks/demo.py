"""How fast the page Try it is, in headless Chromium: `python -m benchmarks.demo`."""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Page

from src.documents.demo import Demo, find_demo
from src.record.load import load_record
from tests.browsing import browsing, serving

RUNS = 5
"""Times that each is measured; the median is shown."""

WORDS = ("strawberry", "blueberries", "mathematics")

WATCH = """
window.longest = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) window.longest = Math.max(window.longest, entry.duration);
}).observe({ type: "longtask", buffered: true });
let before = performance.now();
const tick = () => {
  const now = performance.now();
  window.gap = Math.max(window.gap || 0, now - before);
  before = now;
  setTimeout(tick, 0);
};
tick();
"""
"""Notes the longest task of the main thread, and the longest time between two turns of its loop."""

ASK = """
async (word) => {
  const root = document.querySelector(".try-it");
  const state = (wanted) => new Promise((resolve) => {
    const look = () => (root.dataset.state === wanted ? resolve() : setTimeout(look, 1));
    look();
  });
  const times = [];
  const field = root.querySelector(".try-it-form input");
  field.value = word;
  root.querySelector("form").requestSubmit();
  await state("done");
  const letters = [...root.querySelectorAll(".try-it-choice input:not(:checked)")].slice(0, 3);
  for (const letter of letters) {
    const began = performance.now();
    letter.click();
    await state("done");
    times.push(performance.now() - began);
  }
  return times;
}
"""
"""Asks both models about a word, then for three more of its letters, in the page itself; milliseconds of each."""

SPELL = """
async ([code, manifest, word]) => {
  // One worker of each model, asked as the page asks them, without the page's other questions.
  const names = ["base", "finetuned"];
  const { port1, port2 } = new MessageChannel();
  const workers = names.map((name) => new Worker(`${code}worker.js`, { type: "module", name }));
  const next = (worker, type) => new Promise((resolve) => {
    worker.onmessage = ({ data }) => data.type === type && data.done !== false && resolve(data);
  });
  const ready = Promise.all(workers.map((worker) => next(worker, "ready")));
  workers[0].postMessage({ type: "load", address: manifest, port: port1 }, [port1]);
  workers[1].postMessage({ type: "join", port: port2 }, [port2]);
  await ready;
  const began = performance.now();
  const took = await Promise.all(workers.map(async (worker) => {
    const answered = next(worker, "answer");
    worker.postMessage({ type: "ask", round: 1, id: 1, kind: "spelling", values: { word } });
    await answered;
    return performance.now() - began;
  }));
  for (const worker of workers) worker.terminate();
  return took;
}
"""
"""Asks both models at once to spell a word; milliseconds until each has."""


def measure(page: Page, address: str) -> dict[str, list[float]]:
    """Load the page afresh and measure everything once; milliseconds."""
    page.add_init_script(WATCH)
    page.goto(address + "index.html", wait_until="networkidle")
    page.evaluate("window.longest = window.gap = 0")
    began = time.perf_counter()
    page.locator(".try-it-load").click()
    page.wait_for_selector(".try-it-form", timeout=120_000)
    ready = 1000 * (time.perf_counter() - began)
    page.wait_for_selector(".try-it[data-state=done]", timeout=120_000)
    all_of_it = 1000 * (time.perf_counter() - began)
    counts: list[float] = []
    for word in WORDS[1:]:
        counts += page.evaluate(ASK, word)
    block = page.evaluate("[window.longest, window.gap]")
    spelled = page.evaluate(SPELL, [address + "assets/demo/", address + "assets/demo/demo.json", WORDS[0]])
    return {
        "ready": [ready],
        "everything about the first word": [all_of_it],
        "a count question, both models": counts,
        "a spelling, base model": [spelled[0]],
        "a spelling, fine-tuned model": [spelled[1]],
        "longest task of the main thread": [block[0]],
        "longest gap of the main thread": [block[1]],
    }


def write_page(demo: Demo, folder: Path) -> None:
    """Write the widget's code, its files and a page that holds nothing else."""
    files = demo.site_files()
    for path in Path("docs/assets/demo").iterdir():
        files[f"assets/demo/{path.name}"] = path.read_bytes()
    files["index.html"] = (
        "<!doctype html><html lang=en><title>Try it</title><link rel=icon href=data:,>"
        f"<div class=try-it data-try-it=assets/demo/demo.json data-bytes={demo.load}></div>"
        "<script src=assets/demo/widget.js></script>"
    ).encode()
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def main() -> None:
    """Print the median of each, and the size of the code and of what is loaded."""
    demo = find_demo(load_record(Path()))
    if not isinstance(demo, Demo):
        raise SystemExit(f"there is no page Try it: {demo}")
    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as name:
        write_page(demo, Path(name))
        with serving(Path(name)) as address, browsing() as browser:
            for _ in range(RUNS):
                context = browser.new_context()
                for key, times in measure(context.new_page(), address).items():
                    found.setdefault(key, []).extend(times)
                context.close()
    code = sum(path.stat().st_size for path in Path("docs/assets/demo").iterdir())
    rows = {key: f"{statistics.median(times):.0f} ms (most {max(times):.0f})" for key, times in found.items()}
    print(json.dumps({"code": f"{code:,} bytes", "loaded": f"{demo.load:,} bytes", **rows}, indent=2))


if __name__ == "__main__":
    main()
