"""What a saliency method is asked: a score, as a function of what enters the first layer of a model.

The input that all methods explain is `hidden_states[0]`, the vector of each token as it enters the first layer. It
holds the word, its position and its sentence, so that relevance that reaches it is complete; the word embedding alone
would leave the shares of position and sentence, and of the first normalisation, to nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from attnflow.checkpoints.checkpoint import Checkpoint
from attnflow.errors import SelectionError, TextError, UnsupportedArchitectureError, brief
from attnflow.lazy import lazy
from attnflow.methods.objective import reads_one_position
from attnflow.methods.saliency import relevance
from attnflow.methods.saliency.operations import Propagation
from attnflow.methods.target import Target, choose_target
from attnflow.records.root import Root, tokens_of
from attnflow.records.trace import SPECIAL, Encoding, Head, Trace, check_heads
from attnflow.runtime import attention_hook, layers
from attnflow.runtime.capabilities import batches_allowed, check_explainable, logits_of, nearly_equal
from attnflow.runtime.capture import capture, head_gates, model_inputs
from attnflow.runtime.linear import SparingLinear
from attnflow.runtime.recorded import check_finite
from attnflow.runtime.root import root_of

Baseline = Literal["mask", "mean", "pad", "zero"]
"""What stands for a word that is not there: the mask token, the mean of all word embeddings, padding, nothing."""

Removal = Literal["token", "attention"]
"""How a token is taken away: the baseline stands in its place, or no one may attend to it."""

_TOKENS_AT_ONCE = 4096
"""Tokens of one batch: enough to use the machine, few enough for its memory."""
_SCORES_AT_ONCE = 50_000_000
"""Scores of one batch: a language model gives one for each token and entry of its vocabulary."""


@dataclass(frozen=True)
class Question:
    """A score of one checkpoint on one text, and every way a method may ask about it."""

    checkpoint: Checkpoint
    encoding: Encoding
    target: Target | None
    """None where the model has no score to explain: then only methods that need none may answer."""
    against: Target | None = None
    """A second score, which is subtracted."""
    baseline: Baseline = "mask"
    steps: int | None = None
    """Points of an integral; None lets the method choose."""
    pruned: frozenset[Head] = field(default_factory=frozenset)

    @property
    def explained(self) -> Target:
        """The target of a question that has one; who needs it was refused without (`ask`)."""
        assert self.target is not None, "this question has no target"
        return self.target

    @lazy
    def trace(self) -> Trace:
        """What is recorded inside the model."""
        return capture(self.checkpoint, self.encoding, pruned=self.pruned)

    @property
    def root(self) -> Root:
        """The token whose last vector the score is read from; where it reads several, all of them."""
        if self.target and self.target.position is not None:
            return self.target.position
        return root_of(self.checkpoint, self.encoding)

    @lazy
    def words(self) -> NDArray[np.bool_]:
        """`[T]`: the tokens that stand for text; special tokens do not, even if someone wrote them."""
        return words_of(self.checkpoint, self.encoding)

    @lazy
    def hidden(self) -> NDArray[np.float32]:
        """`[T, D]`: what enters the first layer."""
        return self._entering(**model_inputs(self.encoding, device=self.checkpoint.device))

    @lazy
    def score(self) -> float:
        """The score that is explained."""
        with torch.inference_mode():
            return float(self._scored(self._logits(lambda hidden: hidden))[0])

    @lazy
    def blank(self) -> NDArray[np.float32]:
        """`[T, D]`: what enters the first layer where no word can be read.

        A token, or the mean of the vocabulary, stands in place of every word, and special tokens stay; with `zero`
        every vector is zero. (Most decoders undo any scaling, so that on the way from zero the score jumps at once.)
        """
        if self.baseline == "zero":
            return np.zeros_like(self.hidden)
        facts, embeddings = self.checkpoint.tokenizer.facts, self.checkpoint.model.get_input_embeddings()
        device = self.checkpoint.device
        inputs, words = model_inputs(self.encoding, device=device), torch.from_numpy(self.words).to(device)
        with torch.inference_mode():
            vectors = embeddings(inputs.pop("input_ids"))
            if self.baseline == "mean":
                vectors[0, words] = embeddings(torch.arange(self.checkpoint.n_entries, device=device)).mean(dim=0)
            else:
                token = facts.mask if self.baseline == "mask" else facts.pad
                vectors[0, words] = embeddings(torch.tensor(token, device=device))
        # As vectors, because some models take positions from where the padding is.
        try:
            return self._entering(inputs_embeds=vectors, **inputs)
        except (TypeError, ValueError, AttributeError) as error:
            lack = f"reads no vectors in place of words ({brief(error)}); choose the baseline zero."
            raise UnsupportedArchitectureError(f"{self.checkpoint.name} {lack}") from error

    def _entering(self, **inputs: torch.Tensor) -> NDArray[np.float32]:
        """`[T, D]`: what enters the first layer of a pass that ends there."""
        seen = []

        def look(layer: int, hidden: torch.Tensor) -> torch.Tensor:
            seen.append(hidden)
            return hidden

        with torch.inference_mode(), attention_hook.record(keep=False, last=0), layers.steer(enter=look):
            self.checkpoint.model.base_model(**inputs)
        return _array(seen[0][0])

    def scores(
        self, removed: NDArray[np.bool_], way: Removal = "token", *, probability: bool = False
    ) -> NDArray[np.float64]:
        """Run the model on many variants of the text at once.

        Args:
            removed: `[B, T]`: the tokens that are taken from each variant.
            way: What becomes of them.
            probability: Whether the target's probability is wanted (a regression score stays itself), not its score.

        Returns:
            `[B]`
        """
        here = np.broadcast_to(np.arange(removed.shape[1]), removed.shape)
        if way == "token":
            return self._scores(here + removed.shape[1] * removed, None, self._read, probability)
        if not self._order_is_in_input:
            return self._scores(here, ~removed, self._read, probability)
        given, lengths = np.empty(len(removed)), (~removed).sum(axis=1)
        for length in np.unique(lengths):  # those that no one attends to need not be there at all
            rows = lengths == length
            kept = here[rows][~removed[rows]].reshape(-1, length)
            given[rows] = self._scores(kept, None, self._read, probability)
        return given

    def _scores(
        self, which: NDArray[np.intp], attended: NDArray[np.bool_] | None, read: int | None, probability: bool
    ) -> NDArray[np.float64]:
        """Run texts `[B, L]`, made of token `t` of the text where they hold `t`, of its blank where they hold `T + t`.

        Args:
            which: The texts.
            attended: `[B, L]`: the tokens that may be attended to; all if None.
            read: The token at which alone what follows the last attention is computed; None for all.
            probability: As in `scores`.
        """
        vectors = self.hidden if which.max() < len(self.hidden) else np.concatenate((self.hidden, self.blank))
        given = np.empty(len(which))
        for rows in self._batches(*which.shape):
            part = self._tensor(vectors[which[rows]])
            mask = None if attended is None else attended[rows]
            with torch.inference_mode():
                logits = self._logits(lambda _, part=part: part, len(part), mask, which[rows], read)
                given[rows] = _array(self._probability(logits) if probability else self._scored(logits))
        return given

    @lazy
    def _read(self) -> int | None:
        """The token at which alone what follows the last attention matters to the score; None if several do."""
        root = self.root
        return root if isinstance(root, int) and reads_one_position(self.checkpoint, self.encoding) else None

    @lazy
    def _order_is_in_input(self) -> bool:
        """Whether the layers know the order of tokens by their input alone, so that tokens can be left out.

        True of encoders with position embeddings, false of rotary positions and sliding windows. Found by trying.
        """
        if self.explained.position is not None or self.checkpoint.root != "first":
            return False
        kept = ~self.words
        kept[np.flatnonzero(self.words)[1::2]] = True  # at least one word is left out
        masked = self._scores(np.arange(len(kept))[None], kept[None], None, False)
        left_out = self._scores(np.flatnonzero(kept)[None], None, None, False)
        return nearly_equal(torch.from_numpy(left_out).to("cpu"), torch.from_numpy(masked).to("cpu"))

    def gradients(
        self, hidden: NDArray[np.float32] | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.float32]]:
        """Score and gradient of many variants of the text at once.

        Args:
            hidden: `[B, T, D]`: what enters the first layer; that of the text itself if None.

        Returns:
            What entered `[B, T, D]`, the scores `[B]`, and their gradients `[B, T, D]`.
        """
        if hidden is None:
            return self._backward(None, self._read)[:3]
        scores, gradients = np.empty(len(hidden)), np.empty_like(hidden)
        for rows in self._batches(*hidden.shape[:2]):
            _, scores[rows], gradients[rows], _ = self._backward(self._tensor(hidden[rows]), self._read)
        return hidden, scores, gradients

    def relevance(self, attention_rule: relevance.Attention) -> tuple[NDArray[np.float64], float, float]:
        """Propagate relevance from the score to what enters the first layer.

        Returns:
            Relevance `[T]`, the relevance that biases took, and the score.

        Raises:
            UnsupportedArchitectureError: If there is no rule for one of the model's operations.
        """
        model = f"{self.checkpoint.architecture} ({self.checkpoint.name})"
        read = self._read  # found by trying, which the rules must not see
        leaf, scores, gradient, bias = self._backward(None, read, relevance.rules(attention_rule, model))
        return np.einsum("td,td->t", leaf[0], gradient[0], dtype=np.float64), bias, float(scores[0])

    def dependence_of_root(self, probes: int) -> NDArray[np.float64]:
        """`[P, T]`: `||v J||^2` of the Jacobian of the last layer's head outputs at the root, by source token.

        `v` are `P` Gaussian directions of these outputs, those of several tokens together: the mean over them is
        `||J||_F^2`.
        """
        source = self._tensor(self.hidden).expand(probes, -1, -1).clone().requires_grad_()
        gates, last = head_gates(self.checkpoint, self.pruned), self.checkpoint.n_layers - 1
        with torch.enable_grad(), attention_hook.record(gates, last=last) as recording, layers.steer(hidden=source):
            self.checkpoint.model.base_model(**model_inputs(self.encoding, probes, device=self.checkpoint.device))
        root = recording.head_output[-1][:, list(tokens_of(self.root))].flatten(1)
        directions = torch.randn(root.shape, generator=torch.Generator().manual_seed(0), device="cpu").to(root)
        (gradient,) = torch.autograd.grad((root * directions).sum(), source)
        return _array(gradient.double().square().sum(-1))

    def _backward(
        self, hidden: torch.Tensor | None, read: int | None, rules: AbstractContextManager[Propagation] | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.float32], float]:
        leaves: list[torch.Tensor] = []

        def enter(entering: torch.Tensor) -> torch.Tensor:
            leaves.append((entering if hidden is None else hidden).detach().requires_grad_())
            return leaves[0]

        with torch.enable_grad():
            with rules or nullcontext() as propagation:  # which the backward pass has no more use for
                scores = self._scored(self._logits(enter, 1 if hidden is None else len(hidden), read=read))
            wanted = leaves[:1]
            if propagation is not None:
                propagation.check(scores)
                wanted.append(propagation.bias_scale)
            gradient, *rest = torch.autograd.grad(scores.sum(), wanted, allow_unused=True)
        bias = float(rest[0]) if rest and rest[0] is not None else 0.0
        return _array(leaves[0]), _array(scores.double()), _array(gradient), bias

    def _batches(self, rows: int, length: int) -> Iterable[slice]:
        scores = self.checkpoint.n_entries if self.checkpoint.head.kind.endswith("-lm") else 1
        size = max(1, min(_TOKENS_AT_ONCE, _SCORES_AT_ONCE // scores) // length)
        size = size if batches_allowed(self.checkpoint) else 1
        return (slice(start, min(start + size, rows)) for start in range(0, rows, size))

    def _logits(
        self,
        enter: Callable[[torch.Tensor], torch.Tensor],
        copies: int = 1,
        mask: NDArray[np.bool_] | None = None,
        which: NDArray[np.intp] | None = None,
        read: int | None = None,
    ) -> torch.Tensor:
        """Run the model on what `enter` gives: the tokens `which`, `[B, L]`, of which the score reads `read` alone."""
        length = len(self.encoding.tokens) if which is None else which.shape[1]
        device = self.checkpoint.device
        inputs = {name: x[:, :length] for name, x in model_inputs(self.encoding, copies, device=device).items()}
        if mask is not None:
            inputs["attention_mask"] = torch.from_numpy(mask.astype(np.int64)).to(device)
        with ExitStack() as passing:
            passing.enter_context(layers.steer(enter=lambda layer, hidden: hidden if layer else enter(hidden)))
            gates = head_gates(self.checkpoint, self.pruned)
            recording = passing.enter_context(attention_hook.record(gates, keep=False))
            sparing = passing.enter_context(SparingLinear(recording, self.checkpoint.n_layers, length, read))
            if which is not None:
                sparing.repeat(0, which)
            return logits_of(self.checkpoint.model(**inputs))

    def _tensor(self, values: NDArray[np.floating]) -> torch.Tensor:
        """Where and how the model computes."""
        return torch.from_numpy(np.ascontiguousarray(values)).to(self.checkpoint.device, self.checkpoint.model.dtype)

    def _scored(self, logits: torch.Tensor) -> torch.Tensor:
        score = self.explained.score(logits)
        if self.against is not None:
            score = score - self.against.score(logits)
        check_finite(self.checkpoint, score)
        return score

    def _probability(self, logits: torch.Tensor) -> torch.Tensor:
        log = self.explained.log_probability(logits.double())
        return log if self.explained.problem == "regression" else log.exp()


def _array(tensor: torch.Tensor) -> NDArray[Any]:
    """The values on the CPU, in single precision where NumPy does not know theirs."""
    tensor = tensor.detach().cpu()
    return (tensor if tensor.dtype in (torch.float32, torch.float64) else tensor.float()).numpy()


def ask(
    checkpoint: Checkpoint,
    encoding: Encoding,
    target: str | int | Target | None = None,
    *,
    against: str | int | Target | None = None,
    position: int | None = None,
    baseline: str | None = None,
    steps: int | None = None,
    pruned: Iterable[Head] = (),
    needs_target: bool = True,
) -> Question:
    """Check what is asked and put it together.

    Args:
        checkpoint: Whose score is explained.
        encoding: A pair encoded for this checkpoint.
        target: See `targets.choose_target`.
        against: A second target, whose score is subtracted.
        position: Token whose prediction is meant, where each token has one.
        baseline: `mask`, `mean`, `pad` or `zero`; the first of these that the tokenizer has if None.
        steps: Points of an integral; None lets the method choose.
        pruned: Heads that are switched off.
        needs_target: Whether a model without a score of its own is refused; if not, its question has no target.

    Raises:
        SelectionError: If one of them is not there.
        TextError: If the text holds special tokens only.
        UnsupportedArchitectureError: If nothing can be put in at the first layer of this model.
    """
    check_explainable(checkpoint)
    if not words_of(checkpoint, encoding).any():
        raise TextError("This text holds special tokens only, so no word can be made responsible; write a word in it.")
    if steps is not None and (not isinstance(steps, int) or isinstance(steps, bool) or not 1 <= steps <= 1024):
        raise SelectionError(f"steps is {steps!r}; give a whole number from 1 to 1024.")
    try:
        first = target if isinstance(target, Target) else choose_target(checkpoint, encoding, target, position=position)
    except SelectionError:
        if needs_target or target not in (None, "") or against not in (None, "") or position is not None:
            raise
        first = None
    second = against if isinstance(against, Target) else None
    if isinstance(against, str | int) and against != "":
        second = choose_target(checkpoint, encoding, against, position=position)
    if first and second and (second.index, second.position) == (first.index, first.position):
        raise SelectionError(
            f"The target and what it is contrasted with are both {first.name!r}; give two different ones."
        )
    return Question(
        checkpoint,
        encoding,
        first,
        second,
        check_baseline(checkpoint, baseline),
        steps,
        check_heads(pruned, checkpoint.n_layers, checkpoint.n_heads),
    )


def check_baseline(checkpoint: Checkpoint, baseline: str | None) -> Baseline:
    """Return a baseline that the checkpoint's tokenizer has; the first of them if None.

    Raises:
        SelectionError: If it has no such token.
    """
    facts = checkpoint.tokenizer.facts
    lacking = {name: i not in range(checkpoint.n_entries) for name, i in (("mask", facts.mask), ("pad", facts.pad))}
    usable: list[Baseline] = [name for name in get_args(Baseline) if not lacking.get(name)]
    for name in usable:
        if baseline is None or baseline == name:
            return name
    raise SelectionError(
        f"The baseline is {str(baseline)[:60]!r}; for {checkpoint.name} give {' or '.join(map(repr, usable))}."
    )


def words_of(checkpoint: Checkpoint, encoding: Encoding) -> NDArray[np.bool_]:
    """`[T]`: the tokens that stand for text; special tokens do not, even if someone wrote them in the text."""
    facts = checkpoint.tokenizer.facts
    special = facts.special - {facts.mask, facts.unknown}
    written = np.array([index in special for index in encoding.inputs["input_ids"].tolist()])
    return (encoding.tokens.sentence != SPECIAL) & ~written
