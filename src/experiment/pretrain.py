"""Train a small GPT-2 from scratch on a folder of public-domain books."""

from __future__ import annotations

import csv
import math
import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from src.record.config import PretrainConfig
from src.record.errors import InputError
from src.record.files import reading, sha256_file, sha256_tree, write_json

from .runs import replacing_files, resumed, same_run, training_log

END_OF_TEXT = "<|endoftext|>"
_HEADER = re.compile(r"\A(?:\s*#+ (?:Title|Author|Year):[^\n]*\n|\s*\n)*-{3,}\s*\n")


class Book(NamedTuple):
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
    with reading(sources, hint), sources.open(encoding="utf-8", newline="") as stream:
        rows = [(row["path"], row["sha256"]) for row in csv.DictReader(stream, delimiter="\t")]
        if not rows:
            raise ValueError("no books")
    books = []
    for name, sha256 in rows:
        path = folder / name
        if (digest := sha256_file(path)) != sha256:
            raise InputError(path, f"sha256 {digest}, and {sha256} in {sources.name}. {hint}")
        books.append(Book(name, digest, strip_header(path.read_bytes().decode("utf-8", errors="replace"))))
    return books


def split_books(books: list[Book], every: int) -> tuple[list[Book], list[Book]]:
    """Split whole books into training and held-out: every `every`th book is held out."""
    return [book for number, book in enumerate(books, 1) if number % every], books[every - 1 :: every]


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
    encoded = (tokenizer.backend_tokenizer.encode(book.text).ids for book in books)
    return np.concatenate([np.asarray([*ids, end], dtype=np.uint16) for ids in encoded])


class Windows(torch.utils.data.Dataset[dict[str, torch.Tensor]]):
    """Non-overlapping windows of a token array."""

    def __init__(self, ids: npt.NDArray[np.uint16], length: int) -> None:
        self._ids, self._length = ids, length

    def __len__(self) -> int:
        return len(self._ids) // self._length

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        window = torch.from_numpy(self._ids[index * self._length :][: self._length].astype(np.int64))
        return {"input_ids": window, "labels": window}


def pretrain(
    config: PretrainConfig, corpus: Path, sources: Path, output: Path, work: Path, *, compile_model: bool = False
) -> dict[str, Any]:
    """Train the base model, or resume a run that was interrupted."""
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast, Trainer, TrainingArguments, set_seed

    books = read_corpus(corpus, sources)
    training, held_out = split_books(books, config.held_out_every)
    corpus_sha256 = sha256_tree({book.path: book.sha256 for book in books})
    identity = {"config": config.model_dump(mode="json"), "corpus_sha256": corpus_sha256}
    same_run(work, identity)
    tokenizer_folder = work / "tokenizer"
    if not (tokenizer_folder / "tokenizer.json").exists():
        train_tokenizer(training, config.vocab_size).save_pretrained(tokenizer_folder)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(tokenizer_folder)
    train_ids, held_ids = (encode_books(tokenizer, part) for part in (training, held_out))

    set_seed(config.seed)
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
    arguments = TrainingArguments(
        output_dir=str(work),
        seed=config.seed,
        max_steps=config.max_steps,
        per_device_train_batch_size=config.batch_size,
        per_device_eval_batch_size=16,
        learning_rate=config.learning_rate,
        warmup_steps=config.warmup_steps,
        weight_decay=config.weight_decay,
        adam_beta2=0.95,
        max_grad_norm=config.max_grad_norm,
        bf16=True,
        torch_compile=compile_model,
        logging_steps=100,
        save_steps=250,
        save_total_limit=2,
        prediction_loss_only=True,
        report_to="none",
        use_cpu=not torch.cuda.is_available(),
    )
    model: Any = GPT2LMHeadModel(architecture)
    unseen = Windows(held_ids, config.context_length)
    trainer = Trainer(
        model=model, args=arguments, train_dataset=Windows(train_ids, config.context_length), eval_dataset=unseen
    )
    with resumed(trainer) as (last, resources):
        trainer.train(resume_from_checkpoint=last)
        final = trainer.evaluate()["eval_loss"]

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
        "resources": resources,
        "compiled": compile_model,
        "torch": torch.__version__,
        "log": training_log(trainer.state.log_history),
    }
    with replacing_files(output) as staging:
        model.half().cpu().save_pretrained(staging)
        tokenizer.save_pretrained(staging)
        result["weights_sha256"] = sha256_file(staging / "model.safetensors")
        write_json(staging / "training.json", result)
    return result
