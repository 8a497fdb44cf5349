"""Train a small GPT-2 from scratch on a folder of public-domain books."""

from __future__ import annotations

import csv
import hashlib
import json
import math
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from src.record.config import PretrainConfig
from src.record.errors import InputError, show
from src.record.files import atomic, sha256_file, sha256_tree, write_json

from .energy import total, track
from .progress import progress_bar

END_OF_TEXT = "<|endoftext|>"
_HEADER = re.compile(r"\A(?:\s*#+ (?:Title|Author|Year):[^\n]*\n|\s*\n)*-{3,}\s*\n")


@dataclass(frozen=True)
class Book:
    """One file of the corpus: its path inside the folder, its SHA-256 and its text without the header."""

    path: str
    sha256: str
    text: str


def strip_header(text: str) -> str:
    """Remove a book's header (title, author, year, rule), which is not part of the book."""
    return _HEADER.sub("", text, count=1).strip() + "\n"


def read_corpus(folder: Path, sources: Path) -> list[Book]:
    """Read the books that a list of sources names and check each hash."""
    hint = "Fetch the corpus again (see the base model's README.md), or correct --corpus and --sources."
    try:
        with sources.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream, delimiter="\t"))
    except OSError as error:
        raise InputError(sources, f"found {show(error.strerror or '?')}, expected a list of sources. {hint}") from None
    if not rows or not {"path", "sha256"} <= set(rows[0]):
        raise InputError(sources, f"found other columns, expected columns path, bytes, sha256. {hint}")
    books = []
    root = folder.resolve()
    for row in rows:
        path = folder / row["path"]
        if not path.resolve().is_relative_to(root):
            raise InputError(sources, f"{row['path']}: found a path outside the corpus, expected a path inside. {hint}")
        if not path.is_file():
            raise InputError(path, f"found no such file, expected the book that {sources.name} lists. {hint}")
        raw = path.read_bytes()
        digest = hashlib.sha256(raw).hexdigest()
        if digest != row["sha256"]:
            raise InputError(path, f"found sha256 {show(digest)}, expected sha256 {row['sha256']}. {hint}")
        books.append(Book(row["path"], digest, strip_header(raw.decode("utf-8", errors="replace"))))
    return books


def split_books(books: list[Book], every: int) -> tuple[list[Book], list[Book]]:
    """Split whole books into training and held-out: every `every`th book is held out."""
    held_out = books[every - 1 :: every]
    names = {book.path for book in held_out}
    return [book for book in books if book.path not in names], held_out


def train_tokenizer(books: list[Book], vocab_size: int) -> Any:
    """Train a byte-level BPE (Sennrich et al. 2016; Radford et al. 2019) and wrap it as a GPT-2 tokenizer."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator((book.text for book in books), trainer=trainer, length=len(books))
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=END_OF_TEXT, eos_token=END_OF_TEXT, unk_token=END_OF_TEXT
    )


def encode_books(tokenizer: Any, books: list[Book]) -> npt.NDArray[np.uint16]:
    """Encode books into one array of token ids, each book followed by the end-of-text token."""
    end = tokenizer.convert_tokens_to_ids(END_OF_TEXT)
    parts = []
    for book in books:
        ids = tokenizer.backend_tokenizer.encode(book.text).ids
        parts.append(np.asarray([*ids, end], dtype=np.uint16))
    return np.concatenate(parts)


class Windows:
    """Non-overlapping windows of a token array, in an order that depends only on the seed and the step."""

    def __init__(self, ids: npt.NDArray[np.uint16], length: int, batch: int, seed: int) -> None:
        self.ids, self.length, self.batch, self.seed = ids, length, batch, seed
        self.count = (len(ids) - 1) // length
        self._epoch = -1
        self._order: npt.NDArray[np.int64] = np.empty(0, dtype=np.int64)

    def at(self, step: int) -> torch.Tensor:
        """Return step's batch: token ids of shape (batch, length + 1)."""
        picks = []
        for position in range(step * self.batch, (step + 1) * self.batch):
            epoch, index = divmod(position, self.count)
            if epoch != self._epoch:
                self._order = np.random.default_rng([self.seed, epoch]).permutation(self.count)
                self._epoch = epoch
            start = int(self._order[index]) * self.length
            picks.append(self.ids[start : start + self.length + 1])
        return torch.from_numpy(np.stack(picks).astype(np.int64))


def learning_rate_at(step: int, config: PretrainConfig) -> float:
    """Return the learning rate of a step: linear warm-up, then linear decay to zero at `max_steps`."""
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    rest = max(1, config.max_steps - config.warmup_steps)
    return config.learning_rate * max(0.0, (config.max_steps - step) / rest)


def _device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _loss(model: Any, ids: torch.Tensor) -> torch.Tensor:
    with torch.autocast(ids.device.type, torch.bfloat16):
        logits = model(input_ids=ids[:, :-1], use_cache=False).logits
    return functional.cross_entropy(logits.flatten(0, 1).float(), ids[:, 1:].flatten())


def held_out_loss(
    model: Any, ids: npt.NDArray[np.uint16], length: int, *, batch: int = 16, limit: int | None = None
) -> float:
    """Return the mean cross-entropy in nats per token over consecutive windows of held-out text."""
    windows = np.stack([ids[i : i + length + 1] for i in range(0, len(ids) - length - 1, length)][:limit])
    device = next(model.parameters()).device
    model.eval()
    total = 0.0
    with torch.inference_mode():
        for start in range(0, len(windows), batch):
            part = torch.from_numpy(windows[start : start + batch].astype(np.int64)).to(device)
            total += float(_loss(model, part)) * len(part)
    model.train()
    return total / len(windows)


def pretrain(
    config: PretrainConfig,
    corpus: Path,
    sources: Path,
    output: Path,
    work: Path,
    *,
    compile_model: bool = False,
    say: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Train the base model, or resume a run that was interrupted.

    Args:
        config: What to train.
        corpus: Folder of Markdown books.
        sources: List of the books with their SHA-256.
        output: Folder that receives weights (safetensors, fp16), tokenizer, config and `training.json`.
        work: Folder for the encoded corpus and the checkpoint that a resumed run starts from.
        compile_model: Compile the training step with `torch.compile` (needs a C++ compiler).
        say: Receives a line at each stage.

    Returns:
        What `training.json` holds: losses, tokens seen, time and energy, with the log of the run.
    """
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

    work.mkdir(parents=True, exist_ok=True)
    books = read_corpus(corpus, sources)
    training, held_out = split_books(books, config.held_out_every)
    corpus_sha256 = sha256_tree({book.path: book.sha256 for book in books})
    identity = {"config": config.model_dump(mode="json"), "corpus_sha256": corpus_sha256}
    _same_run(work, identity)

    say(f"{len(training)} books to train on, {len(held_out)} held out")
    tokenizer_folder = work / "tokenizer"
    if not (tokenizer_folder / "tokenizer.json").exists():
        say(f"training a byte-level BPE of {config.vocab_size:,} tokens")
        train_tokenizer(training, config.vocab_size).save_pretrained(tokenizer_folder)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(tokenizer_folder)
    train_ids = _encoded(work / "train.npy", tokenizer, training)
    held_ids = _encoded(work / "held_out.npy", tokenizer, held_out)
    say(f"{len(train_ids):,} training tokens, {len(held_ids):,} held-out tokens")

    torch.manual_seed(config.seed)
    end = tokenizer.convert_tokens_to_ids(END_OF_TEXT)
    architecture = GPT2Config(
        vocab_size=config.vocab_size,
        n_positions=config.context_length,
        n_embd=config.n_embd,
        n_layer=config.n_layer,
        n_head=config.n_head,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=end,
        eos_token_id=end,
    )
    device = _device()
    model: Any = GPT2LMHeadModel(architecture)
    model.to(device)
    decayed = [p for p in model.parameters() if p.dim() >= 2]
    plain = [p for p in model.parameters() if p.dim() < 2]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": config.weight_decay}, {"params": plain, "weight_decay": 0.0}],
        lr=config.learning_rate,
        betas=(0.9, 0.95),
        fused=True,
    )
    step, log = _resume(work, model, optimizer)
    if step:
        say(f"resuming at step {step:,} of {config.max_steps:,}")
    windows = Windows(train_ids, config.context_length, config.batch_size, config.seed)
    loss_of = torch.compile(_loss) if compile_model else _loss

    ledger = work / "resources.json"
    with track(ledger, step) as span, progress_bar() as bar:
        task = bar.add_task("pretraining", total=config.max_steps, completed=step)
        running: list[float] = []
        while step < config.max_steps:
            for group in optimizer.param_groups:
                group["lr"] = learning_rate_at(step, config)
            loss = loss_of(model, windows.at(step).to(device))
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(model.parameters(), config.max_grad_norm)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            running.append(float(loss.detach()))
            span.end = step = step + 1
            bar.update(task, completed=step, note=f"loss {running[-1]:.3f}")
            if step % 100 == 0 or step == config.max_steps:
                entry = {"step": step, "loss": sum(running) / len(running)}
                running.clear()
                if step % 500 == 0:
                    entry["held_out_loss"] = held_out_loss(model, held_ids, config.context_length, limit=128)
                log.append(entry)
                say(json.dumps(entry))
            if step % 250 == 0:
                _checkpoint(work, model, optimizer, step, log)
        final = held_out_loss(model, held_ids, config.context_length)

    held_bytes = sum(len(book.text.encode()) for book in held_out)
    result: dict[str, Any] = {
        **identity,
        "parameters": sum(p.numel() for p in model.parameters()),
        "books": {"training": len(training), "held_out": len(held_out)},
        "tokens": {
            "training_set": len(train_ids),
            "held_out_set": len(held_ids),
            "seen": config.max_steps * config.batch_size * config.context_length,
        },
        "held_out_loss": final,
        "held_out_perplexity": math.exp(final),
        "held_out_bits_per_byte": final * len(held_ids) / held_bytes / math.log(2),
        "resources": total(ledger, config.max_steps),
        "compiled": compile_model,
        "torch": torch.__version__,
        "log": log,
    }
    _export(model, tokenizer, output, result)
    return result


def _same_run(work: Path, identity: dict[str, Any]) -> None:
    path = work / "run.json"
    if not path.exists():
        write_json(path, identity)
    elif json.loads(path.read_text(encoding="utf-8")) != identity:
        raise InputError(path, "a run of another config or corpus. Name another --work folder, or delete this one.")


def _encoded(path: Path, tokenizer: Any, books: list[Book]) -> npt.NDArray[np.uint16]:
    if not path.exists():
        ids = encode_books(tokenizer, books)
        with atomic(path) as temporary, temporary.open("wb") as stream:
            np.save(stream, ids)
    loaded: npt.NDArray[np.uint16] = np.load(path, allow_pickle=False, mmap_mode="r")
    return loaded


def _checkpoint(work: Path, model: Any, optimizer: Any, step: int, log: list[dict[str, Any]]) -> None:
    with atomic(work / "checkpoint.pt") as temporary:
        torch.save(
            {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step, "log": log}, temporary
        )


def _resume(work: Path, model: Any, optimizer: Any) -> tuple[int, list[dict[str, Any]]]:
    path = work / "checkpoint.pt"
    if not path.exists():
        return 0, []
    state = torch.load(path, weights_only=True, map_location="cpu")
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    return int(state["step"]), list(state["log"])


def _export(model: Any, tokenizer: Any, output: Path, result: dict[str, Any]) -> None:
    staging = output.with_name(f".{output.name}.staging")
    shutil.rmtree(staging, ignore_errors=True)
    model.half().cpu().save_pretrained(staging)
    tokenizer.save_pretrained(staging)
    result["weights_sha256"] = sha256_file(staging / "model.safetensors")
    write_json(staging / "training.json", result)
    output.mkdir(parents=True, exist_ok=True)
    for file in staging.iterdir():
        file.chmod(0o644)
        file.replace(output / file.name)
    staging.rmdir()
