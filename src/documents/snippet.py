"""What the card's snippet asks the model: the author's prompt, or a question of the evaluation."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np

from src.record.checkpoint import json_object
from src.record.load import Record

LOOKED_AT = 50
"""Questions of a task among which one is looked for."""

LONGEST = 1000
"""Characters of a recorded question that a card has room for."""


@dataclass(frozen=True)
class Prompt:
    """What a snippet asks.

    Attributes:
        answer: The model's answer on record, where the prompt is a question of the evaluation, asked as it was there.
        chat: Whether it is sent as a user's message, which the tokenizer's template surrounds.
        method: How the answer on record was obtained.
        as_written: Whether that answer is the line that the model wrote, without spaces around it and a period at its end.
    """

    text: str
    answer: str | None = None
    chat: bool = False
    method: str = ""
    as_written: bool = False

    @property
    def code(self) -> str:
        """The prompt as Python code."""
        text = python_string(self.text)
        return f'[{{"role": "user", "content": {text}}}]' if self.chat else text


def python_string(text: str) -> str:
    """Write a text as a Python string in which nothing is invisible, and no line of which ends a block of code in Markdown."""
    if "```" in text or not text.replace("\n", "").isprintable():
        return ascii(text).replace("`", "\\x60")
    if "\n" in text and "\\" not in text and '"""' not in text and not text.endswith('"'):
        return f'"""{text}"""'
    return json.dumps(text, ensure_ascii=False)


def snippet_prompt(record: Record) -> Prompt:
    """Choose what the snippet asks: the author's prompt, as it was asked if it is on record, or the first recorded question.

    Without either, it says hello.
    """
    chat = _has_chat_template(record)
    stated = (record.project.example_prompt or "").strip("\n")
    if stated and chat:
        return Prompt(stated, chat=True)
    source = record.results.source
    asked = [part for part in source.settings.values() if isinstance(part, dict)] if source else []
    if any("chat_template_sha" in part for part in asked):
        chat = False  # the recorded prompts have the template's text in them
    for task in record.results.tasks:
        rows = record.answered(record.run_name, task)
        if rows is None:
            continue
        rows = rows.where(np.arange(len(rows)) < LOOKED_AT)
        answers = rows.texts("answer") if rows.has("answer") else [None] * len(rows)
        for prompt, answer in zip(rows.prompts(), answers, strict=True):
            if prompt.strip() and len(prompt) <= LONGEST and prompt.endswith(stated):
                of = record.results.tasks[task]
                as_written = of.judged == "comparison" and of.candidates is not None
                return Prompt(prompt, None if chat else answer, chat, of.method, as_written)
    return Prompt(stated or "Hello", chat=chat)


def _has_chat_template(record: Record) -> bool:
    if (record.checkpoint / "chat_template.jinja").is_file():
        return True
    config = record.checkpoint / "tokenizer_config.json"
    return config.is_file() and bool(json_object(config).get("chat_template"))
