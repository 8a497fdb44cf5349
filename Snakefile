# The workflow of a study: dataset, then train and evaluate for each run, then the documents. `make study` runs it on this machine; the
# guide "Reproduce the experiment" says more.
#
# A step is done when its outputs exist. A newer input does not start it again: what was run is bound to its config and its data
# by hashes, and every command refuses what does not fit.
from pathlib import Path

from src.cli import chosen
from src.record.study import read_study

STUDY = str(chosen(Path(config["study"]) if "study" in config else None, study=True))
THREADS = int(config.get("threads", 1))
GPUS = int(config.get("gpus", 0))

study = read_study(Path(STUDY))
experiment = study.run(study.config.published).experiment
data = Path(experiment.dataset_config.path)
parts = [*experiment.dataset_config.test_questions]
DATASET = [str(data / "training/train.parquet")] + [
    str(data / task / f"{split}.parquet") for task in parts for split in ("validation", "test")
]
published = study.run(study.config.published)
PUBLISHED = published.results / "evaluation_results.json"


rule study:
    input:
        [run.answers for run in study.runs if run.evaluated],
    default_target: True
    localrule: True
    shell:
        "python -m src.render" if config.get("render", True) else "true"


rule dataset:
    input:
        ancient(study.config.experiment),
    output:
        DATASET,
    shell:
        "python -m src.dataset --config {input}"


for run in study.runs:
    weights = Path(run.experiment.checkpoint) / "adapter_model.safetensors"
    start = [f"{run.experiment.start_from}/adapter_model.safetensors"] if run.experiment.start_from else []

    rule:
        name: f"train_{run.name}"
        input:
            ancient(DATASET),
            ancient(start),
        output:
            weights,
        params:
            run=run.name,
        threads: THREADS
        resources:
            gpu=GPUS,
        shell:
            f"OMP_NUM_THREADS={{threads}} python -m src.train --config {STUDY} --run {{params.run}}"

    if not run.evaluated:
        continue

    rule:
        name: f"evaluate_{run.name}"
        input:
            ancient(DATASET),
            ancient(weights),
            ancient(PUBLISHED) if run.further else [],
        output:
            run.answers,
            [] if run.further else PUBLISHED,
        params:
            run=run.name,
        threads: THREADS
        resources:
            gpu=GPUS,
        shell:
            f"OMP_NUM_THREADS={{threads}} python -m src.evaluate --config {STUDY} --run {{params.run}}"
