"""Choose and write answers with one model: the candidate with the highest log-likelihood, and what greedy decoding writes."""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from src.record.config import EvaluationConfig
from src.record.errors import InputError

PASS_TOKENS = 64
"""Cost of one forward pass on top of its tokens, as a number of tokens: about that of gpt2-mini on one core."""


@dataclass(frozen=True)
class Answer:
    """A model's answer to one prompt.

    Attributes:
        text: The candidate that was chosen, or the first line that was written.
        score: Its log-likelihood in nats, given the prompt; `scores` are those of all candidates, where there was a choice.
    """

    text: str
    score: float
    scores: tuple[float, ...] | None = None


def _shared_tokens(encoded: Sequence[Sequence[int]]) -> int:
    """Choose how many first tokens of the prompts to compute once for all that share them, so that the model has least to do.

    More of them leave fewer tokens to each prompt, but spread the prompts over more passes of the model.
    """

    def effort(shared: int) -> int:
        passes = {(tuple(ids[:shared]), len(ids)) for ids in encoded}
        return sum(len(ids) - shared for ids in encoded) + PASS_TOKENS * len(passes)

    return min(range(min(map(len, encoded), default=0)), key=effort, default=0)


def _batches(encoded: Sequence[Sequence[int]], size: int) -> Iterator[tuple[tuple[int, ...], list[int]]]:
    """Group prompts by beginning and length, so that no batch needs padding; yield each batch's beginning and its prompts' places."""
    shared = _shared_tokens(encoded)
    groups: dict[tuple[tuple[int, ...], int], list[int]] = defaultdict(list)
    for index, ids in enumerate(encoded):
        groups[tuple(ids[:shared]), len(ids)].append(index)
    for (beginning, _), indices in sorted(groups.items()):
        for start in range(0, len(indices), size):
            yield beginning, indices[start : start + size]


class Evaluator:
    """A model and its tokenizer, ready to answer questions after a shared prefix that is computed once."""

    def __init__(self, model: Any, tokenizer: Any, prefix: str, config: EvaluationConfig) -> None:
        self.model, self.tokenizer, self.config = model.eval(), tokenizer, config
        self.device = next(model.parameters()).device
        self.prefix = self._encode(prefix) or [tokenizer.eos_token_id]
        self._check_fit([], 0)
        with torch.inference_mode():
            ids = torch.tensor([self.prefix], device=self.device)
            self.cache = model(input_ids=ids, use_cache=True).past_key_values
        self.latest: tuple[tuple[int, ...], Any] = ((), self.cache)

    def _encode(self, text: str) -> list[int]:
        return list(self.tokenizer.encode(text, add_special_tokens=False))

    def _check_fit(self, encoded: Sequence[Sequence[int]], answer: int) -> None:
        """Refuse prompts that do not fit the model's context together with their answer."""
        context = getattr(self.model.config, "max_position_embeddings", None)
        longest = len(self.prefix) + max((len(ids) for ids in encoded), default=0) + answer
        if context is not None and longest > context:
            message = f"few_shot: prompts and answers of up to {longest} tokens, of at most {context}. Lower it."
            raise InputError("evaluation_config", message)

    def _cache(self, beginning: tuple[int, ...], rows: int) -> Any:
        """Return the keys and values of the shared prefix and of a batch's beginning, which is computed when it is not the last batch's."""
        if beginning != self.latest[0]:
            cache = copy.deepcopy(self.cache)
            ids = torch.tensor([beginning], device=self.device)
            positions = self._positions(len(self.prefix), ids)
            self.model(input_ids=ids, past_key_values=cache, position_ids=positions, use_cache=True, logits_to_keep=1)
            self.latest = (beginning, cache)
        cache = copy.deepcopy(self.latest[1])
        cache.batch_repeat_interleave(rows)
        return cache

    def _positions(self, start: int, ids: torch.Tensor) -> torch.Tensor:
        return torch.arange(start, start + ids.shape[1], device=self.device).expand(len(ids), -1)

    @torch.inference_mode()
    def choose(
        self, prompts: Sequence[str], candidates: Sequence[str], advance: Callable[[int], object] | None = None
    ) -> list[Answer]:
        """Answer by the most likely candidate, each written after a space; a score is the sum over its tokens."""
        options = [tuple(self._encode(f" {candidate}")) for candidate in candidates]
        beginnings = {option[:-1] for option in options}
        # One pass gives the probabilities after a beginning and after each shorter one that it starts with.
        passes = [b for b in beginnings if not any(b != other and other[: len(b)] == b for other in beginnings)]
        encoded = [self._encode(prompt) for prompt in prompts]
        self._check_fit(encoded, max(len(option) for option in options))
        answers: list[Answer | None] = [None] * len(prompts)
        for shared, batch in _batches(encoded, self.config.batch_size):
            ids = torch.tensor([encoded[i][len(shared) :] for i in batch], device=self.device)
            after: dict[tuple[int, ...], torch.Tensor] = {}
            for beginning in passes:
                more = torch.tensor(beginning, dtype=torch.long, device=self.device).expand(len(batch), -1)
                fed = torch.cat([ids, more], dim=1)
                logits = self.model(
                    input_ids=fed,
                    past_key_values=self._cache(shared, len(batch)),
                    position_ids=self._positions(len(self.prefix) + len(shared), fed),
                    use_cache=True,
                    logits_to_keep=len(beginning) + 1,
                ).logits
                likely = logits.float().log_softmax(-1)
                after |= {beginning[:n]: likely[:, n] for n in range(len(beginning) + 1)}
            scores = torch.stack(
                [torch.stack([after[o[:n]][:, o[n]] for n in range(len(o))]).sum(0) for o in options], dim=1
            )
            for index, row in zip(batch, scores.tolist(), strict=True):
                best = max(range(len(row)), key=row.__getitem__)
                answers[index] = Answer(candidates[best], row[best], tuple(row))
            if advance:
                advance(len(batch))
        return [answer for answer in answers if answer is not None]

    @torch.inference_mode()
    def write(self, prompts: Sequence[str], advance: Callable[[int], object] | None = None) -> list[Answer]:
        """Write greedily up to a line break, the end of the text or `max_new_tokens`."""
        stop = {self.tokenizer.eos_token_id, *self._encode("\n")}
        encoded = [self._encode(prompt) for prompt in prompts]
        self._check_fit(encoded, self.config.max_new_tokens)
        answers: list[Answer | None] = [None] * len(prompts)
        for shared, batch in _batches(encoded, self.config.batch_size):
            cache = self._cache(shared, len(batch))
            ids = torch.tensor([encoded[i][len(shared) :] for i in batch], device=self.device)
            position = len(self.prefix) + len(shared)
            written: dict[int, list[int]] = {index: [] for index in batch}
            scores = dict.fromkeys(batch, 0.0)
            running = batch
            for _ in range(self.config.max_new_tokens):
                out = self.model(
                    input_ids=ids,
                    past_key_values=cache,
                    position_ids=self._positions(position, ids),
                    use_cache=True,
                    logits_to_keep=1,
                )
                position += ids.shape[1]
                best = out.logits[:, -1].float().log_softmax(-1).max(dim=-1)
                for index, token, score in zip(running, best.indices.tolist(), best.values.tolist(), strict=True):
                    scores[index] += score
                    written[index].append(token)
                going = [row for row, index in enumerate(running) if written[index][-1] not in stop]
                if not going:
                    break
                tokens = best.indices
                if len(going) < len(running):
                    kept = torch.tensor(going, device=self.device)
                    cache.batch_select_indices(kept)
                    running, tokens = [running[row] for row in going], tokens[kept]
                ids = tokens.unsqueeze(1)
            for index in batch:
                text = self.tokenizer.decode(written[index], skip_special_tokens=True)
                answers[index] = Answer(text.lstrip("\n").split("\n", 1)[0], scores[index])
            if advance:
                advance(len(batch))
        return [answer for answer in answers if answer is not None]
