"""Build the spelling dataset from a tokenizer's vocabulary and a word list."""

from __future__ import annotations

import random
import re
import string
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from src.record.config import DatasetConfig
from src.record.errors import InputError
from src.record.files import atomic
from src.record.questions import ordinal
from src.record.tables import read_table

from .templates import SEPARATORS, TEMPLATES, Template, fill

QUESTIONS = {
    "letter_count": "How many '{letter}'s are in the word {word}?",
    "letter_position": "What is the {ordinal} letter in the word {word}?",
    "spelling": "How do you spell the word {word}?",
}
"""The wording of each question about a word."""

STRINGS = {
    "string_count": "The letters are{letters}. How many '{letter}'s are in the row?",
    "string_position": "The letters are{letters}. What is the {ordinal} letter in the row?",
}
"""The wording of each question about a random string of letters, which shows them; `{letters}` has a space before each letter."""

TRAINING_SCHEMA = pa.schema(
    [
        ("word", pa.string()),
        ("token_ids", pa.list_(pa.int32())),
        ("template", pa.string()),
        ("style", pa.string()),
        ("separator", pa.string()),
        ("states_position", pa.bool_()),
        ("states_count", pa.bool_()),
        ("prompt", pa.string()),
        ("completion", pa.string()),
        ("letters_start", pa.int32()),
        ("letters_end", pa.int32()),
    ]
)
QUESTION_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("task", pa.string()),
        ("word", pa.string()),
        ("tokens", pa.list_(pa.string())),
        ("letter", pa.string()),
        ("position", pa.int32()),
        ("question", pa.string()),
        ("answer", pa.string()),
    ]
)

_LETTERS_ONLY = re.compile(r"[A-Za-z]{2,}")

FRUITLESS_ROUNDS = 5
"""Rounds of 20,000 draws without a new made-up word after which the vocabulary counts as exhausted."""

LETTERS = tuple(string.ascii_lowercase)
CANDIDATES: dict[str, tuple[str, ...]] = dict.fromkeys(("letter_count", "string_count"), tuple(string.digits))
CANDIDATES |= dict.fromkeys(("letter_position", "string_position"), LETTERS)
"""The answers that a multiple-choice task chooses from."""


def letter_tokens(tokenizer: Any) -> list[tuple[int, str, bool]]:
    """List the vocabulary's tokens of two or more letters: id, letters, and whether it begins with a space, in the order of the ids."""
    found = []
    special = set(tokenizer.all_special_ids)
    for token_id in range(len(tokenizer)):
        text = tokenizer.decode([token_id])
        spaced = text.startswith(" ")
        word = text[1:] if spaced else text
        if token_id not in special and _LETTERS_ONLY.fullmatch(word):
            found.append((token_id, word, spaced))
    return found


def training_rows(
    tokenizer: Any, seed: int, chains: int, forbidden: frozenset[str], allowed: frozenset[str] | None = None
) -> list[dict[str, Any]]:
    """Write spellings out in the templates, with separators drawn at random (a space three times as often as each other).

    First every letters-only token in every template. A token that begins with a space is written plainly, any other in
    quotes, so that the tokenizer gives the very token in the sentence. Then `chains` made-up words of two or three tokens,
    each in one template: a word of the questions is several tokens, and these teach to continue from one to the next.

    `forbidden` are real words, which no chain may be; `allowed` the letters of the tokens that are spelled, in lower case. Made-up
    words of these take the place of the examples of the others.
    """
    rng = random.Random(f"{seed}/training")
    rows = []
    for token_id, word, spaced in letter_tokens(tokenizer):
        written = f"see {word}." if spaced else f'see "{word}".'
        if token_id not in tokenizer.encode(written, add_special_tokens=False):
            continue
        if allowed is not None and word.lower() not in allowed:
            chains += len(TEMPLATES)
        else:
            rows += [_training_row(rng, [token_id], word, template, quoted=not spaced) for template in TEMPLATES]
    for ids, word in made_up_words(tokenizer, rng, chains, forbidden, allowed):
        rows.append(_training_row(rng, ids, word, rng.choice(TEMPLATES), quoted=False))
    rng.shuffle(rows)
    return rows


def _training_row(rng: random.Random, ids: list[int], word: str, template: Template, *, quoted: bool) -> dict[str, Any]:
    separator = rng.choices(list(SEPARATORS), weights=[3 if name == "space" else 1 for name in SEPARATORS])[0]
    prompt, completion, start, end = fill(template, word, SEPARATORS[separator], quoted=quoted)
    return {
        "word": word,
        "token_ids": ids,
        "template": template.name,
        "style": template.style,
        "separator": separator,
        "states_position": template.states_position,
        "states_count": template.states_count,
        "prompt": prompt,
        "completion": completion,
        "letters_start": start,
        "letters_end": end,
    }


def made_up_words(
    tokenizer: Any, rng: random.Random, wanted: int, forbidden: frozenset[str], allowed: frozenset[str] | None = None
) -> list[tuple[list[int], str]]:
    """Draw made-up words of two or three lower-case tokens that the tokenizer cuts just there, at most 14 letters long."""
    tokens = [(i, word, spaced) for i, word, spaced in letter_tokens(tokenizer) if word.islower()]
    known = {word for _, word, _ in tokens}
    lower = [(i, word, spaced) for i, word, spaced in tokens if allowed is None or word in allowed]
    heads = [(i, word) for i, word, spaced in lower if spaced]
    tails = [(i, word) for i, word, spaced in lower if not spaced]
    found: dict[str, list[int]] = {}
    fruitless = 0
    while len(found) < wanted:
        drawn = []
        for _ in range(20_000 if heads and tails else 0):
            parts = [rng.choice(heads), *rng.choices(tails, k=rng.choice((1, 2)))]
            word = "".join(letters for _, letters in parts)
            if len(word) <= 14 and word not in forbidden and word not in known:
                drawn.append((word, [i for i, _ in parts]))
        encoded = tokenizer([f" {word}" for word, _ in drawn], add_special_tokens=False)["input_ids"] if drawn else []
        before = len(found)
        found |= {word: ids for (word, ids), actual in zip(drawn, encoded, strict=True) if actual == ids}
        fruitless = fruitless + 1 if len(found) == before else 0
        if fruitless == FRUITLESS_ROUNDS or not drawn:
            raise InputError("dataset_config", f"chains: {wanted:,}, but the vocabulary gives {len(found):,}.")
    return [(ids, word) for word, ids in list(found.items())[:wanted]]


class Strings:
    """Draws strings of letters that are no words, each at most once."""

    def __init__(self, seed: str, forbidden: frozenset[str]) -> None:
        self._rng = random.Random(seed)
        self._taken = set(forbidden)

    def draw(self, skill: str) -> dict[str, Any]:
        """Draw a string of 4 to 12 letters and a question about it.

        For `count` a letter occurs once, twice, three or four times, the first three equally often; for `position` every
        position is equally likely.
        """
        rng = self._rng
        while True:
            length = rng.randint(4, 12)
            letter, times = rng.choice(LETTERS), rng.choices((1, 2, 3, 4), weights=(3, 3, 3, 1))[0]
            if skill == "count":
                others = [other for other in LETTERS if other != letter]
                drawn = [letter] * times + rng.choices(others, k=length - times)
            else:
                drawn = rng.choices(LETTERS, k=length)
            rng.shuffle(drawn)
            letters = "".join(drawn)
            if letters not in self._taken:
                self._taken.add(letters)
                if skill == "count":
                    return {"word": letters, "letter": letter, "position": None, "answer": str(times)}
                position = rng.randint(1, length)
                return {"word": letters, "letter": None, "position": position, "answer": letters[position - 1]}


def eligible_words(tokenizer: Any, words: Sequence[str]) -> dict[str, list[str]]:
    """Keep the words that make a fair test.

    A word is kept, with its tokens in a sentence, when it splits into two or more tokens both after a space and at the start of a text
    (so training never spells it as one token), and one of its tokens has two or more letters.
    """
    spaced = tokenizer([f" {word}" for word in words], add_special_tokens=False)["input_ids"]
    bare = tokenizer(list(words), add_special_tokens=False)["input_ids"]
    known = {word.lower() for _, word, _ in letter_tokens(tokenizer)}
    kept = {}
    for word, ids, bare_ids in zip(words, spaced, bare, strict=True):
        tokens = [tokenizer.decode([i]) for i in ids]
        longest = max(len(token.strip()) for token in tokens)
        if len(ids) >= 2 and len(bare_ids) >= 2 and longest >= 2 and word not in known:
            kept[word] = tokens
    return kept


def by_length(words: Iterable[str]) -> dict[int, list[str]]:
    """Group words by their number of letters."""
    groups: dict[int, list[str]] = defaultdict(list)
    for word in words:
        groups[len(word)].append(word)
    return dict(groups)


def _spread(rng: random.Random, groups: dict[int, list[Any]], total: int) -> list[Any]:
    """Draw `total` items from groups as evenly as they allow: a group that runs out leaves its share to the others."""
    pools = {key: rng.sample(items, len(items)) for key, items in sorted(groups.items())}
    drawn: list[Any] = []
    while len(drawn) < total and any(pools.values()):
        for key in pools:
            if pools[key] and len(drawn) < total:
                drawn.append(pools[key].pop())
    return drawn


def count_questions(rng: random.Random, words: Iterable[str], total: int) -> list[dict[str, Any]]:
    """Ask how often a letter stands in a word; answers balanced over 1, 2, and 3 or more, spread over word lengths.

    Each word is used at most once. The letter is drawn from those with the wanted count. Words with a letter three times are
    the scarcest, so they are drawn first.
    """
    left = list(words)
    rows: list[dict[str, Any]] = []
    for wanted in (3, 2, 1):
        groups: dict[int, list[tuple[str, list[str]]]] = defaultdict(list)
        for word in left:
            counts = Counter(word)
            letters = sorted(c for c, n in counts.items() if (n >= 3 if wanted == 3 else n == wanted))
            if letters:
                groups[len(word)].append((word, letters))
        share = (total - len(rows)) // wanted
        for word, letters in _spread(rng, groups, share):
            letter = rng.choice(letters)
            rows.append({"word": word, "letter": letter, "position": None, "answer": str(word.count(letter))})
        used = {row["word"] for row in rows}
        left = [word for word in left if word not in used]
    return rows


def position_questions(rng: random.Random, words: Iterable[str], total: int) -> list[dict[str, Any]]:
    """Ask for the letter at a position; every pair of word length and position is drawn equally often."""
    pools = {length: rng.sample(items, len(items)) for length, items in sorted(by_length(words).items())}
    cells = [(length, position) for length in pools for position in range(1, length + 1)]
    rows: list[dict[str, Any]] = []
    while len(rows) < total and any(pools.values()):
        for length, position in cells:
            if pools[length] and len(rows) < total:
                word = pools[length].pop()
                rows.append({"word": word, "letter": None, "position": position, "answer": word[position - 1]})
    return rows


def spelling_questions(rng: random.Random, words: Iterable[str], total: int) -> list[dict[str, Any]]:
    """Ask for a word's spelling, spread evenly over word lengths."""
    drawn = _spread(rng, by_length(words), total)
    return [{"word": word, "letter": None, "position": None, "answer": " ".join(word)} for word in drawn]


_MAKERS: dict[str, Callable[[random.Random, Iterable[str], int], list[dict[str, Any]]]] = {
    "letter_count": count_questions,
    "letter_position": position_questions,
    "spelling": spelling_questions,
}


def question_rows(
    words: dict[str, list[str]], strings: Strings, split: str, sizes: dict[str, int], seed: int
) -> dict[str, list[dict[str, Any]]]:
    """Make one split's questions for every task."""
    out = {}
    for task, size in sizes.items():
        if task in STRINGS:
            rows = [strings.draw(task.removeprefix("string_")) for _ in range(size)]
        else:
            rng = random.Random(f"{seed}/{split}/{task}")
            rows = _MAKERS[task](rng, sorted(words), size)
            rng.shuffle(rows)
        for index, row in enumerate(rows):
            letters = [f" {letter}" for letter in row["word"]]
            number = ordinal(row["position"]) if row["position"] else ""
            row["question"] = (QUESTIONS | STRINGS)[task].format(
                word=row["word"], letters="".join(letters), letter=row["letter"], ordinal=number
            )
            row["tokens"] = letters if task in STRINGS else words[row["word"]]
            row |= {"task": task, "id": f"{split}-{task}-{index:05d}"}
        out[task] = rows
    return out


def split_words(words: Sequence[str], seed: int, validation_share: float) -> tuple[list[str], list[str]]:
    """Split words at random into validation and test, disjoint."""
    shuffled = random.Random(f"{seed}/split").sample(sorted(words), len(words))
    cut = round(len(shuffled) * validation_share)
    return shuffled[:cut], shuffled[cut:]


def write_parquet(path: Path, rows: list[dict[str, Any]], schema: pa.Schema) -> None:
    """Write rows as Parquet, whole or not at all; the same rows give the same bytes."""
    table = pa.Table.from_pylist(rows, schema=schema)
    with atomic(path) as temporary:
        pq.write_table(table, temporary, compression="zstd", compression_level=19)


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Read a Parquet file of questions."""
    rows: list[dict[str, Any]] = read_table(path, "Run `python -m src.dataset`.").to_pylist()
    if not rows or not rows[0].keys() >= set(QUESTION_SCHEMA.names):
        raise InputError(path, "no questions in it. Ask for some in dataset_config, and run `python -m src.dataset`.")
    return rows


def build(tokenizer: Any, words: Sequence[str], output: Path, config: DatasetConfig) -> dict[str, int]:
    """Build the whole dataset: training examples, validation and test questions."""
    tasks = [*_MAKERS, *STRINGS]
    unknown = {*config.test_questions, *config.validation_questions} - set(tasks)
    if unknown:
        raise InputError("dataset_config", f"questions: {min(unknown)} is not one of {', '.join(tasks)}.")
    eligible = eligible_words(tokenizer, words)
    for_validation, for_test = split_words(list(eligible), config.seed, config.validation_share)
    examples = training_rows(tokenizer, config.seed, config.chains, frozenset(words))
    files: dict[str, tuple[list[dict[str, Any]], pa.Schema]] = {"training/train.parquet": (examples, TRAINING_SCHEMA)}
    taken = frozenset(words) | {word for _, word, _ in letter_tokens(tokenizer)}
    strings = Strings(f"{config.seed}/strings", taken)
    for split, chosen, sizes in (
        ("validation", for_validation, config.validation_questions),
        ("test", for_test, config.test_questions),
    ):
        for task, rows in question_rows({w: eligible[w] for w in chosen}, strings, split, sizes, config.seed).items():
            if len(rows) < sizes[task]:
                raise InputError(output, f"{task}, {split}: words for {len(rows)} questions only. Ask fewer.")
            files[f"{task}/{split}.parquet"] = (rows, QUESTION_SCHEMA)
    for name, (rows, schema) in files.items():
        write_parquet(output / name, rows, schema)
    return {name: len(rows) for name, (rows, _) in files.items()}
