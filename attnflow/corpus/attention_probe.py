"""How much of a treebank's trees can be read out of a model's attention, beside what needs no such model."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from attnflow import progress as progress_module
from attnflow.checkpoints.checkpoint import Checkpoint
from attnflow.checkpoints.random_weights import random_weights
from attnflow.corpus.probe_reading import Readable, check_relations, examples, read_attention, readable
from attnflow.corpus.probe_result import AttentionProbe, ProbeSettings
from attnflow.corpus.texts import open_texts
from attnflow.corpus.word_vectors import FileVectors, OwnVectors, WordVectors
from attnflow.errors import SelectionError
from attnflow.methods.probing.attention_file import AttentionFile
from attnflow.methods.probing.classifiers import Kind
from attnflow.methods.probing.examples import Examples
from attnflow.methods.probing.training import MOST_EPOCHS, Trained, judge, train
from attnflow.records.texts import Text, Texts, fingerprint
from attnflow.records.trace import is_whole
from attnflow.records.trees import Sentence
from attnflow.runtime.load import load_checkpoint
from attnflow.runtime.memory import within_memory
from attnflow.stats.dependencies import OFFSETS
from attnflow.stats.proportion import Proportion

Treebank = str | os.PathLike[str] | Sequence[Text] | Sequence[Sentence]
LEAST_SENTENCES = 50
"""Different ones, so that a tenth of them is something to be judged on."""
HELD_OUT = 0.1
"""The share of sentences that tell when to stop, and of those that are scored."""
_CONTROL, _SPLIT = 1, 2
"""What is drawn from a seed, beside the weights at first and the order of sentences."""


def attention_probe(
    checkpoint_ref: Checkpoint | str | os.PathLike[str],
    treebank: Treebank,
    *,
    words: bool = False,
    vectors: str | os.PathLike[str] | None = None,
    seed: int = 0,
    max_tokens: int | None = None,
    most_epochs: int = MOST_EPOCHS,
    most_bytes: int | None = None,
    device: str = "auto",
    progress: progress_module.Listener | None = None,
) -> AttentionProbe:
    """Train a probe that finds the governor of each word from a model's attention, which stays as it is.

    The probability that word `i` governs word `j` is the softmax, over all other words and the root, of a linear
    combination of what every head of every layer lets `j` pay `i` and `i` pay `j`; with `words`, the weights of the
    combination depend linearly on vectors of the two words that know nothing of their context.

    Sentences are split by a seed into those that are learnt from (80 %), those that tell when to stop (10 %) and those
    that are scored (10 %); equal sentences stay together. Attention is kept on disk, in half precision, in a temporary
    file that goes with the call.

    Args:
        checkpoint_ref: A checkpoint, or what `load_checkpoint` takes.
        treebank: What `open_texts` takes by its name (`demo/sentences`, a file in CoNLL-U) or gives; or what
            `read_conllu` gives.
        words: Whether weights depend on the words, too (*attention and words*).
        vectors: A text file with a word and its numbers in each line, as GloVe is published; if None, vectors are the
            model's own input embeddings, the mean over the pieces of a word.
        seed: Fixes split, weights and order of sentences, and so, on one machine with one number of threads, every bit.
        max_tokens: Most tokens of a sentence, where that is less than the model's own bound; longer ones are cut.
        most_epochs: Times that all sentences are learnt from, at most; see `TrainingCurve`.
        most_bytes: Most bytes on disk; no bound if None.
        device: Where the model runs, as `load_checkpoint` takes it; not looked at if a checkpoint is given.
        progress: Is told what is going on and how much of it is done, from 0 to 1; what it raises ends it.

    Raises:
        SelectionError: If there are too few sentences with trees, the trees have no relations, an argument is out of
            range, or the disk has no room.
        TextsError: If the treebank or the file of vectors cannot be read.
        CheckpointError: If the checkpoint cannot be loaded or run.
        UnsupportedArchitectureError: If it cannot be recorded.

    Reference:
        Clark et al., *What Does BERT Look At?*, section 5, table 3, and the code that they released. As there, the
        root's score comes from the attention to and from the first and last special token, each with a weight of its
        own; a governor is the best of each word, whether that makes a tree or not; and all words are learnt from, those
        that are no punctuation are scored. Unlike there, a word is no candidate for itself; training stops by sentences
        of its own instead of after one epoch; and with words, each candidate has its own vector, where the released
        code gives it that of the word after it. The control is after Hewitt and Liang (2019).

    Example:
        >>> found = attention_probe("demo/finetuned", "demo/sentences", most_epochs=2)
        >>> found.settings.kind, found.sentences[0] > 500, 0 < found.uas < 1
        ('attention', True, True)
    """
    given = isinstance(checkpoint_ref, Checkpoint)
    _check(seed, max_tokens, most_epochs)
    source = OwnVectors() if vectors is None else FileVectors(Path(vectors).expanduser())
    sentences, told = sentences_of(treebank)
    checkpoint = checkpoint_ref if given else load_checkpoint(checkpoint_ref, device=device)
    settings = probe_settings(
        checkpoint,
        told,
        kind="attention and words" if words else "attention",
        vectors="own" if vectors is None else Path(vectors).name,
        seed=seed,
        max_tokens=max_tokens,
        most_epochs=most_epochs,
    )
    with within_memory(checkpoint.name, "texts"), progress_module.reporting(progress):
        return _Work(checkpoint, sentences, settings, source, most_bytes).result()


def probe_settings(
    checkpoint: Checkpoint,
    texts: str,
    *,
    kind: Kind,
    vectors: str = "own",
    seed: int = 0,
    max_tokens: int | None = None,
    most_epochs: int = MOST_EPOCHS,
) -> ProbeSettings:
    """All that a probe depends on; `texts` is the fingerprint of the treebank."""
    checkpoint.check_one_stack("Probes")
    return ProbeSettings(checkpoint.name, checkpoint.sha, texts, kind, vectors, int(seed), max_tokens, int(most_epochs))


def _check(seed: Any, max_tokens: Any, most_epochs: Any) -> None:
    for name, value, least in (("seed", seed, 0), ("max_tokens", max_tokens, 1), ("most_epochs", most_epochs, 1)):
        if not (is_whole(value) and least <= value < 2**32) and not (name == "max_tokens" and value is None):
            raise SelectionError(f"{name} is {str(value)[:60]!r}; give a whole number from {least}.")


def sentences_of(treebank: Treebank) -> tuple[list[Sentence], str]:
    """The sentences of a treebank, and what tells it from every other.

    Raises:
        SelectionError: If it has no sentence with a tree, or no relations.
        TextsError: If it cannot be opened.
    """
    rows = open_texts(treebank) if isinstance(treebank, str | os.PathLike) else treebank
    texts = [
        Text(row.guid or str(number), row.text, tree=row) if isinstance(row, Sentence) else row
        for number, row in enumerate(rows)
    ]
    sentences = [replace(text.tree, guid=text.guid) for text in texts if text.tree is not None]
    if not sentences:
        raise SelectionError(
            f"None of {len(texts):,} texts has a dependency tree, which probes learn from; open a treebank in CoNLL-U."
        )
    check_relations(sentences)
    return sentences, rows.fingerprint if isinstance(rows, Texts) else fingerprint(texts)


class _Work:
    """A probe while it is made."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        sentences: Sequence[Sentence],
        settings: ProbeSettings,
        vectors: WordVectors,
        most_bytes: int | None,
    ) -> None:
        self.checkpoint, self.sentences, self.settings = checkpoint, sentences, settings
        self.vectors, self.most_bytes = vectors, most_bytes

    def result(self) -> AttentionProbe:
        """Read, train and score everything."""
        of = self.settings
        sentences, failed = readable(self.checkpoint, self.sentences, of.max_tokens)
        self._check_enough(sentences, failed)
        self._check_room(sentences)
        with self._file(sentences) as file, progress_module.part(0, 1):
            made = examples(self.checkpoint, sentences, self.vectors, file)
            scale = float(np.sqrt(np.mean(np.square(made.vectors)))) or 1.0
            made = replace(made, vectors=made.vectors / np.float32(scale))
            self._read(self.checkpoint, sentences, file, 0.0, 0.2)
            parts = self._split(made, sentences)
            if not any(one.cases.any() for one in parts[2].sentences):
                raise SelectionError(
                    "The held-out sentences are punctuation alone, so there is nothing to score; give other sentences."
                )
            trained = self._train(of.kind, parts, 0.2, 0.35)
            found = judge(trained.classifier, parts[2])[1]
            offsets = [_offset(parts[0], offset).right for offset in OFFSETS]
            offset = OFFSETS[int(np.argmax(offsets))]
            baselines = {"right-branching": _offset(parts[2], 1), "fixed offset": _offset(parts[2], offset)}
            control = self._control(parts)
            baselines["words and distances"] = self._score("words and distances", parts, 0.5, 0.65)
            if of.kind != "attention":
                baselines["attention"] = self._score("attention", parts, 0.65, 0.7)
            baselines |= self._of_random_weights(sentences, parts)
        return AttentionProbe(
            settings=of,
            found=found,
            baselines=baselines,
            control=control,
            curve=trained.curve,
            offset=offset,
            sentences=(len(parts[0]), len(parts[1]), len(parts[2])),
            failed=failed,
            trained=trained,
            vectors=self.vectors,
            scale=scale,
            checkpoint=self.checkpoint,
        )

    def _check_enough(self, sentences: Sequence[Readable], failed: Mapping[str, str]) -> None:
        different = len({one.sentence.text for one in sentences})
        if different < LEAST_SENTENCES:
            why = f"; the first that cannot be read: {next(iter(failed.values()))}" if failed else ""
            raise SelectionError(
                f"The treebank has {different:,} different sentences of two words or more; a probe needs at least "
                f"{LEAST_SENTENCES}, of which a tenth is held out{why or '. Give more.'}"
            )

    def _check_room(self, sentences: Sequence[Readable]) -> None:
        # Twice, as that of random weights is read beside it.
        needed = 2 * AttentionFile.bytes_needed([len(one) for one in sentences], self._maps)
        if self.most_bytes is not None and needed > self.most_bytes:
            raise SelectionError(
                f"The attention of {len(sentences):,} sentences in {self._maps} heads takes {needed / 1e6:,.0f} MB of "
                f"disk; this machine takes at most {self.most_bytes / 1e6:,.0f} MB. Give fewer sentences."
            )

    @property
    def _maps(self) -> int:
        return self.checkpoint.n_layers * self.checkpoint.n_heads

    def _file(self, sentences: Sequence[Readable]) -> AttentionFile:
        return AttentionFile([len(one) for one in sentences], self._maps)

    def _read(
        self, checkpoint: Checkpoint, sentences: Sequence[Readable], file: AttentionFile, begin: float, end: float
    ) -> None:
        total = len(sentences)
        with progress_module.part(begin, end):

            def done(count: int) -> None:
                progress_module.tell(f"{count:,} of {total:,} sentences read by {checkpoint.name}", count / total)

            read_attention(checkpoint, sentences, file, done)

    def _split(self, made: Examples, sentences: Sequence[Readable]) -> tuple[Examples, Examples, Examples]:
        """Sentences to learn from, to stop by and to score; equal ones on one side."""
        texts = list(dict.fromkeys(one.sentence.text for one in sentences))
        drawn = np.random.default_rng([self.settings.seed, _SPLIT]).permutation(len(texts))
        held_out = max(1, round(HELD_OUT * len(texts)))
        side = {texts[number]: int(place < held_out) + int(place < 2 * held_out) for place, number in enumerate(drawn)}
        return (  # the first tenth has 2, the second 1, and all others 0
            self._side(made, sentences, side, 0),
            self._side(made, sentences, side, 1),
            self._side(made, sentences, side, 2),
        )

    def _side(self, made: Examples, sentences: Sequence[Readable], side: Mapping[str, int], which: int) -> Examples:
        return made.chosen([one for one in made.sentences if side[sentences[one.row].sentence.text] == which])

    def _train(self, kind: Kind, parts: Sequence[Examples], begin: float, end: float, what: str = "") -> Trained:
        told = f"Training on {len(parts[0]):,} sentences: {what or kind}"
        with progress_module.part(begin, end):
            progress_module.tell(told, 0.0)
            return train(
                kind,
                parts[0],
                parts[1],
                self.settings.seed,
                most_epochs=self.settings.most_epochs,
                done=lambda share: progress_module.tell(told, share),
            )

    def _score(self, kind: Kind, parts: Sequence[Examples], begin: float, end: float, what: str = "") -> Proportion:
        return judge(self._train(kind, parts, begin, end, what).classifier, parts[2])[1]

    def _control(self, parts: Sequence[Examples]) -> Proportion:
        draw = np.random.default_rng([self.settings.seed, _CONTROL])
        shuffled = [part.chosen([one.shuffled(draw) for one in part.sentences]) for part in parts]
        return self._score(self.settings.kind, shuffled, 0.35, 0.5, "shuffled trees")

    def _of_random_weights(self, sentences: Sequence[Readable], parts: Sequence[Examples]) -> dict[str, Proportion]:
        unlearnt = random_weights(self.checkpoint, self.settings.seed, keep_embeddings=True)
        with self._file(sentences) as file:
            self._read(unlearnt, sentences, file, 0.7, 0.9)
            same = [part.with_attention(file) for part in parts]
            return {"random weights": self._score(self.settings.kind, same, 0.9, 1.0, "random weights")}


def _offset(examples_: Examples, offset: int) -> Proportion:
    """How many governors stand so many words further on."""
    right, cases = 0, 0
    for one in examples_.sentences:
        words = np.arange(len(one))
        right += int(((one.governor == words + offset) & (words + offset >= 0) & one.cases).sum())
        cases += int(one.cases.sum())
    return Proportion(right, cases)
