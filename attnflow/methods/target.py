"""The score that an analysis explains: that of a class, of an end of an answer, of a masked or of the next token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch

from attnflow.checkpoints.checkpoint import Checkpoint
from attnflow.checkpoints.task_head import Problem, with_number
from attnflow.errors import SelectionError
from attnflow.records.token_scores import AnswerEnds
from attnflow.records.trace import Encoding
from attnflow.runtime.capabilities import run_model
from attnflow.runtime.capture import model_inputs
from attnflow.runtime.recorded import check_finite
from attnflow.runtime.root import at_position, scored_position
from attnflow.runtime.token_scores import token_scores

TargetKind = Literal["class", "token-class", "answer-end", "masked-token", "next-token"]

_KINDS: dict[str, TargetKind] = {
    "sequence-classification": "class",
    "token-classification": "token-class",
    "question-answering": "answer-end",
    "masked-lm": "masked-token",
    "causal-lm": "next-token",
    "seq2seq-lm": "next-token",
}


@dataclass(frozen=True)
class Target:
    """One number among the scores of a checkpoint."""

    kind: TargetKind
    index: int
    """Class, end of an answer (0 the start, 1 the end), or entry of the vocabulary."""
    name: str
    """The class's label, which end it is, or the vocabulary's entry."""
    position: int | None
    """Token whose scores are read; None where the whole text has one set of scores."""
    problem: Problem = "single_label"

    def score(self, logits: torch.Tensor) -> torch.Tensor:
        """`[B]`: the target's logit.

        Args:
            logits: What the checkpoint's model gives: `[B, C]` for a text, `[B, T, C]` for tokens.
        """
        return self._row(logits)[:, self.index]

    def log_probability(self, logits: torch.Tensor) -> torch.Tensor:
        """`[B]`: the logarithm of the target's probability; of a single regression score, the score itself.

        An end of an answer competes with all other tokens of the text for being that end, a class with other classes.
        """
        if self.kind == "answer-end":
            return logits[..., self.index].log_softmax(-1)[:, self.position]
        row = self._row(logits)
        if self.problem == "regression":
            return row[:, self.index]
        log = torch.nn.functional.logsigmoid(row) if self.problem == "multi_label" else row.log_softmax(-1)
        return log[:, self.index]

    def wins(self, logits: torch.Tensor) -> torch.Tensor:
        """`[B]`: whether it scores highest of what it competes with; one of several labels, whether it is over 0."""
        if self.kind == "answer-end":
            return logits[..., self.index].argmax(-1) == self.position
        row = self._row(logits)
        return row[:, self.index] > 0 if self.problem == "multi_label" else row.argmax(-1) == self.index

    def _row(self, logits: torch.Tensor) -> torch.Tensor:
        return logits if self.position is None else logits[:, self.position]


def target_names(checkpoint: Checkpoint) -> tuple[str, ...]:
    """The targets that can be listed: classes, or the ends of an answer. None of language models: any token is one."""
    return checkpoint.head.labels


def choose_target(
    checkpoint: Checkpoint,
    encoding: Encoding,
    target: str | int | float | None = None,
    *,
    position: int | None = None,
    logits: torch.Tensor | None = None,
) -> Target:
    """Find the score that is to be explained.

    Args:
        checkpoint: Whose scores they are.
        encoding: The text that is read.
        target: A label or the number of a class; `start` or `end` of an answer; for language models a token or its
            number in the vocabulary. What the checkpoint itself predicts if None: of an answer the start, unless the
            token that is meant is the end of the best one alone.
        position: Token whose prediction is meant; that of the encoding if None (`Encoding.at`). By default the first
            mask for a masked language model, the last token (which predicts the next) for a causal one, the first
            word's for a token classifier, and that end of the best answer.
        logits: `[C]` or `[T, C]`, if the model has been run on the encoding already; else it is run where needed.

    Raises:
        SelectionError: If the checkpoint has no trained task head, or no such target.
        CheckpointError: If its scores are not finite.
    """
    if not checkpoint.head.trained:
        raise SelectionError(
            f"{checkpoint.name} has no trained task head, so there is no score to explain; choose a checkpoint that "
            "was trained for a task."
        )
    kind = _KINDS[checkpoint.head.kind]
    position = _position(checkpoint, encoding, kind, position)
    open_ended = target is None or target == ""
    if logits is None and (open_ended or (kind == "answer-end" and position is None)):
        with torch.inference_mode():
            logits = run_model(checkpoint, model_inputs(encoding, device=checkpoint.device), task=True)[0]
    if logits is not None:  # whoever has run the model has its output read here, whatever class is meant
        _checked(checkpoint, logits, None if kind == "answer-end" else position)
    if kind == "answer-end":
        index, position = _end(checkpoint, encoding, target, position, logits)
    elif target is None or target == "":
        assert logits is not None, "what is predicted is read off a run"
        index = int(_checked(checkpoint, logits, position).argmax())
    elif kind in ("class", "token-class"):
        index = _class(checkpoint.head.labels, target)
    else:
        index = _token(checkpoint, target)
    by_class = kind not in ("masked-token", "next-token")
    name = checkpoint.head.labels[index] if by_class else checkpoint.tokenizer.pieces([index])[0]
    return Target(kind, index, name or str(index), position, checkpoint.head.problem)


def _position(checkpoint: Checkpoint, encoding: Encoding, kind: TargetKind, position: int | None) -> int | None:
    wanted = encoding.position if position is None else position
    wanted = at_position(checkpoint.head, checkpoint.name, encoding, wanted).position
    if wanted is not None:
        return wanted
    usual = scored_position(checkpoint, encoding)
    if usual is None and kind == "masked-token":
        raise SelectionError(
            f"{checkpoint.name} predicts masked words; write {checkpoint.tokenizer.facts.mask_token or '[MASK]'} in "
            "the sentence in place of the word to predict."
        )
    return usual


def _end(
    checkpoint: Checkpoint,
    encoding: Encoding,
    target: str | int | float | None,
    position: int | None,
    logits: torch.Tensor | None,
) -> tuple[int, int]:
    """Which end of an answer is meant, and which token is asked about; that of the best answer where none is told."""
    index = None if target is None or target == "" else _class(checkpoint.head.labels, target)
    if index is not None and position is not None:
        return index, position
    assert logits is not None, "what is not told is read off a run"
    scored = token_scores(checkpoint, encoding, logits)
    assert isinstance(scored, AnswerEnds) and scored.spans, "a question has a context"
    best = scored.spans[0]
    if index is None:
        index = int(position == best.end and position != best.start)
    return index, (best.start, best.end)[index] if position is None else position


def _checked(checkpoint: Checkpoint, logits: torch.Tensor, position: int | None) -> torch.Tensor:
    """The scores of the classes or of the vocabulary, which are numbers."""
    row = logits if position is None else logits[position]
    check_finite(checkpoint, row.max())  # NaN is the largest; a language model may rule words out by -inf
    return row


def _class(labels: tuple[str, ...], target: str | int | float) -> int:
    if isinstance(target, str):
        text = target.strip()
        for fold in (str, str.casefold):
            found = [index for index, label in enumerate(labels) if fold(label) == fold(text)]
            if found:
                return found[0]
        number = int(text) if text.isdecimal() and len(text) < 10 else None
        for fold in (str, str.casefold):  # a name that its number must tell from others
            found = [index for index, label in enumerate(labels) if fold(label) == fold(with_number(text, index))]
            if len(found) == 1 and (number is None or number >= len(labels)):
                return found[0]
            if found:
                raise SelectionError(
                    f"{text[:60]!r} may mean several classes; give one of {_listed(labels)}, or in a program its "
                    "number as a number."
                )
        target = target if number is None else number
    if isinstance(target, int) and not isinstance(target, bool) and 0 <= target < len(labels):
        return target
    raise SelectionError(f"There is no target {str(target)[:60]!r}; the classes are {_listed(labels)}.")


def _token(checkpoint: Checkpoint, target: str | int | float) -> int:
    tokenizer, size = checkpoint.tokenizer, checkpoint.n_entries
    if isinstance(target, int) and not isinstance(target, bool):
        if 0 <= target < size:
            return target
        raise SelectionError(f"There is no token number {target}; {checkpoint.name} has {size:,} tokens.")
    if not isinstance(target, str):
        raise SelectionError(f"The target is {str(target)[:60]!r}; give a token.")
    # As the next word of a text, as an entry of the vocabulary, or as the beginning of a text.
    word, start = (tokenizer.ids(text) for text in (f" {target.strip()}", target))
    for ids in (word, [tokenizer.id_of(target)], start):
        if len(ids) == 1 and ids[0] not in (None, tokenizer.facts.unknown):
            return ids[0]
    pieces = [str(piece) for piece in tokenizer.pieces(start)]
    raise SelectionError(
        f"{target[:60]!r} is not one token of {checkpoint.name}, which cuts it into {_listed(pieces)}; "
        "give a target that is one token."
    )


def _listed(names: tuple[str, ...] | list[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:20])
    return shown + (f" and {len(names) - 20} more" if len(names) > 20 else "")
