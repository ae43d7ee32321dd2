"""Encoded texts and the batches that training draws from them: short, bucketed by length, masked where asked."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers.models.bert.tokenization_bert import BertTokenizer

from attnflow.demo.grammar import PRACTICE, Pair, generate

IGNORED = -100
MASKED_SHARE = 0.2
RANDOM_SHARE = 0.2
"""Share of pairs for next sentence prediction whose second sentence comes from another text."""
BUCKET_BATCHES = 16
"""Batches are cut from this many batches' worth of texts sorted by length."""


@dataclass(frozen=True)
class Encoded:
    """Token ids and segment ids of one text pair, with its label."""

    ids: list[int]
    segments: list[int]
    label: int


def encode_pairs(tokenizer: BertTokenizer, texts: Sequence[tuple[str, str]], labels: Sequence[int]) -> list[Encoded]:
    """Encode text pairs as `[CLS] A [SEP] B [SEP]`."""
    found = tokenizer([a for a, _ in texts], [b for _, b in texts])
    rows = zip(found["input_ids"], found["token_type_ids"], labels, strict=True)
    return [Encoded(ids, segments, label) for ids, segments, label in rows]


def mini_text(pair: Pair, question_first: bool) -> list[str]:
    """Return a short coherent text: what is told and what follows, or a question and its answer."""
    told = [sentence.text for sentence in pair.sentences_a]
    return [pair.text_b, *told] if question_first and pair.text_b.endswith("?") else [*told, pair.text_b]


def next_sentence_pairs(seed: int, n: int) -> tuple[list[tuple[str, str]], list[int]]:
    """Return `n` pairs for next sentence prediction: label 0 if B follows A in a mini text, 1 if it is from elsewhere.

    The numbering is that of BERT, where label 0 means "is next".
    """
    rng = random.Random(seed)
    stories = [
        mini_text(pair, rng.random() < 0.5) for pair in generate(seed, 2 * n, schedule=PRACTICE) if pair.label == 1
    ]
    texts, labels = [], []
    for number, story in enumerate(stories):
        cut = rng.randrange(1, len(story))
        before, after = " ".join(story[:cut]), story[cut]
        is_random = rng.random() < RANDOM_SHARE
        if is_random:
            other = stories[(number + rng.randrange(1, len(stories))) % len(stories)]
            after = rng.choice(other)
        texts.append((before, after))
        labels.append(int(is_random))
    return texts, labels


def batches(rows: Sequence[Encoded], size: int, rng: random.Random, group: int = 1) -> Iterator[list[Encoded]]:
    """Yield batches of similar length in random order, without end; `group` rows that follow each other stay together.

    With `group=2` the twins of a scenario share a batch, so what they have in common cancels out of its gradient.
    """
    groups = [rows[start : start + group] for start in range(0, len(rows), group)]
    per_batch = max(1, size // group)
    while True:
        order = rng.sample(groups, len(groups))
        for start in range(0, len(order), per_batch * BUCKET_BATCHES):
            bucket = sorted(order[start : start + per_batch * BUCKET_BATCHES], key=lambda g: max(len(r.ids) for r in g))
            cuts = list(range(0, len(bucket), per_batch))
            rng.shuffle(cuts)
            for cut in cuts:
                yield [row for chosen in bucket[cut : cut + per_batch] for row in chosen]


def collate(rows: Sequence[Encoded], pad: int = 0) -> dict[str, Tensor]:
    """Pad a batch to its longest text."""
    longest = max(len(row.ids) for row in rows)

    def padded(lists: list[list[int]], fill: int) -> Tensor:
        return torch.tensor([values + [fill] * (longest - len(values)) for values in lists])

    return {
        "input_ids": padded([row.ids for row in rows], pad),
        "token_type_ids": padded([row.segments for row in rows], 0),
        "attention_mask": padded([[1] * len(row.ids) for row in rows], 0),
        "labels": torch.tensor([row.label for row in rows]),
    }


def mask_words(batch: dict[str, Tensor], tokenizer: BertTokenizer, generator: torch.Generator) -> dict[str, Tensor]:
    """Return the batch with hidden words: 70 % of the chosen pieces become [MASK], 20 % another piece, 10 % stay.

    The other piece is drawn from the same text (BERT draws it from the vocabulary): to notice it, a model has to see
    who did what to whom, not only which words go together.
    """
    ids = batch["input_ids"]
    special = torch.isin(ids, torch.tensor(tokenizer.all_special_ids))
    chosen = (torch.rand(ids.shape, generator=generator) < MASKED_SHARE) & ~special
    fate = torch.rand(ids.shape, generator=generator)
    others = ids.gather(1, torch.multinomial((~special).double(), ids.shape[1], replacement=True, generator=generator))
    hidden = torch.where(chosen & (fate < 0.7), torch.tensor(tokenizer.mask_token_id), ids)
    hidden = torch.where(chosen & (fate >= 0.8), others, hidden)
    return {
        "input_ids": hidden,
        "token_type_ids": batch["token_type_ids"],
        "attention_mask": batch["attention_mask"],
        "labels": torch.where(chosen, ids, IGNORED),
        "next_sentence_label": batch["labels"],
    }
