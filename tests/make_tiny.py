"""`python -m tests.make_tiny`: run the toy experiment of tests/tiny again, with the project's own commands.

What a person wrote (configs, bibliography, fragments) stays; models, dataset, adapter and record are replaced. Takes about four minutes.
Afterwards `make golden` writes the documents that are compared in tests/golden.
"""

from __future__ import annotations

import hashlib
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from .conftest import REPO, TINY, run_in

WRITTEN = ("configs", "docs")
"""Folders that a person wrote."""

GENERATED = ("models", "data", "checkpoints", "results")

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def words(total: int) -> list[str]:
    """Draw short words of the project's list, so that a few questions cover lengths, counts and positions."""
    listed = [word for word in (REPO / "data/words/words.txt").read_text(encoding="utf-8").split() if len(word) <= 7]
    repeating = [word for word in listed if max(map(word.count, word)) >= 3]
    rng = random.Random("tiny")
    return sorted({"cherry", "berry", *rng.sample(repeating, 60), *rng.sample(listed, total)})


def corpus(folder: Path, listed: list[str]) -> Path:
    """Write three books of sentences about letters, right and wrong ones, and their list of sources.

    A model of two layers that read them answers with letters and numbers, and not always with the same one. The numbers take up a part of
    the vocabulary: each token of letters is twenty examples in the dataset.
    """
    rng = random.Random("corpus")
    lines = ["path\tbytes\tsha256"]
    for number in range(3):
        sentences = []
        for _ in range(2500):
            word = rng.choice(listed)
            place = rng.randrange(len(word))
            ordinal = ("1st", "2nd", "3rd", "4th", "5th", "6th", "7th")[place]
            right = rng.random() < 0.9
            letters = " ".join(word if right else rng.sample(LETTERS, len(word)))
            sentences.append(
                rng.choice(
                    (
                        f"The word {word} is spelled {letters}.",
                        f"How many '{word[place]}'s are in the word {word}? {word.count(word[place]) if right else rng.randint(1, 4)}",
                        f"What is the {ordinal} letter in the word {word}? {word[place] if right else rng.choice(LETTERS)}",
                        f"How do you spell the word {word}? {letters}.",
                        f"She wrote {word} on page {rng.randrange(1000)} and {rng.choice(listed)} on page {rng.randrange(1000)}.",
                        *(f"{rng.randrange(1000)} and {rng.randrange(1000)} make {rng.randrange(2000)}.",) * 3,
                    )
                )
            )
        text = f"# Title: Sentences {number}\n\n-------\n\n" + "\n".join(sentences) + "\n"
        (folder / f"sentences{number}.md").write_text(text, encoding="utf-8")
        lines.append(f"sentences{number}.md\t{len(text)}\t{hashlib.sha256(text.encode()).hexdigest()}")
    sources = folder / "sources.tsv"
    sources.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return sources


def command(root: Path, name: str, *arguments: str) -> None:
    """Run one of the project's commands in the folder, in a process of its own; a failure ends the script."""
    git = ["git", "rev-parse", "--absolute-git-dir"]
    place = subprocess.run(git, cwd=REPO, capture_output=True, text=True, check=True).stdout.strip()
    # The run states the commit of this repository's code, although it is in a temporary folder.
    variables = {"WANDB_DIR": str(root / "runs"), "GIT_DIR": place, "GIT_WORK_TREE": str(REPO)}
    print(f"src.{name} {' '.join(arguments)}", flush=True)
    done = run_in(root, "-m", f"src.{name}", *arguments, **variables)
    if done.returncode != 0:
        sys.exit(done.stdout + done.stderr)


def make(root: Path) -> None:
    """Run the experiment in a folder that has what a person wrote."""
    listed = words(420)
    (root / "data/words").mkdir(parents=True)
    (root / "data/words/words.txt").write_text("\n".join(listed) + "\n", encoding="utf-8")
    (root / "runs").mkdir()
    books = root / "runs/corpus"
    books.mkdir()
    sources = corpus(books, listed)
    experiment = ("--config", "configs/experiments/tiny.yaml")
    study = ("--config", "configs/studies/toy.yaml")
    pretraining = ("--corpus", str(books), "--sources", str(sources), "--config", "configs/pretrain/tiny.yaml")
    command(root, "pretrain", *pretraining)
    command(root, "dataset", *experiment)
    runs = ("no-hints-1", "other-1", "spelling-1", "spelling-2", "form-only-1", "form-only-2")
    for run in runs:
        command(root, "train", *study, "--run", run)
    for run in ("spelling-1", "no-hints-1", "spelling-2", "form-only-1", "form-only-2"):
        command(root, "evaluate", *study, "--run", run)
    shutil.rmtree(root / "checkpoints/toy")  # what is kept is published, or continued by what is
    shutil.rmtree(root / "checkpoints/stage-1/other-1")


def main() -> None:
    """Make the toy in a temporary folder and put it in place."""
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        for name in WRITTEN:
            shutil.copytree(TINY / name, root / name)
        make(root)
        for name in GENERATED:
            shutil.rmtree(TINY / name, ignore_errors=True)
            shutil.copytree(root / name, TINY / name)


if __name__ == "__main__":
    main()
