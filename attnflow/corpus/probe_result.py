"""A trained probe: how well it does, beside what, and how it parses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from attnflow.checkpoints.checkpoint import Checkpoint
from attnflow.corpus.probe_parsing import parsed
from attnflow.corpus.word_vectors import WordVectors
from attnflow.errors import SelectionError
from attnflow.methods.probing.classifiers import Kind
from attnflow.methods.probing.training import Trained
from attnflow.records.parses import Parse, TrainingCurve
from attnflow.records.trace import Encoding, Trace
from attnflow.records.trees import Sentence
from attnflow.stats.proportion import Proportion


@dataclass(frozen=True)
class ProbeSettings:
    """All that a probe depends on."""

    model: str
    commit: str
    texts: str
    """Fingerprint of the treebank."""
    kind: Kind
    vectors: str
    """`own`, or the name of the file."""
    seed: int
    max_tokens: int | None
    most_epochs: int


@dataclass(frozen=True, eq=False)
class AttentionProbe:
    """A probe, how well it finds governors on sentences that it has not seen, and what that is to be held against."""

    settings: ProbeSettings
    found: Proportion
    """Governors that are right, of the words of held-out sentences that are no punctuation; the root counts."""
    baselines: Mapping[str, Proportion]
    """The same of what is simpler, on the same words. `right-branching`: always the next word. `fixed offset`: always
    the word at the one distance that is best on the sentences learnt from (`offset`). `words and distances`: a
    classifier that sees no attention. `random weights`: the same probe on the model as before training, with the
    embeddings that it learnt. `attention`, of a probe with words: the probe without."""
    control: Proportion
    """The same probe learnt and scored on trees whose words were shuffled."""
    curve: TrainingCurve
    offset: int
    sentences: tuple[int, int, int]
    """Learnt from, looked at to know when to stop, and scored."""
    failed: Mapping[str, str]
    """Name of each sentence that could not be read, and why."""
    trained: Trained = field(repr=False)
    vectors: WordVectors = field(repr=False)
    scale: float = field(repr=False)
    """What vectors are divided by, so that their numbers are about 1."""
    checkpoint: Checkpoint | None = field(default=None, repr=False)
    """The model; None of a probe that is kept without it."""

    @property
    def uas(self) -> float:
        """Unlabelled attachment score on held-out sentences, without punctuation, from 0 to 1."""
        return self.found.share

    @property
    def interval(self) -> tuple[float, float]:
        """Its 95 % interval (Wilson); words of one sentence are not quite independent, so it is somewhat narrow."""
        return self.found.interval

    @property
    def n(self) -> int:
        """Words that are scored."""
        return self.found.n

    @property
    def selectivity(self) -> float:
        """By how much it does better on trees than on shuffled ones: what it does not owe to its own weights alone."""
        return self.uas - self.control.share

    def table(self) -> list[tuple[str, Proportion]]:
        """Names and scores in the order of table 3 of Clark et al., the probe last but for the control."""
        order = ("right-branching", "fixed offset", "words and distances", "random weights", "attention")
        rows = [(name, self.baselines[name]) for name in order if name in self.baselines]
        return [*rows, (self.settings.kind, self.found), ("shuffled trees", self.control)]

    def parse(self, what: Sentence | Encoding | Trace | str) -> Parse:
        """The most probable tree of a sentence, by this probe and with one root.

        Args:
            what: A sentence of a treebank, whose words are taken as they are; a text, or one that was encoded for this
                model, whose words are Unicode's; or what this model did with such a text, in pieces or in words. Of
                two sentences the first is parsed.

        Raises:
            SelectionError: If the probe is kept without its model, it is of another model, or there is no word.
            TextError: If a text cannot be read.
            CheckpointError: If the model cannot be run.
            TextsError: If the file of vectors is not there any more.
        """
        if self.checkpoint is None:
            raise SelectionError("This probe is kept without its model; train it anew to parse with it.")
        return parsed(self.checkpoint, self.trained.classifier, self.vectors, self.scale, what)

    @property
    def nbytes(self) -> int:
        """Memory of its weights in bytes."""
        return sum(weights.nbytes for weights in self.trained.classifier.parameters())
