"""What an adapter is trained on: examples read from the dataset, written as its config says, encoded and packed."""

from __future__ import annotations

import os
import random
from collections import Counter
from pathlib import Path
from typing import Any

from src.record.config import DatasetConfig, ExperimentConfig

from .build import by_length, read_rows, training_rows
from .templates import SEPARATORS, TEMPLATES, fill
from .word_questions import all_asked, asked_tokens, question_examples
from .words import read_word_list

IGNORED = -100
"""Label of a token that does not count in the loss (PyTorch's cross-entropy convention)."""

Batch = dict[str, list[Any]]


def material_files(config: DatasetConfig) -> dict[str, Path]:
    """List the files of the dataset that a config trains on, by path inside the dataset."""
    names = ("training/train.parquet", "spelling/validation.parquet") if "spelling" in config.material else ()
    files = {name: Path(config.path) / name for name in names}
    if "questions" in config.material:
        files["words.txt"] = Path(config.word_list)
    return files


def training_sequences(config: ExperimentConfig, tokenizer: Any, length: int) -> tuple[Any, dict[str, int], str | None]:
    """Write, encode and pack what the adapter is trained on.

    Returns:
        A `datasets.Dataset` of `input_ids` and `labels`, the examples of each material that are packed in it, and the material that
        was used up first, which ends the mixing.
    """
    from datasets import Dataset, interleave_datasets

    settings = config.dataset_config
    parts: dict[str, Any] = {}
    if "spelling" in settings.material:
        spellings = _spellings(settings, tokenizer)
        left_out = ["states_position"] if settings.leave_out_position_templates else []
        left_out += ["states_count"] if settings.leave_out_count_templates else []
        if left_out:
            spellings = spellings.filter(_states_none, input_columns=left_out, batched=True, desc="leaving out")
        if settings.letters != "own":
            words = by_length(sorted(set(spellings["word"])))
            spellings = spellings.map(
                _with_other_letters,
                with_indices=True,
                fn_kwargs={"letters": settings.letters, "seed": config.seed, "words": words},
                desc=f"writing out letters: {settings.letters}",
            )
        parts["spelling"] = spellings
    if "questions" in settings.material:
        parts["questions"] = Dataset.from_list(_questions(config, tokenizer, held_out=False))
    columns = ["prompt", "completion", "separator", "letters_start", "letters_end"]
    shuffled = [
        part.shuffle(seed=config.seed)
        .select_columns([c for c in columns if c in part.column_names])
        .add_column("material", [name] * len(part))
        for name, part in parts.items()
    ]
    shares = settings.shares or dict.fromkeys(parts, 1 / len(parts))
    mixed = (
        shuffled[0]
        if len(parts) == 1
        else interleave_datasets(shuffled, probabilities=[shares[name] for name in parts], seed=config.seed)
    )
    counts = Counter(mixed["material"])
    used_up = next((name for name, part in parts.items() if len(parts) > 1 and counts[name] == len(part)), None)
    return _packed(mixed, tokenizer, length, config.required_training.completion_only_loss), dict(counts), used_up


def _spellings(settings: DatasetConfig, tokenizer: Any) -> Any:
    """Return the spellings of the dataset, or spellings of asked tokens alone."""
    from datasets import Dataset

    if settings.spelled_tokens == "all":
        return Dataset.from_parquet(str(Path(settings.path) / "training/train.parquet"))
    words = frozenset(read_word_list(Path(settings.word_list)))
    allowed = asked_tokens(tokenizer, settings)
    return Dataset.from_list(training_rows(tokenizer, settings.seed, settings.chains, words, allowed))


def held_out_sequences(config: ExperimentConfig, tokenizer: Any, length: int) -> Any:
    """Write, encode and pack what the validation loss is measured on: validation words and held-out questions.

    In a control, words are spelled with the letters that it trains on. Where only asked tokens are spelled, so are only words of these:
    what is kept must not depend on the others.
    """
    from datasets import Dataset

    settings = config.dataset_config
    rows: list[dict[str, Any]] = []
    if "spelling" in settings.material:
        questions = read_rows(Path(settings.path) / "spelling/validation.parquet")
        if settings.spelled_tokens == "asked":
            asked = asked_tokens(tokenizer, settings)
            questions = [row for row in questions if all_asked(row["tokens"], asked)]
        words = by_length(sorted({row["word"] for row in questions}))
        for index, row in enumerate(questions):
            letters = other_letters(row["word"], settings.letters, words, f"{config.seed}/validation/{index}")
            rows.append({"prompt": f"The word {row['word']} is spelled", "completion": f" {' '.join(letters)}."})
    if "questions" in settings.material:
        rows += _questions(config, tokenizer, held_out=True)
    return _packed(Dataset.from_list(rows), tokenizer, length, completion_only=True)


def _questions(config: ExperimentConfig, tokenizer: Any, *, held_out: bool) -> list[dict[str, Any]]:
    words = frozenset(read_word_list(Path(config.dataset_config.word_list)))
    return question_examples(tokenizer, config.dataset_config, words, held_out=held_out)


def other_letters(word: str, letters: str, words: dict[int, list[str]], seed: str) -> str:
    """Choose the letters that a word's spelling writes out."""
    rng = random.Random(seed)
    if letters == "other_word":
        others = words[len(word)]
        if others == [word]:
            return word
        while (other := rng.choice(others)) == word:
            pass
        return other
    return "".join(rng.sample(word, len(word))) if letters == "shuffled" else word


def _states_none(*columns: list[bool]) -> list[bool]:
    return [not any(states) for states in zip(*columns, strict=True)]


def _with_other_letters(
    row: dict[str, Any], index: int, letters: str, seed: int, words: dict[int, list[str]]
) -> dict[str, Any]:
    word = row["word"]
    template = next(t for t in TEMPLATES if t.name == row["template"])
    quoted = f'"{word}"' in row["prompt"] + row["completion"]
    written = other_letters(word, letters, words, f"{seed}/training/{index}")
    prompt, completion, start, end = fill(template, word, SEPARATORS[row["separator"]], quoted=quoted, letters=written)
    return {"prompt": prompt, "completion": completion, "letters_start": start, "letters_end": end}


def _packed(examples: Any, tokenizer: Any, length: int, completion_only: bool) -> Any:
    workers = min(len(examples) // 10_000 + 1, os.cpu_count() or 1)
    return examples.map(
        _encode_and_pack,
        batched=True,
        batch_size=10_000,
        remove_columns=examples.column_names,
        fn_kwargs={"tokenizer": tokenizer, "length": length, "completion_only": completion_only},
        num_proc=workers if workers > 1 else None,
        desc="encoding and packing",
    )


def _encode_and_pack(batch: Batch, tokenizer: Any, length: int, completion_only: bool) -> Batch:
    return pack(encode_examples(tokenizer, batch, completion_only=completion_only), length, tokenizer.eos_token_id)


def encode_examples(tokenizer: Any, batch: Batch, *, completion_only: bool) -> list[tuple[list[int], list[int]]]:
    """Encode examples, each with the line break after it, as token ids and labels; the prompt's are ignored if `completion_only`.

    Letters written without a separator, from `letters_start` to `letters_end`, are encoded one by one: the tokenizer would join them to
    the word again.
    """
    pieces: list[str] = []
    halves: list[tuple[int, int]] = []  # how many pieces prompt and completion are cut into
    separators = batch.get("separator", ["space"] * len(batch["prompt"]))
    for index, (prompt, completion) in enumerate(zip(batch["prompt"], batch["completion"], strict=True)):
        cut = [[prompt], [completion + "\n"]]
        if separators[index] == "none":
            start, end = batch["letters_start"][index], batch["letters_end"][index]
            cut = [_apart(cut[0][0], start, end), _apart(cut[1][0], start - len(prompt), end - len(prompt))]
        halves.append((len(cut[0]), len(cut[1])))
        pieces += cut[0] + cut[1]
    encoded = iter(tokenizer(pieces, add_special_tokens=False)["input_ids"])
    examples = []
    for prompt_pieces, completion_pieces in halves:
        first = [i for _ in range(prompt_pieces) for i in next(encoded)]
        second = [i for _ in range(completion_pieces) for i in next(encoded)]
        examples.append((first + second, ([IGNORED] * len(first) if completion_only else first) + second))
    return examples


def _apart(text: str, start: int, end: int) -> list[str]:
    """Cut a text so that the letters from `start` to `end` stand alone; a space before the first one stays with it."""
    if start < 0 or end > len(text):
        return [text]
    pieces = [text[:start], *text[start:end], text[end:]]
    if pieces[0].endswith(" "):
        pieces[0], pieces[1] = pieces[0][:-1], " " + pieces[1]
    return [piece for piece in pieces if piece]


def pack(examples: list[tuple[list[int], list[int]]], length: int, padding: int) -> Batch:
    """Pack examples, one after another, into sequences of a fixed length; none is cut, one that is longer is left out.

    Padding stands at the end, where a causal model's earlier positions cannot see it, and the loss ignores it.
    """
    packed: list[tuple[list[int], list[int]]] = []
    ids: list[int] = []
    labels: list[int] = []
    for example_ids, example_labels in examples:
        if len(example_ids) > length:
            continue
        if len(ids) + len(example_ids) > length:
            packed.append((ids, labels))
            ids, labels = [], []
        ids, labels = ids + example_ids, labels + example_labels
    if ids:
        packed.append((ids, labels))
    return {
        "input_ids": [i + [padding] * (length - len(i)) for i, _ in packed],
        "labels": [t + [IGNORED] * (length - len(t)) for _, t in packed],
    }
