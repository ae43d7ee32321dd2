"""Which tokens the score of a whole text reads: found by its gradient, once, when a checkpoint is loaded.

After the last layer nothing mixes tokens any more, so that a score depends on the last embeddings of those tokens that
it reads and of no other. Class names and settings only say what usually is: a ModernBERT may read `[CLS]` or the mean.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch.overrides import TorchFunctionMode
from transformers.modeling_utils import PreTrainedModel

from attnflow.checkpoints.architectures import architecture
from attnflow.checkpoints.compat import n_entries
from attnflow.errors import AttnflowError
from attnflow.records.root import Pooling, Root, as_root

Tokens = Literal["first", "last", "all", "words"]
"""The first token of a text, its last, all of them, or all but the special ones."""

_WORDS = 6
"""Words of the text that is tried."""
_ALIKE = 1e-3
"""How far gradients of tokens that count alike may differ, relatively; eight steps of a coarser precision."""


@dataclass(frozen=True)
class Reading:
    """The tokens whose last embeddings the score of a whole text reads."""

    tokens: Tokens
    pooling: Pooling = "mean"
    """How they are put together, if they are several."""
    note: str = ""
    """What a reader must know where it could not be found."""


def usual_tokens(model: PreTrainedModel, *, marks_start: bool) -> Tokens:
    """Where a task usually reads: in T5's encoder, which has no token for it, the one that ends the text stands in.

    Args:
        model: Of one stack.
        marks_start: Whether its tokenizer writes a special token before a text.
    """
    known = architecture(model.config.model_type)
    if known.stacks:
        return "first" if marks_start else "last"
    causal = any(getattr(module, "is_causal", False) for module in model.modules())
    return known.reads or ("last" if causal else "first")


def find_reading(model: PreTrainedModel, usual: Tokens, special: list[int], avoided: set[int]) -> Reading:
    """Find what the head of a freshly loaded model reads; nothing is left changed.

    Args:
        model: One with a trained head for whole texts, that nobody else runs yet.
        usual: What a model of this kind reads as a rule.
        special: Entries of the vocabulary that stand for no text.
        avoided: Those that no text holds, such as padding.

    Returns:
        What it reads; where that cannot be found, or is nothing that there is a name for, the usual with a note.
    """
    ids, words = _sample(n_entries(model), special, avoided)
    try:
        slopes = _slopes(model, torch.tensor([ids], device=model.device))
    except AttnflowError:  # such as that nobody waits for it any more
        raise
    except Exception:  # whatever a strange model does: it is told when it runs on the text of a visitor
        slopes = None
    if slopes is None or not torch.isfinite(slopes).all() or not slopes.any():
        return Reading(usual, note=_NOT_FOUND.format(_NAMES[usual]))
    size, read = len(ids), as_root(slopes.nonzero().flatten().tolist())
    ways: dict[Tokens, Root] = {
        "first": 0,
        "last": size - 1,
        "all": tuple(range(size)),
        "words": as_root(words),
    }
    found: Tokens | None = next((name for name, tokens in ways.items() if tokens == read), None)
    if found is None:
        which = ", ".join(str(token + 1) for token in (read if isinstance(read, tuple) else (read,)))
        return Reading(usual, note=_UNKNOWN.format(which, size, _NAMES[usual]))
    some, tolerance = slopes[slopes > 0], max(_ALIKE, 8 * torch.finfo(model.dtype).eps)
    return Reading(found, "mean" if bool((some - some.mean()).abs().max() <= tolerance * some.mean()) else "other")


_NAMES: dict[Tokens, str] = {
    "first": "the first token",
    "last": "the last token",
    "all": "all tokens",
    "words": "all words",
}
_NOT_FOUND = "Which tokens its score reads could not be found by its gradient; shown is {}, as is usual."
_UNKNOWN = (
    "By its gradient, its score reads tokens {} of {} of a sample text, a choice that is not known here; "
    "shown is {}, as is usual."
)


def _sample(entries: int, special: list[int], avoided: set[int]) -> tuple[list[int], list[int]]:
    """Entries of the vocabulary that look like a pair of sentences, and the places of its words."""
    marks = [index for index in special if 0 <= index < entries and index not in avoided]
    unlike = {*special, *avoided}
    words = [index for index in range(entries) if index not in unlike][:_WORDS] or [0]
    words = [words[place % len(words)] for place in range(_WORDS)]
    if not marks:
        return words, list(range(_WORDS))
    middle = 1 + _WORDS // 2
    ids = [marks[0], *words[: middle - 1], marks[-1], *words[middle - 1 :], marks[-1]]
    return ids, [place for place in range(len(ids)) if place not in (0, middle, len(ids) - 1)]


class _Leaves(TorchFunctionMode):
    """Makes what embeddings give depend on something, so that gradients exist though no weight asks for one."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        return output.detach().requires_grad_() if func is torch.nn.functional.embedding else output


@contextmanager
def _watched(model: PreTrainedModel) -> Iterator[list[torch.Tensor]]:
    """What leaves the model below its head, `[B, T, D]`, while this lasts."""
    seen: list[torch.Tensor] = []
    handle = model.base_model.register_forward_hook(lambda _, __, output: seen.append(output[0]))
    try:
        yield seen
    finally:
        handle.remove()


def _slopes(model: PreTrainedModel, ids: torch.Tensor) -> torch.Tensor | None:
    """`[T]`: the norm of the gradient of the scores with respect to the last embedding of each token of one text."""
    with torch.enable_grad(), _watched(model) as seen, _Leaves():
        logits = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
    # Not the sum: the scores of two classes may be each other's opposite.
    weights = torch.randn(logits.shape, generator=torch.Generator().manual_seed(0)).to(logits)
    (gradient,) = torch.autograd.grad((logits * weights).sum(), seen[-1], allow_unused=True)
    return None if gradient is None else torch.linalg.vector_norm(gradient[0].float(), dim=-1)
