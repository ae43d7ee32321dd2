"""A case: one checkpoint on one text with some heads switched off, which is all that an analysis may depend on."""

from __future__ import annotations

import weakref
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from attnflow.checkpoints.checkpoint import Checkpoint
from attnflow.checkpoints.reading import Reading
from attnflow.checkpoints.references import parse_reference
from attnflow.checkpoints.task_head import TaskHead
from attnflow.errors import CheckpointError, SelectionError
from attnflow.records.stacks import Stacks
from attnflow.records.trace import Encoding, Head, Trace
from attnflow.runtime.root import at_position
from attnflow.service import own_models, visitors
from attnflow.service.bounds import load_bounded
from attnflow.stats.alignment import pair_traces, pieces_of
from attnflow.stats.attention_graph import check_token

if TYPE_CHECKING:
    from attnflow.service.registry import Analysis

T = TypeVar("T")


@dataclass(frozen=True)
class ModelCard:
    """What is known of a checkpoint without its weights."""

    ref: str
    """As it was asked for: a Hub id or a bundled reference."""
    sha: str
    architecture: str
    n_layers: int
    n_heads: int
    width: int
    n_parameters: int
    n_embedded: int
    """Of the parameters, those of embeddings, which a pass looks up instead of multiplying."""
    head: TaskHead
    reading: Reading
    encoder_alone: bool = False
    """Whether it is the encoder of an encoder-decoder, without its decoder."""
    stacks: Stacks | None = None
    """Of an encoder-decoder that is read whole, how its two stacks are one model."""
    license: str | None = None
    """As its page on the Hub names it."""
    pruned: frozenset[Head] = frozenset()
    """Heads that it was saved without."""
    notes: tuple[str, ...] = ()
    """What a reader must know of how its files were read, in sentences."""
    mask_token: str = ""
    """What stands for a hidden word in a text; empty if its tokenizer has nothing for that."""

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> ModelCard:
        """The card of a loaded checkpoint."""
        return cls(
            ref=checkpoint.name,
            sha=checkpoint.sha,
            architecture=checkpoint.architecture,
            n_layers=checkpoint.n_layers,
            n_heads=checkpoint.n_heads,
            width=checkpoint.width,
            n_parameters=checkpoint.n_parameters,
            n_embedded=checkpoint.n_parameters - checkpoint.model.num_parameters(exclude_embeddings=True),
            head=checkpoint.head,
            reading=checkpoint.reading,
            encoder_alone=checkpoint.encoder_alone,
            stacks=checkpoint.stacks,
            license=checkpoint.license,
            pruned=checkpoint.pruned,
            notes=checkpoint.notes,
            mask_token=checkpoint.tokenizer.facts.mask_token or "",
        )

    @property
    def n_all_heads(self) -> int:
        """How many heads there are in all layers."""
        return self.n_layers * self.n_heads if self.stacks is None else self.stacks.n_all

    @property
    def pinned(self) -> str:
        """A reference to the very commit; of a checkpoint of this machine, its name."""
        return self.ref if own_models.own(self.ref) else f"{self.ref}@{self.sha}"


class Answers(Protocol):
    """What a workspace does for a case."""

    most_operations: float
    """That one analysis may take."""

    def get(self, analysis: Analysis[T], case: Case, /, **values: Any) -> T:
        """What an analysis says of a case."""
        ...


@dataclass(frozen=True, eq=False)
class Case:
    """One checkpoint on one text, with what it did."""

    card: ModelCard
    encoding: Encoding
    trace: Trace
    """What it did, with the heads in `pruned` switched off."""
    label: int | None = None
    """The class that is right, if anybody knows; else analyses take what the checkpoint predicts."""
    loaded: weakref.ReferenceType[Checkpoint] | None = field(default=None, repr=False)
    """The checkpoint, for as long as the models in memory hold it: a kept case must not keep a model."""
    workspace: Answers | None = field(default=None, repr=False)
    """Where it was made: keeps what analyses say of it."""
    usual: Case | None = field(default=None, repr=False)
    """The same, where the prediction at one token is meant, at the usual token; None where this is that."""

    @property
    def pruned(self) -> frozenset[Head]:
        """The heads that are switched off."""
        return self.trace.pruned

    @property
    def key(self) -> tuple[object, ...]:
        """What tells this case from every other; it also tells private checkpoints of two visitors apart."""
        return key_of(self.card.ref, self.card.sha, self.encoding, self.pruned, self.label)

    @property
    def n_tokens(self) -> int:
        """`T`"""
        return len(self.trace.tokens)

    @property
    def in_memory(self) -> Checkpoint | None:
        """The loaded checkpoint if it is still in memory."""
        return self.loaded() if self.loaded is not None else None

    @property
    def checkpoint(self) -> Checkpoint:
        """The loaded checkpoint.

        Raises:
            CheckpointError: If it left the memory and the visitor who is served may not read it.
        """
        if (loaded := self.in_memory) is not None:
            return loaded
        found = open_checkpoint(self.card.pinned)
        if found.sha != self.card.sha:
            raise CheckpointError(f"The files of {self.card.ref} have changed since it was analysed; analyse it anew.")
        return found

    def predicts_at(self, position: int) -> bool:
        """Whether the checkpoint predicts something of a token of the text: a masked language model of masks alone."""
        if not self.card.head.reads_one_token or position < (self.trace.tokens.n_source or 0):
            return False
        return self.card.head.kind != "masked-lm" or self.trace.tokens.piece[position] == self.card.mask_token

    def at(self, position: int | None) -> Case:
        """The same run, of which the prediction at one token is meant; at the usual one if None.

        Raises:
            SelectionError: If there is no such token, or if the checkpoint predicts nothing of it.
        """
        usual = self.usual or self
        if position is None:
            return usual
        if self.card.head.kind == "masked-lm" and 0 <= position < self.n_tokens and not self.predicts_at(position):
            raise SelectionError(
                f"position is {position}, where no mask stands; {self.card.ref} predicts masked words, so write "
                f"{self.card.mask_token or 'its mask'} in place of the word, and give its position."
            )
        encoding = at_position(self.card.head, self.card.ref, usual.encoding, position)
        return replace(usual, encoding=encoding, trace=replace(usual.trace, root=position), usual=usual)

    def ask(self, analysis: Analysis[T], **values: Any) -> T:
        """What an analysis says of this case, computed once and kept; see `Workspace.get`."""
        assert self.workspace is not None, "only a case of a workspace can be asked"
        return self.workspace.get(analysis, self, **values)


def tokens_meant(cases: tuple[Case, Case], number: int, unit: str, name: str) -> tuple[int | None, int | None]:
    """The token of each case whose prediction is meant by a unit of both; None where a model has no such unit.

    A word of several pieces stands for its first or, in models that predict what follows, for its last.

    Args:
        cases: What two checkpoints did with one text.
        number: Which unit.
        unit: As `pair_traces` takes it.
        name: What the number is called, for errors.

    Raises:
        SelectionError: If there is no such unit.
    """
    pairing = pair_traces(cases[0].trace, cases[1].trace, unit)
    check_token(name, number, len(pairing.text))
    found: list[int | None] = []
    for case, paired, place in zip(cases, (pairing.a, pairing.b), (pairing.in_a, pairing.in_b), strict=True):
        pieces = pieces_of(int(place[number]), paired.tokens, case.trace.tokens) if place[number] >= 0 else [None]
        found.append(pieces[-1 if case.card.head.predicts_next else 0])
    return found[0], found[1]


def open_checkpoint(ref: str) -> Checkpoint:
    """Load a checkpoint for the visitor who is served, with his token and no other.

    Args:
        ref: A checkpoint of this machine or a Hub id, perhaps with `@` and a revision; never a path.

    Raises:
        CheckpointError: If it cannot be found, reached, or read by this visitor, or is too large.
    """
    name, revision = parted(ref)
    folder = None
    if own_models.own(name) is not None:
        folder, revision = own_models.folder_of(name), revision or own_models.newest(name)
    return load_bounded(folder or name, revision, visitors.own_token(), None if folder is None else name)


def parted(ref: object) -> tuple[str, str | None]:
    """Name and revision of a reference.

    Raises:
        CheckpointError: If it is neither of this machine nor the name or the address of a repository.
    """
    here = own_models.own(ref)
    if here is not None:
        return here
    found = parse_reference(ref)
    return found.name, found.revision


def key_of(
    ref: str, sha: str, encoding: Encoding, pruned: frozenset[Head], label: int | None = None
) -> tuple[object, ...]:
    """The key of a case."""
    return ref, sha, encoding.text_a, encoding.text_b, encoding.chat, encoding.position, label, pruned
