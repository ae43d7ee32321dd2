"""Reads some texts with a checkpoint, in batches of similar length, and keeps of each what a survey tells."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from attnflow import progress
from attnflow.checkpoints.checkpoint import Checkpoint
from attnflow.corpus.encoded_text import encoded
from attnflow.corpus.rings import attended_words
from attnflow.corpus.survey_join import head_states
from attnflow.errors import CheckpointError, NoRoomError, UnsupportedArchitectureError
from attnflow.methods.heads.importance import HeadImportance
from attnflow.records.root import tokens_of
from attnflow.records.survey import Survey, SurveyedWords, SurveySettings, class_of
from attnflow.records.texts import Text
from attnflow.records.trace import AGAIN, SPECIAL, Encoding, Tokens
from attnflow.runtime.batch import LayeredBatch, batches, capture_layers
from attnflow.runtime.memory import within_memory
from attnflow.runtime.token_scores import roots_of
from attnflow.stats.attention_kinds import KINDS, layer_sums, shares_of_sums, stack_kinds
from attnflow.stats.mean_attention import MeanAttention
from attnflow.stats.statistic import Statistic

LARGEST_HALF = float(np.finfo(np.float16).max)


def survey_part(
    checkpoint: Checkpoint,
    texts: Sequence[Text],
    settings: SurveySettings,
    label_map: Mapping[str, str],
    done: Callable[[int], object] = lambda texts: None,
) -> Survey:
    """Survey some texts of a collection; parts that are joined in their order are the survey of all.

    Args:
        checkpoint: The model that the settings speak of.
        texts: The texts of this part.
        settings: Of the whole survey.
        label_map: See `Survey`.
        done: Is told now and then how many of these texts have been read.

    Raises:
        UnsupportedArchitectureError: If the model cannot be recorded. What is wrong with one text is noted instead.
    """
    reader = _Reader(checkpoint, texts, settings, label_map)
    for row, text in enumerate(texts):
        progress.go_on()
        reader.encode(row, text)
    rows = list(reader.encodings)
    finished = len(texts) - len(rows)
    for numbers in batches(checkpoint, [reader.encodings[row] for row in rows]):
        reader.read([rows[number] for number in numbers])
        finished += len(numbers)
        done(finished)
    return reader.result()


class _Reader:
    """The rows of one part while they are filled."""

    def __init__(
        self, checkpoint: Checkpoint, texts: Sequence[Text], settings: SurveySettings, label_map: Mapping[str, str]
    ) -> None:
        size, of = len(texts), settings
        self.checkpoint, self.texts, self.settings, self.label_map = checkpoint, texts, settings, label_map
        self.encodings: dict[int, Encoding] = {}
        self.reasons: dict[int, str] = {}
        self.scores = np.full((size, len(of.labels)), np.nan, np.float32) if of.labels else None
        self.length, self.cut = np.zeros((2, size), np.int32)
        self.hidden = np.full((of.n_layers + 1, size, of.width), np.nan, np.float16)
        self.behaviour = np.full((size, of.n_layers * of.n_heads * len(of.kinds)), np.nan, np.float32)
        self.words: list[_Words] = [_no_words(of.n_layers)] * size
        self.kinds = [KINDS.index(kind) for kind in of.kinds]
        stacks = checkpoint.stacks
        self.allowed = np.ones((of.n_layers, of.n_heads), bool) if stacks is None else stacks.present()
        for head in {*of.pruned, *checkpoint.pruned}:
            self.allowed[head] = False
        self.mean_attention = MeanAttention()
        self.importance = HeadImportance(method=of.importance) if of.importance else None

    def encode(self, row: int, text: Text) -> None:
        """Cut a text into tokens, or note why that cannot be."""
        found = encoded(self.checkpoint, text, self.settings.too_long, self.settings.max_tokens)
        if isinstance(found, str):
            self.reasons[row] = found
        else:
            self.encodings[row] = found

    def read(self, rows: list[int]) -> None:
        """Run the model on texts of similar length, or, if something is wrong with one, on each alone."""
        encodings = [self.encodings[row] for row in rows]
        try:
            with within_memory(self.checkpoint.name):
                batch = capture_layers(self.checkpoint, encodings, pruned=self.settings.pruned)
                with torch.inference_mode():
                    self._keep(rows, batch)
        except UnsupportedArchitectureError:
            raise
        except (CheckpointError, NoRoomError) as error:
            if len(rows) == 1:
                self.reasons[rows[0]] = str(error)
            else:
                for row in rows:
                    self.read([row])
            return
        if self.settings.heads:
            self._keep_heads(rows, batch)

    def _keep(self, rows: list[int], batch: LayeredBatch) -> None:
        encodings, lengths = batch.encodings, batch.lengths
        roots = roots_of(self.checkpoint, encodings, batch.token_scores)
        if batch.scores is not None and self.scores is not None:
            self.scores[rows] = _array(batch.scores)
        self.length[rows] = lengths
        self.cut[rows] = [encoding.cut for encoding in encodings]
        for layer, hidden in enumerate(batch.hidden):
            at_roots = [_array(text[list(tokens_of(root))]).mean(0) for text, root in zip(hidden, roots, strict=True)]
            self.hidden[layer, rows] = np.clip(at_roots, -LARGEST_HALF, LARGEST_HALF)
        size = batch.attention[0].shape[-1]
        kinds = np.zeros((len(rows), 3, size), bool)
        for text, encoding in enumerate(encodings):
            kinds[text, :, : lengths[text]] = stack_kinds(encoding.tokens)
        stacks, n_source = self.checkpoint.stacks, encodings[0].tokens.n_source  # the same of all that run at once
        layers = (layer_sums(one.float(), at, stacks, n_source) for at, one in enumerate(batch.attention))
        sums = [_array(torch.stack(one, dim=1)) for one in zip(*layers, strict=True)]
        words = [encoding.tokens.word for encoding in encodings]
        attending, passing = lengths, None
        if stacks is not None and n_source is not None:
            attending = np.stack([stacks.attending(n_source, one) for one in lengths.tolist()])
            most = max(int(word.max()) + 1 for word in words)
            passing = np.stack([stacks.carried(int(word[:n_source].max()) + 1, most) for word in words])
        shares = shares_of_sums(sums, kinds, attending)
        self.behaviour[rows] = shares[..., self.kinds].reshape(len(rows), -1)
        counts = attended_words(batch.attention, words, roots, self.allowed, self.settings.tau, passing)
        for text, row in enumerate(rows):
            self.words[row] = _words_of(encodings[text].tokens, counts[text])

    def _keep_heads(self, rows: list[int], batch: LayeredBatch) -> None:
        self.mean_attention.update(_array(torch.stack(batch.attention, dim=1)), lengths=batch.lengths)
        if self.importance is not None:
            gold = [class_of(self.texts[row].label, self.settings.labels, self.label_map) for row in rows]
            with progress.untold():
                self.importance.update(self.checkpoint, batch.encodings, gold, pruned=self.settings.pruned)

    def result(self) -> Survey:
        """What was read."""
        offsets = np.cumsum([0, *(len(sentence) for sentence, _, _ in self.words)], dtype=np.int64)
        sentence, start, attended = (np.concatenate(parts, axis=-1) for parts in zip(*self.words, strict=True))
        heads: dict[str, Statistic] = {"mean_attention": self.mean_attention}
        heads |= {"importance": self.importance} if self.importance is not None else {}
        return Survey(
            self.settings,
            tuple(text.guid for text in self.texts),
            tuple(text.label for text in self.texts),
            self.scores,
            self.length,
            self.cut,
            self.hidden,
            self.behaviour,
            SurveyedWords(offsets, sentence, start, attended),
            dict(self.label_map),
            self.reasons,
            head_states(heads),
        )


_Words = tuple[NDArray[np.int8], NDArray[np.int32], NDArray[np.int32]]
"""Sentence `[W]`, start `[W]` and `[L, W]` counts of the words of one text."""


def _no_words(n_layers: int) -> _Words:
    return np.zeros(0, np.int8), np.zeros(0, np.int32), np.zeros((n_layers, 0), np.int32)


def _words_of(tokens: Tokens, counts: NDArray[np.int64]) -> _Words:
    """The words of a text, special tokens left out; what a decoder reads again is the same word.

    Args:
        tokens: The pieces of the text.
        counts: `[L, W or more]`: for each word, special tokens included.
    """
    word, first = np.unique(tokens.word, return_index=True)
    shown = tokens.sentence[first] != SPECIAL
    start = np.full(len(word), np.iinfo(np.int32).max, np.int32)
    np.minimum.at(start, tokens.word, tokens.span[:, 0])
    sentence, start, own = tokens.sentence[first][shown], start[shown], counts[:, word[shown]].astype(np.int32)
    if not (sentence >= AGAIN).any():
        return sentence, start, own
    places, same = np.unique(np.stack([sentence % AGAIN, start]), axis=1, return_inverse=True)
    both = own @ np.equal.outer(same, np.arange(places.shape[1]))
    return places[0].astype(np.int8), places[1].astype(np.int32), both.astype(np.int32)


def _array(tensor: torch.Tensor) -> NDArray[np.float32]:
    return tensor.float().cpu().numpy()
