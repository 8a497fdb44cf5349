"""Ask the base model and a fine-tuned model the same questions, and write the record.

An answer is the line that a model writes greedily after a few-shot prompt. Where a task has a list of candidates, the one with the highest
log-likelihood after the same prompt is stored next to it, as lm-evaluation-harness scores multiple choice (Gao et al.,
https://github.com/EleutherAI/lm-evaluation-harness).
"""

from __future__ import annotations

import random
import re
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch

from src.record.answers import MAX_ANSWER, MODELS, read_answers, write_answers
from src.record.checkpoint import checkpoint_files, hash_files
from src.record.config import ExperimentConfig, FixedQuestion, MetricsConfig
from src.record.files import load_json, sha256_file, write_json
from src.record.questions import CONTROL, question_text, read_questions, write_questions
from src.record.questions import SCHEMA as QUESTIONS_SCHEMA
from src.record.results import computed
from src.record.schemas import EvaluationResults, PromptField, RunResults, Task
from src.record.splits import dataset_files
from src.record.study import PlannedRun

from .build import CANDIDATES, QUESTION_SCHEMA, QUESTIONS, STRINGS, read_rows
from .decoding import Answer, Evaluator
from .environment import describe_environment, git_state
from .models import base_hashes, check_finite, load_adapter, load_base, load_tokenizer
from .progress import progress_bar
from .shortcuts import Guesses, letters_token
from .word_questions import asked_tokens, tokens_asked_about
from .words import read_word_list

OWN_COLUMNS = ("word", "tokens", "letter", "position")
"""Columns of the dataset's questions that the record keeps."""

METHODS = {
    "letter": "Greedy generation up to a line break; the answer is that line without spaces around it and a period at its end.",
    "spelling": "Greedy generation up to a line break; the letters a-z of that line are the answer.",
}

EXCHANGED = {"count": "the word", "position": "the position"}
"""What the control of a question exchanges, by what the question asks for."""

BEYOND_FIRST = "control_beyond_first"
"""Column with the control of a position from the 2nd on, exchanged for another one from the 2nd on."""

ASKED = "asked_about"
"""Column that says whether training asked about the tokens that hold the letter that a question asks for."""

REWORDED = {
    "letter_count": "Count the '{letter}'s that the word {word} contains:",
    "letter_position": "In the word {word}, which letter comes {ordinal}?",
}
"""The same questions in a wording that no training used."""


@dataclass(frozen=True)
class EvalTask:
    """A task of the dataset as it is put to the models.

    A `reworded` variant asks the first questions in another wording, a `fixed` one asks about the config's words.
    """

    source: str
    variant: str | None = None

    @property
    def name(self) -> str:
        """The task's name in the record."""
        return f"{self.source}_{self.variant}" if self.variant else self.source

    @property
    def candidates(self) -> tuple[str, ...] | None:
        """The answers that are chosen from; None where the answer is written freely."""
        return CANDIDATES.get(self.source)

    @property
    def asks_for(self) -> str | None:
        """`count` or `position`; None for spelling."""
        return self.source.rsplit("_", 1)[1] if self.candidates else None

    @property
    def question(self) -> str:
        """The question, with the placeholders of `fields`."""
        return (REWORDED if self.variant == "reworded" else QUESTIONS | STRINGS)[self.source]

    @property
    def fields(self) -> dict[str, PromptField]:
        """What fills each placeholder of the question."""
        fields = {
            "word": PromptField(column="word"),
            "letter": PromptField(column="letter"),
            "ordinal": PromptField(column="position", form="ordinal"),
            "letters": PromptField(column="word", form="letters"),
        }
        return {name: field for name, field in fields.items() if f"{{{name}}}" in self.question}

    def shortcuts(self, config: ExperimentConfig) -> dict[str, str]:
        """Return the answers that ignore part of the question, and their columns."""
        about_tokens = self.source not in STRINGS and config.dataset_config.question_share is not None
        known = SHORTCUTS[self.asks_for] if self.asks_for else {}
        return {label: column for label, column in known.items() if about_tokens or column not in ABOUT_TOKENS}

    def described(self, config: ExperimentConfig, questions: int) -> Task:
        """Return how the task is asked and scored, as the record states it."""
        settings = config.evaluation_config
        return Task(
            questions=questions,
            method=METHODS["letter" if self.candidates else "spelling"],
            candidates=list(self.candidates) if self.candidates else None,
            few_shot=settings.few_shot,
            prefix=few_shot_prefix(config, self),
            template=settings.example_format.replace("{question}", self.question),
            fields=self.fields,
            ignores=EXCHANGED[self.asks_for] if self.asks_for else None,
            shortcuts=self.shortcuts(config),
        )


SHORTCUTS = {
    "count": {"the letter alone": "count_by_letter"},
    "position": {
        "the position alone": "letter_by_position",
        "the word's first letter": "first_letter",
        "the word's most frequent letter": "frequent_letter",
        "the letter that look-alike tokens have there": "look_alike",
        "a linear probe of the token's embedding": "probe",
    },
}
"""Answers that ignore part of a question, and the column of the questions that holds each."""

ABOUT_TOKENS = ("look_alike", "probe")
"""Those that know which token holds the letter, and which tokens training asked about."""


def tasks_of(config: ExperimentConfig) -> list[EvalTask]:
    """List the tasks that an experiment asks: the dataset's, then those about letters of a word reworded, and about the fixed words."""
    tasks = [EvalTask(task) for task in config.dataset_config.test_questions]
    about_words = [task for task in config.dataset_config.test_questions if task in REWORDED]
    for variant in ("reworded", "fixed"):
        if getattr(config.evaluation_config, variant):
            tasks += [EvalTask(task, variant) for task in about_words]
    return tasks


def solved_examples(config: ExperimentConfig, task: str) -> list[dict[str, Any]]:
    """Choose a task's solved examples from the validation questions, as far as possible each with another answer."""
    wanted, seed = config.evaluation_config.few_shot, config.dataset_config.seed
    rows = read_rows(Path(config.dataset_config.path) / task / "validation.parquet")
    random.Random(f"{seed}/few-shot/{task}").shuffle(rows)
    chosen: list[dict[str, Any]] = []
    for fresh in (True, False):
        for row in rows:
            repeated = any(row["answer"] == other["answer"] for other in chosen)
            if len(chosen) < wanted and row not in chosen and not (fresh and repeated):
                chosen.append(row)
    random.Random(f"{seed}/few-shot-order/{task}").shuffle(chosen)
    return chosen


def few_shot_prefix(config: ExperimentConfig, task: EvalTask) -> str:
    """Write the solved examples that precede each question of a task, in the task's own wording."""
    template = config.evaluation_config.example_format.replace("{question}", task.question)
    asked = Task(questions=1, method="", template=template, fields=task.fields)
    return "".join(f"{question_text(asked, row)} {row['answer']}\n" for row in solved_examples(config, task.source))


def letters_of(line: str) -> str:
    """Return the letters a-z of a line, in lower case, `MAX_ANSWER` at most."""
    return re.sub(r"[^a-z]", "", line.lower())[:MAX_ANSWER]


def written_answer(line: str) -> str:
    """Return a written line without spaces around it and without a period at its end, `MAX_ANSWER` characters at most."""
    return line.strip().removesuffix(".").strip()[:MAX_ANSWER]


class Runner:
    """Puts tasks to one model."""

    def __init__(self, model: Any, tokenizer: Any, config: ExperimentConfig, label: str) -> None:
        self.model, self.tokenizer, self.config, self.label = model, tokenizer, config, label
        self._spelled: dict[str, str] = {}

    def answers(self, task: EvalTask, rows: list[dict[str, Any]], *, all_scores: bool) -> list[dict[str, Any]]:
        """Answer a task's questions: a row of the answers per question, without id."""
        described = task.described(self.config, len(rows))
        prompts = [question_text(described, row) for row in rows]
        lines = self._run(task, described.prefix, prompts, "written", Evaluator.write)
        candidates = task.candidates
        if candidates is None:
            texts = [letters_of(line.text) for line in lines]
            return [
                {"answer": text, "correct": text == reference(task, row), "score": line.score}
                for row, text, line in zip(rows, texts, lines, strict=True)
            ]
        texts = [written_answer(line.text) for line in lines]
        choices = self._run(
            task, described.prefix, prompts, "chosen", lambda e, batch, advance: e.choose(batch, candidates, advance)
        )
        about_words = task.source not in STRINGS
        spelled = self._spellings([row["word"] for row in rows]) if about_words else [None] * len(rows)
        return [
            {
                "own_words": own,
                "answer": text,
                "correct": text == reference(task, row),
                "score": line.score,
                "chosen": choice.text,
                "scores": choice.scores if all_scores else None,
                "answered": text in candidates,
            }
            for row, own, text, line, choice in zip(rows, spelled, texts, lines, choices, strict=True)
        ]

    def _spellings(self, words: list[str]) -> Sequence[str]:
        """Return each word's letters as the model itself writes them when asked to spell it."""
        new = sorted(set(words) - self._spelled.keys())
        task = EvalTask("spelling")
        described = task.described(self.config, 1)
        prompts = [question_text(described, {"word": word}) for word in new]
        written = self._run(task, described.prefix, prompts, "its own spellings", Evaluator.write)
        self._spelled |= {word: letters_of(answer.text) for word, answer in zip(new, written, strict=True)}
        return [self._spelled[word] for word in words]

    def _run(
        self,
        task: EvalTask,
        prefix: str,
        prompts: Sequence[str],
        doing: str,
        method: Callable[[Evaluator, Sequence[str], Callable[[int], object]], list[Answer]],
    ) -> list[Answer]:
        """Answer all prompts, with a progress bar."""
        evaluator = Evaluator(self.model, self.tokenizer, prefix, self.config.evaluation_config)
        with progress_bar() as bar:
            shown = bar.add_task(f"{self.label}, {task.name}, {doing}", total=len(prompts))
            return method(evaluator, prompts, lambda n: bar.advance(shown, n))


def reference(task: EvalTask, row: dict[str, Any]) -> str:
    """Return the right answer: one of the candidates, or the word that is to be spelled."""
    return str(row["answer"] if task.candidates else row["word"])


def evaluate(run: PlannedRun, metrics: MetricsConfig, split: str, output: Path) -> dict[str, float]:
    """Ask a split's questions and write the record.

    Of a further run of a study only the fine-tuned model is asked the test questions, and `answers/RUN.parquet` and `runs/RUN.json`
    are added to the record of the published run, which was evaluated into `output` before.

    Returns:
        The fine-tuned model's metrics.
    """
    further = run.further and split == "test"
    config = run.experiment
    checkpoint = Path(config.checkpoint)
    base_name = config.required_base_model
    tokenizer = load_tokenizer(base_name)  # first, since its error names a missing model in one line
    hashes = {
        "base": base_hashes(base_name),
        "adapter": hash_files(checkpoint_files(checkpoint)),
        "data": hash_files(dataset_files(Path(config.dataset_config.path))),
    }
    results = output / "evaluation_results.json"
    hint = "Evaluate the study's published run first."
    published = load_json(results, EvaluationResults, hint) if further else None
    base = load_base(base_name).to("cuda" if torch.cuda.is_available() else "cpu")
    check_finite(base, base_name, "Restore the weights.")
    began = time.perf_counter()
    rows = {task: _questions(config, task, split, tokenizer) for task in tasks_of(config)}
    embeddings = base.get_input_embeddings().weight.detach().cpu().numpy().astype("float64")
    tables: dict[str, pa.Table] = {}
    for model in MODELS[1:] if further else MODELS:
        # Merged into the base model's weights, which are not needed any more, the adapter costs nothing.
        tuned = model == "finetuned"
        runner = Runner(load_adapter(base, checkpoint).merge_and_unload() if tuned else base, tokenizer, config, model)
        if tuned:
            check_finite(runner.model, config.checkpoint, "Restore the weights, or train again.")
        answers = [
            {"id": _identifier(task, row), **answer}
            for task, asked in rows.items()
            for row, answer in zip(asked, runner.answers(task, asked, all_scores=run.all_scores), strict=True)
        ]
        tables[model] = pa.Table.from_pylist(answers)

    common: dict[str, Any] = {
        "config": config.as_recorded(),
        "environment": describe_environment(),
        "resources": {"duration_seconds": round(time.perf_counter() - began, 1)},
        "hashes": hashes,
        "git": git_state(),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    (output / "answers").mkdir(parents=True, exist_ok=True)
    if published is not None:
        return _write_further(run, output, metrics, published, tables["finetuned"], common)
    questions_path = output / "questions.parquet"
    questions_entry = write_questions(questions_path, _question_table(config, rows, tokenizer, embeddings))
    questions = read_questions(questions_path)
    tasks = {task.name: task.described(config, len(asked)) for task, asked in rows.items()}
    entries, values = {}, {}
    for model, name in (("base", "base"), ("finetuned", run.name if run.arm else "finetuned")):
        path = output / "answers" / f"{name}.parquet"
        entries[model] = write_answers(path, tables[model])
        values[model] = computed(metrics, questions, read_answers(path, questions, tasks), tasks)
    log = output / "training_log.json"
    write_json(
        results,
        {
            "experiment_name": config.experiment_name,
            "base_model": {"name": common["config"]["base_model"], "metrics": values["base"]},
            "finetuned_model": {"name": common["config"]["checkpoint"], "metrics": values["finetuned"]},
            "tasks": {name: task.model_dump(mode="json", exclude_defaults=True) for name, task in tasks.items()},
            "questions": questions_entry,
            "answers": entries,
            "training_log": {"file": log.name, "sha256": sha256_file(log)} if log.is_file() else None,
            **common,
        },
    )
    return values["finetuned"]


def _write_further(
    run: PlannedRun,
    output: Path,
    metrics: MetricsConfig,
    published: EvaluationResults,
    table: pa.Table,
    common: dict[str, Any],
) -> dict[str, float]:
    """Add a further run's answers and metrics to the record."""
    questions = read_questions(output / "questions.parquet")
    path = output / "answers" / f"{run.name}.parquet"
    entry = write_answers(path, table)
    values = computed(metrics, questions, read_answers(path, questions, published.tasks), published.tasks)
    place = output / "runs" / f"{run.name}.json"
    trained = load_json(place, RunResults, "Train the run again.").training_log if place.is_file() else None
    log = trained.model_dump(mode="json", exclude_none=True) if trained else None
    place.parent.mkdir(parents=True, exist_ok=True)
    write_json(place, {"run": run.name, "metrics": values, "answers": entry, **common, "training_log": log})
    return values


def _identifier(task: EvalTask, row: dict[str, Any]) -> str:
    return f"{row['id']}-{task.variant}" if task.variant else str(row["id"])


def _questions(config: ExperimentConfig, task: EvalTask, split: str, tokenizer: Any) -> list[dict[str, Any]]:
    """Read a task's questions; of validation questions, without those that serve as solved examples."""
    if task.variant == "fixed":
        return [_fixed(task, given, tokenizer) for given in config.evaluation_config.fixed]
    rows = read_rows(Path(config.dataset_config.path) / task.source / f"{split}.parquet")
    if task.variant == "reworded":
        rows = rows[: config.evaluation_config.reworded]
    if split != "validation":
        return rows
    solved = solved_examples(config, task.source)
    return [row for row in rows if row not in solved]


def _fixed(task: EvalTask, given: FixedQuestion, tokenizer: Any) -> dict[str, Any]:
    """Ask about a word that the config names."""
    counts, word = task.asks_for == "count", given.word
    return {
        "id": f"{task.source}-{word}",
        "word": word,
        "tokens": [tokenizer.decode([i]) for i in tokenizer.encode(f" {word}", add_special_tokens=False)],
        "letter": given.letter if counts else None,
        "position": None if counts else given.position,
        "answer": str(word.count(given.letter)) if counts else word[given.position - 1],
    }


def _question_table(
    config: ExperimentConfig, rows: dict[EvalTask, list[dict[str, Any]]], tokenizer: Any, embeddings: Any
) -> pa.Table:
    """Put the questions of all tasks into columns, with their controls and shortcuts."""
    trained = _tokens_inside_words(Path(config.dataset_config.path) / "training/train.parquet", tokenizer)
    divided = config.dataset_config.question_share is not None
    about = asked_tokens(tokenizer, config.dataset_config) if divided else frozenset()
    guesses = Guesses(tokenizer, embeddings, about, read_word_list(Path(config.dataset_config.word_list)))
    table = []
    for task, asked in rows.items():
        shortcuts = _shortcuts(task, config, guesses)
        for row, control in zip(asked, _controls(task, asked), strict=True):
            table.append(
                {
                    "id": _identifier(task, row),
                    "task": task.name,
                    **{name: row[name] for name in OWN_COLUMNS},
                    "untrained_token": None if task.source in STRINGS else not set(row["tokens"]) <= trained,
                    **(_divided(row, about, guesses) if divided and task.source not in STRINGS else {}),
                    **{column: answer(row) for column, answer in shortcuts.items()},
                    "reference": reference(task, row),
                    "control": control,
                    BEYOND_FIRST: _distribution(row["word"][1:]) if (row["position"] or 0) > 1 else None,
                }
            )
    own = [QUESTION_SCHEMA.field(name) for name in OWN_COLUMNS]
    schema = [*list(QUESTIONS_SCHEMA)[:2], *own, ("untrained_token", pa.bool_())]
    if divided:
        schema += [(ASKED, pa.string()), ("token", pa.string()), ("token_number", pa.int32()), ("strict", pa.string())]
    schema += [(column, pa.string()) for names in SHORTCUTS.values() for column in names.values()]
    schema += [("reference", pa.string()), ("control", CONTROL), (BEYOND_FIRST, CONTROL)]
    return pa.Table.from_pylist(table, schema=pa.schema(schema))


def _divided(row: dict[str, Any], asked: frozenset[str], guesses: Guesses) -> dict[str, Any]:
    """Say which token a question is about, whether training asked about it, and whether nothing but its letters gives the answer away."""
    if row["position"] is None:
        holding = [token.strip() for token in row["tokens"] if row["letter"] and row["letter"] in token]
        return {ASKED: tokens_asked_about(row, asked), "token": "+".join(holding) or None}
    number, token, place = letters_token(row["tokens"], row["position"])
    about = tokens_asked_about(row, asked)
    guessed = {guess(token, place) for guess in (guesses.look_alike, guesses.probe, guesses.english_order)}
    return {
        ASKED: about,
        "token": token.strip(),
        "strict": "yes" if about == "no" and row["answer"] not in guessed else "no",
        "token_number": number,
    }


def _controls(task: EvalTask, rows: list[dict[str, Any]]) -> list[list[dict[str, Any]] | None]:
    """Return for each question the distribution of right answers if what it asks for were exchanged.

    For a letter at a position: the word's letters, each with its share of positions. For a count: the counts of that letter in all
    words that the split asks about it.
    """
    if task.asks_for == "position":
        return [_distribution(row["word"]) for row in rows]
    if task.asks_for == "count":
        counts = defaultdict(list)
        for row in rows:
            counts[row["letter"]].append(row["answer"])
        by_letter = {letter: _distribution(answers) for letter, answers in counts.items()}
        return [by_letter[row["letter"]] for row in rows]
    return [None] * len(rows)


def _distribution(answers: Sequence[str]) -> list[dict[str, Any]]:
    return [{"answer": answer, "share": n / len(answers)} for answer, n in sorted(Counter(answers).items())]


def _shortcuts(
    task: EvalTask, config: ExperimentConfig, guesses: Guesses
) -> dict[str, Callable[[dict[str, Any]], str | None]]:
    """Return what fills the columns of a task's shortcuts; what needs examples is taken from validation questions."""
    if task.asks_for is None:
        return {}
    given = "letter" if task.asks_for == "count" else "position"
    seen: dict[Any, Counter[str]] = defaultdict(Counter)
    for row in read_rows(Path(config.dataset_config.path) / task.source / "validation.parquet"):
        seen[row[given]][row["answer"]] += 1
    overall = sum(seen.values(), Counter()).most_common(1)[0][0]

    def best(row: dict[str, Any]) -> str:
        return seen[row[given]].most_common(1)[0][0] if seen[row[given]] else overall

    known: dict[str, Callable[[dict[str, Any]], str]] = {
        "count_by_letter": best,
        "letter_by_position": best,
        "first_letter": lambda row: str(row["word"][0]),
        "frequent_letter": lambda row: Counter(row["word"]).most_common(1)[0][0],
        "look_alike": lambda row: guesses.look_alike(*letters_token(row["tokens"], row["position"])[1:]),
        "probe": lambda row: guesses.probe(*letters_token(row["tokens"], row["position"])[1:]),
    }
    return {column: known[column] for column in task.shortcuts(config).values()}


def _tokens_inside_words(path: Path, tokenizer: Any) -> set[str]:
    """Return the tokens that training spells out as parts of words of several tokens."""
    ids = pq.read_table(path, columns=["token_ids"])["token_ids"].combine_chunks()
    parts = ids.filter(pc.greater(pc.list_value_length(ids), 1)).flatten().unique().to_pylist()
    return {tokenizer.decode([token]) for token in parts}
