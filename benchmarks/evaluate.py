"""How fast both models are evaluated, against lm-evaluation-harness on the same questions: `python -m benchmarks.evaluate`.

- ours: `python -m src.evaluate`, both models in one command;
- harness: `lm_eval run`, one command for each model, on the tasks that the record is exported as.

Same weights, questions, prompts, precision (float32) and threads; whole commands, imports included, taking turns. Each tool has the
batch size it is fastest with on a CPU: ours that of the experiment's config, the harness 64 (256 takes it a third longer).

By default the first 500 questions of each task are asked once, which took both tools 186 CPU seconds together; `--each` measures each
task by itself as well; `--questions 0` asks all, which took 410. The harness may be in an environment of its own: `--lm-eval PATH` names
its command. It says on stderr what it does, and prints seconds and CPU seconds of both tools with
their ratios (that of CPU seconds holds on a busy machine too), and how many answers are equal.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import yaml

from src.exchange.lm_eval_tasks import FOLDER, HarnessTask, group_name, harness_files, harness_tasks
from src.record.load import Record, load_record
from src.record.results import METRICS

ROOT = Path(__file__).parent.parent
MODELS = ("base", "finetuned")


def prepare(record: Record, folder: Path, tasks: list[HarnessTask], questions: int) -> Path:
    """Write a project that asks the first questions (0: all) of the tasks that both tools can ask; return its experiment's config."""
    for name in ("configs", "results"):
        shutil.copytree(ROOT / name, folder / name)
    for name in ("models", "checkpoints"):
        (folder / name).symlink_to(ROOT / name)
    shutil.copytree(record.data, folder / "data")
    for task in tasks:
        path = folder / "data" / task.task / "test.parquet"
        table = pq.read_table(path)
        pq.write_table(table.slice(0, questions or table.num_rows), path)
    path = folder / record.project.experiment
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    config["evaluation_config"]["variants"] = []
    config["dataset_config"] = {**config.get("dataset_config", {}), "path": "data"}
    path.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    for name, content in harness_files(record, None, None).items():
        target = folder / name
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(content)
    return path


def environment(folder: Path, threads: int) -> dict[str, str]:
    """Return the environment of both tools: the same threads, no network, and no questions that `datasets` kept from another run."""
    offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    own = {"HF_DATASETS_CACHE": str(folder / "datasets"), "OMP_NUM_THREADS": str(threads), "PYTHONPATH": str(ROOT)}
    return {**os.environ, **offline, **own}


def timed(command: list[str], folder: Path, threads: int) -> tuple[float, float]:
    """Run a command and return its seconds and its CPU seconds."""
    print(f"  {' '.join(command)}", end=" ", file=sys.stderr, flush=True)
    start, used = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        command, cwd=folder, env=environment(folder, threads), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command[:4])} … ended with {done.returncode}:\n{done.stderr[-3000:]}")
    seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime
    print(f"{seconds:.1f} s, {cpu:.1f} s of CPU", file=sys.stderr, flush=True)
    return seconds, cpu


def harness(lm_eval: str, record: Record, model: str, tasks: str, output: str, batch: int) -> list[str]:
    """Return the harness' command for one model."""
    adapter = f",peft={record.experiment.checkpoint}" if model == "finetuned" else ""
    arguments = f"pretrained={record.experiment.base_model},dtype=float32{adapter}"
    return [
        lm_eval, "run", "--model", "hf", "--model_args", arguments, "--include_path", FOLDER, "--tasks", tasks,
        "--output_path", output, "--log_samples", "--batch_size", str(batch), "--device", "cpu",
    ]  # fmt: skip


def equal_answers(folder: Path, ours: Path, tasks: list[HarnessTask]) -> dict[str, Any]:
    """Count the answers that both tools gave alike, by task and model."""
    rows = {row["id"]: row for row in pq.read_table(ours / "predictions.parquet").to_pylist()}
    found: dict[str, Any] = {}
    for task in tasks:
        for model in MODELS:
            path = max((folder / "out" / model).rglob(f"samples_{task.name}_*.jsonl"))
            samples = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
            asked = pq.read_metadata(folder / "data" / task.task / "test.parquet").num_rows
            if len(samples) != asked:
                raise SystemExit(f"the harness asked {len(samples)} questions of {task.task}, and not {asked}")
            same, apart = 0, None  # of generated text the harness states no score
            for sample in samples:
                row = rows[sample["doc"]["id"]]
                if task.config["output_type"] == "multiple_choice":
                    scores = [float(response[0]) for response in sample["filtered_resps"]]
                    best = max(range(len(scores)), key=scores.__getitem__)
                    same += task.config["doc_to_choice"][best] == row[f"{model}_answer"]
                    apart = max(apart or 0.0, abs(scores[best] - row[f"{model}_score"]))
                else:
                    ignored = task.config["metric_list"][0].get("regexes_to_ignore", [])
                    text = sample["filtered_resps"][0]
                    for pattern in ignored:
                        text = re.sub(pattern, "", text)
                    same += text.lower()[:64] == row[f"{model}_answer"]
            found[f"{task.task}, {model}"] = {"equal": same, "of": len(samples), "largest_score_difference": apart}
    return found


def measure(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Time both tools in turn, all tasks and then each task by itself."""
    record = load_record(ROOT)
    tasks = [task for task in harness_tasks(record)[0] if not options.tasks or task.task in options.tasks]
    config = prepare(record, folder, tasks, options.questions)
    parts = {"all tasks": tasks} if not options.each else {"all tasks": tasks, **{task.task: [task] for task in tasks}}
    out: dict[str, Any] = {}
    for label, asked in parts.items():
        settings = yaml.safe_load(config.read_text(encoding="utf-8"))
        settings["dataset_config"]["test_questions"] = {
            task.task: record.experiment.dataset_config.test_questions[task.task] for task in asked
        }
        one = folder / "configs/experiments/one.yaml"
        one.write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
        names = (
            ",".join(task.name for task in asked) if len(asked) < len(harness_tasks(record)[0]) else group_name(record)
        )
        ours = [
            sys.executable, "-m", "src.evaluate", "--config", str(one), "--output", "ours", "--metrics", str(METRICS),
        ]  # fmt: skip
        times: dict[str, list[tuple[float, float]]] = {"ours": [], "harness": []}
        for number in range(options.rounds):
            print(f"{label}, round {number + 1} of {options.rounds}", file=sys.stderr, flush=True)
            shutil.rmtree(folder / "out", ignore_errors=True)
            times["ours"].append(timed(ours, folder, options.threads))
            both = [
                timed(harness(options.lm_eval, record, m, names, f"out/{m}", options.batch), folder, options.threads)
                for m in MODELS
            ]
            times["harness"].append((sum(seconds for seconds, _ in both), sum(cpu for _, cpu in both)))
        out[label] = {}
        for index, unit in enumerate(("seconds", "cpu_seconds")):
            medians = {name: statistics.median(found[index] for found in runs) for name, runs in times.items()}
            out[label][unit] = medians | {"ratio": medians["harness"] / medians["ours"]}
        out[label] |= equal_answers(folder, folder / "ours", asked)
    return out


def main() -> None:
    """Measure and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--questions", type=int, default=500, help="questions of each task (500 by default, 0 for all)")
    parser.add_argument("--tasks", nargs="*", help="tasks; all that both tools can ask by default")
    parser.add_argument("--each", action="store_true", help="each task by itself as well")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--batch", type=int, default=64, help="the harness' batch size (64 by default)")
    parser.add_argument("--lm-eval", default=shutil.which("lm_eval"), help="the harness' command")
    options = parser.parse_args()
    if options.lm_eval is None:
        raise SystemExit("lm_eval is not installed: pip install lm_eval, or name its command with --lm-eval")
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measure(Path(folder), options), indent=2))


if __name__ == "__main__":
    main()
