"""What the trained pair is worth: accuracies, a bag-of-words baseline, and which words the last layer's [CLS] reads."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers.models.bert.modeling_bert import (
    BertForPreTraining,
    BertForSequenceClassification,
    BertPreTrainedModel,
)
from transformers.models.bert.tokenization_bert import BertTokenizer

from attnflow.demo.batches import Encoded, collate, encode_pairs, mask_words
from attnflow.demo.grammar import Pair

CHUNK = 256


def _chunks(rows: Sequence[Encoded]) -> Iterator[dict[str, Tensor]]:
    for start in range(0, len(rows), CHUNK):
        yield collate(rows[start : start + CHUNK])


def encode(tokenizer: BertTokenizer, pairs: Sequence[Pair]) -> list[Encoded]:
    """Encode grammar pairs with their labels."""
    return encode_pairs(tokenizer, [(p.text_a, p.text_b) for p in pairs], [p.label for p in pairs])


@torch.inference_mode()
def logits(model: BertForSequenceClassification, rows: Sequence[Encoded]) -> Tensor:
    """Return what the model answers `[N, C]` for encoded pairs."""
    return torch.cat([model(**{k: v for k, v in batch.items() if k != "labels"}).logits for batch in _chunks(rows)])


def probabilities(model: BertForSequenceClassification, rows: Sequence[Encoded]) -> NDArray[np.float64]:
    """Return the class probabilities `[N, C]` of encoded pairs."""
    return logits(model, rows).softmax(-1).double().numpy()


def accuracy_by(names: Sequence[str], right: Sequence[bool]) -> dict[str, dict[str, float]]:
    """Return accuracy and count for each name, in alphabetical order."""
    groups: dict[str, list[bool]] = defaultdict(list)
    for name, is_right in zip(names, right, strict=True):
        groups[name].append(bool(is_right))
    return {name: {"accuracy": round(float(np.mean(g)), 4), "pairs": len(g)} for name, g in sorted(groups.items())}


@torch.inference_mode()
def pretraining_accuracy(
    model: BertForPreTraining, tokenizer: BertTokenizer, rows: Sequence[Encoded], seed: int
) -> dict[str, float]:
    """Return masked-word and next-sentence accuracy; the words are masked as in training.

    Most second sentences do follow the first: next sentences are scored by the mean over both answers, chance is 0.5.
    """
    generator = torch.Generator().manual_seed(seed)
    words = words_right = 0
    guesses: list[Tensor] = []
    for batch in _chunks(rows):
        masked = mask_words(batch, tokenizer, generator)
        out = model(**{k: masked[k] for k in ("input_ids", "token_type_ids", "attention_mask")})
        chosen = masked["labels"] >= 0
        words += int(chosen.sum())
        words_right += int((out.prediction_logits.argmax(-1) == masked["labels"])[chosen].sum())
        whole = model(**{k: batch[k] for k in ("input_ids", "token_type_ids", "attention_mask")})
        guesses.append(whole.seq_relationship_logits.argmax(-1))
    labels, guessed = torch.tensor([row.label for row in rows]), torch.cat(guesses)
    recalls = [(guessed == labels)[labels == label].double().mean().item() for label in (0, 1)]
    return {
        "masked_word_accuracy": round(words_right / max(1, words), 4),
        "next_sentence_balanced_accuracy": round(sum(recalls) / 2, 4),
        "texts": len(rows),
    }


def _bags(rows: Sequence[Encoded], vocabulary: int) -> Tensor:
    """Count the pieces of sentence A and of sentence B apart: `[N, 2 * vocabulary]`."""
    bags = torch.zeros(len(rows), 2 * vocabulary)
    for bag, row in zip(bags, rows, strict=True):
        places = torch.tensor(row.ids) + vocabulary * torch.tensor(row.segments)
        bag.index_add_(0, places, torch.ones(len(row.ids)))
    return bags


def bag_of_words_right(
    train: Sequence[Encoded], test: Sequence[Encoded], vocabulary: int, steps: int = 300
) -> list[bool]:
    """Fit a logistic regression on bags of pieces and tell which test pairs it gets right."""
    torch.manual_seed(0)
    bags, labels = _bags(train, vocabulary), torch.tensor([row.label for row in train])
    model = torch.nn.Linear(2 * vocabulary, 2)
    optimiser = torch.optim.AdamW(model.parameters(), lr=0.02, weight_decay=0.01)
    for _ in range(steps):
        torch.nn.functional.cross_entropy(model(bags), labels).backward()
        optimiser.step()
        optimiser.zero_grad()
    with torch.inference_mode():
        guesses = model(_bags(test, vocabulary)).argmax(-1)
    return [bool(guess == row.label) for guess, row in zip(guesses, test, strict=True)]


@dataclass(frozen=True)
class RootReading:
    """What the root ([CLS]) of the last layer attends to in one pair: `attention [H, T]`."""

    attention: NDArray[np.float32]
    special: NDArray[np.bool_]
    deciders: tuple[str, ...]
    """For each token the deciding word that it belongs to, or an empty text."""

    @property
    def deciding(self) -> NDArray[np.bool_]:
        """Which tokens belong to a deciding word."""
        return np.array([bool(word) for word in self.deciders])

    def counts(self, tau: float) -> NDArray[np.int64]:
        """Heads of the root that attend to each token above `tau`: the last layer's classification influence `[T]`.

        Reference: Attention Flows, eq. 3 and 4 at the last layer, where the influence is the count itself.
        """
        return (self.attention > tau).sum(0)

    def top_token(self, tau: float) -> int:
        """The ordinary token of most influence; equal counts are ordered by the attention of all heads together."""
        rank = self.counts(tau) + self.attention.sum(0) / (len(self.attention) + 1)
        return int(np.where(self.special, -1.0, rank).argmax())

    def reads_decider(self, tau: float) -> bool:
        """Tell whether the top ordinary token is (part of) a deciding word and at least one head attends to it."""
        top = self.top_token(tau)
        return bool(self.deciding[top] and self.counts(tau)[top] > 0)

    def decider_share(self) -> float:
        """Mean over heads of the attention on deciding words."""
        return float(self.attention[:, self.deciding].sum(1).mean())


def token_flags(tokenizer: BertTokenizer, pair: Pair) -> tuple[NDArray[np.bool_], tuple[str, ...]]:
    """Return which tokens of the encoded pair are special, and for each the deciding word that it belongs to."""
    found = tokenizer(pair.text_a, pair.text_b, return_special_tokens_mask=True)
    texts = (pair.text_a, pair.text_b)
    spans = (pair.deciding_characters("a"), pair.deciding_characters("b"))
    deciders = []
    for token, side in enumerate(found.sequence_ids(0)):
        word = ""
        if side is not None and (span := found.token_to_chars(token)) is not None:
            start, end = span
            word = next((texts[side][s:e] for s, e in spans[side] if s <= start and end <= e), "")
        deciders.append(word)
    return np.array(found["special_tokens_mask"], dtype=bool), tuple(deciders)


@torch.inference_mode()
def root_readings(model: BertPreTrainedModel, tokenizer: BertTokenizer, pairs: Sequence[Pair]) -> list[RootReading]:
    """Return what [CLS] attends to in the last layer, for each pair; the model must compute attention eagerly."""
    rows, readings = encode(tokenizer, pairs), []
    for start in range(0, len(rows), CHUNK):
        batch = collate(rows[start : start + CHUNK])
        inputs = {k: batch[k] for k in ("input_ids", "token_type_ids", "attention_mask")}
        last = model(**inputs, output_attentions=True).attentions[-1][:, :, 0].numpy()
        for pair, attention in zip(pairs[start : start + CHUNK], last, strict=True):
            special, deciders = token_flags(tokenizer, pair)
            readings.append(RootReading(attention[:, : len(special)], special, deciders))
    return readings


def reading_summary(readings: Sequence[RootReading], tau: float) -> dict[str, float]:
    """Return for how many pairs a deciding word is the top ordinary token, and the mean attention on those words."""
    return {
        "pairs": len(readings),
        "decider_on_top": sum(reading.reads_decider(tau) for reading in readings),
        "attention_on_deciders": round(float(np.mean([reading.decider_share() for reading in readings])), 4),
    }
