"""The ways in which a spelling is written out for training."""

from __future__ import annotations

from dataclasses import dataclass

SEPARATORS = {"space": " ", "comma": ", ", "dash": "-", "dots": "...", "arrow": " -> ", "none": ""}
"""What stands between the letters, by name."""


@dataclass(frozen=True)
class Template:
    """A sentence with a word and its letters.

    Attributes:
        prompt: What the model is given; `{word}` is always preceded by a space here or in `completion`.
        completion: What it learns to write. `{letters}`, `{first}`, `{last}` and `{n}` are filled in.
        states_position: Whether the sentence names the first or the last letter.
        states_count: Whether the sentence names the number of letters.
    """

    name: str
    style: str
    prompt: str
    completion: str
    states_position: bool = False
    states_count: bool = False


TEMPLATES = (
    # Word first.
    Template("plain", "plain", "The word {word} is spelled", " {letters}."),
    Template("plain_how", "plain", "Here is how to spell {word}:", " {letters}."),
    Template("plain_question", "plain", "How do you spell {word}?", " {letters}."),
    Template("narrative_board", "narrative", "The teacher wrote {word} on the board and the class read the letters aloud:", " {letters}."),
    Template("narrative_letter", "narrative", "She stopped at {word} in his letter and traced each sign in turn:", " {letters}."),
    Template("formal", "formal", "The correct spelling of the word {word} is as follows:", " {letters}."),
    Template("formal_compose", "formal", "The written form of {word} is composed of the characters", " {letters}."),
    Template("emphatic", "emphatic", "Listen well! You spell {word} like this:", " {letters}!"),
    Template("emphatic_never", "emphatic", "Never get {word} wrong again! It goes", " {letters}!"),
    Template("structured", "structured", "Word: {word}\nLetters:", " {letters}"),
    Template("structured_equals", "structured", "Entry {word} =", " {letters}"),
    # Spelling first.
    Template("reverse_plain", "plain", "The letters {letters} spell", " {word}."),
    Template("reverse_narrative", "narrative", "The child called out {letters} and the whole room answered:", " {word}."),
    Template("reverse_formal", "formal", "Read together, the characters {letters} form the word", " {word}."),
    Template("reverse_emphatic", "emphatic", "Look at {letters}! That is", " {word}!"),
    Template("reverse_structured", "structured", "Letters: {letters}\nWord:", " {word}"),
    # With first and last letter, or the number of letters.
    Template("ends", "plain", "The word {word} begins with", " {first} and ends with {last}: {letters}.", states_position=True),
    Template("ends_structured", "structured", "Word: {word}\nFirst and last:", " {first} {last}\nLetters: {letters}", states_position=True),
    Template("length", "plain", "The word {word} has", " {n} letters: {letters}.", states_count=True),
    Template("length_ends", "formal", "The entry {word} consists of", " {n} letters, from {first} to {last}: {letters}.", True, True),
)  # fmt: skip


def fill(
    template: Template, word: str, separator: str, *, quoted: bool, letters: str | None = None
) -> tuple[str, str, int, int]:
    """Write a word out in a template: prompt, completion, and where the letters start and end in the two put together."""
    letters = letters or word
    written = separator.join(letters)
    values = {
        "word": f'"{word}"' if quoted else word,
        "letters": "\0",
        "first": letters[0],
        "last": letters[-1],
        "n": str(len(letters)),
    }
    prompt, completion = template.prompt.format(**values), template.completion.format(**values)
    start = (prompt + completion).index("\0")
    return prompt.replace("\0", written), completion.replace("\0", written), start, start + len(written)
