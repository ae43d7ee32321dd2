"""What share of its attention each head pays to each kind of token: the text as its heads see it, in a few numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attnflow.errors import SelectionError
from attnflow.records.stacks import Stacks
from attnflow.records.trace import SPECIAL, Tokens, Trace
from attnflow.records.words import CONTINUES

KINDS = ("self", "previous", "next", "first", "separator", "punctuation", "else")
"""A token itself, the one before, the one after, a special token at the beginning, all other special tokens, full stops
and commas, and what is none of these."""
_MARKS = frozenset(".,。，、،۔।")
"""Full stops and commas of the scripts that have some of their own."""


def special_kinds(tokens: Tokens) -> NDArray[np.bool_]:
    """`[3, T]`: which tokens are a first special token, a separator, a full stop or comma.

    Raises:
        SelectionError: If they are the source and the target of an encoder-decoder, of which some take no part in a
            layer, and would be counted as attending to themselves.
    """
    if tokens.n_source is not None:
        raise SelectionError(
            "Kinds of attention are defined for models of one stack, and these are the source and the target of an "
            "encoder-decoder; give the attention of an encoder or a decoder."
        )
    return stack_kinds(tokens)


def stack_kinds(tokens: Tokens) -> NDArray[np.bool_]:
    """The same as `special_kinds`, of encoder-decoders too, whose source and target may each begin with a first one."""
    special = tokens.sentence == SPECIAL
    first = special & np.isin(np.arange(len(tokens)), (0, tokens.n_source or 0))
    marks = np.array([text.removeprefix(CONTINUES) in _MARKS for text in tokens.text], bool) & ~special
    return np.stack([first, special & ~first, marks])


def attention_sums(attention: Any) -> tuple[Any, Any, Any, Any]:
    """What the shares are computed from, each `[…, T]` along the token that is attended to.

    Args:
        attention: `[…, T, T]` as `[query, key]`, of NumPy or of torch, with zeros beyond a text.

    Returns:
        What each token receives from all, from itself, from the one after it, and from the one before it.
    """
    size: int = attention.shape[-1]
    keys = np.arange(size)
    itself = attention[..., keys, keys]
    from_after, from_before = itself * 0, itself * 0
    from_after[..., :-1] = attention[..., keys[1:], keys[:-1]]
    from_before[..., 1:] = attention[..., keys[:-1], keys[1:]]
    return attention.sum(-2), itself, from_after, from_before


def layer_sums(attention: Any, layer: int, stacks: Stacks | None, n_source: int | None) -> tuple[Any, ...]:
    """What `attention_sums` gives of one layer, in an encoder-decoder of the tokens that take part in it alone.

    In cross-attention no token attends to itself or a neighbour: the one that attends stands in another text.

    Args:
        attention: `[…, H, T, T]`, as in `attention_sums`; of texts with one length of source, if there are two stacks.
        layer: Which it is.
        stacks: Of an encoder-decoder; None of other models.
        n_source: Tokens of its source.
    """
    if stacks is None or n_source is None:
        return attention_sums(attention)
    found = tuple(attention[..., 0, :] * 0 for _ in range(4))
    for heads, queries, keys in stacks.parts(layer, n_source, attention.shape[-1]):
        paid = attention[..., heads, queries, keys]
        own = attention_sums(paid) if queries == keys else (paid.sum(-2),)
        for whole, part in zip(found, own, strict=False):
            whole[..., heads, keys] = part
    return found


def shares_of_sums(
    sums: Sequence[NDArray[np.floating]], kinds: NDArray[np.bool_], lengths: NDArray[np.integer]
) -> NDArray[np.float64]:
    """Shares of texts from what `attention_sums` gives.

    Args:
        sums: Each `[N, L, H, T]`.
        kinds: `[N, 3, T]`, see `special_kinds`; False beyond a text.
        lengths: `[N]`: tokens of each text; or `[N, L, H]`: those that attend through each head.

    Returns:
        `[N, L, H, 7]`, 0 where no token attends, in the order of `KINDS`.
    """
    received, *near = (np.asarray(one, np.float64) for one in sums)
    other = ~kinds.any(1)
    to_kinds = np.einsum("nlht,nkt->nlhk", received, kinds, optimize=True)
    near_sums = [one.sum(-1) for one in near]
    rest = np.einsum("nlht,nt->nlh", received - sum(near), other)  # what is near and of a kind is neither twice
    found = np.stack([*near_sums, *np.moveaxis(to_kinds, -1, 0), rest], axis=-1)
    attending = np.maximum(np.asarray(lengths, np.float64), 1)
    return found / (attending if attending.ndim == 3 else attending[:, None, None])[..., None]


def attention_shares(trace: Trace, kinds: Sequence[str] = KINDS) -> NDArray[np.float64]:
    """How much of its attention each head pays to each kind of token, the mean over the tokens of a text.

    Kinds may overlap, as the token before may be the first of all, so that shares may sum to more than 1; `else` is
    what no other kind counts. A token that has none before or after it pays it 0, and still counts in the mean.

    In an encoder-decoder (`Trace.stacks`) the mean is over the tokens that take part in a layer: those of the source in
    the encoder, of the target in the decoder. A first special token is what begins the source or the target;
    cross-attention pays nothing to the token itself and its neighbours, for the source is another text. Heads that are
    absent pay 0 to all.

    Args:
        trace: A recorded run.
        kinds: Which of `KINDS`, in this order.

    Returns:
        `[L, H, kind]`, from 0 to 1.

    Reference:
        Clark et al., *What Does BERT Look At?*, sections 3.1 and 3.2; the means as in their notebook.
    """
    stacks, n_source, size = trace.stacks, trace.tokens.n_source, len(trace.tokens)
    layers = (layer_sums(one, at, stacks, n_source) for at, one in enumerate(trace.attention[:, None]))
    sums = [np.stack(one, axis=1) for one in zip(*layers, strict=True)]
    lengths = np.array([size])
    if stacks is not None and n_source is not None:
        lengths = stacks.attending(n_source, size)[None]
    found = shares_of_sums(sums, stack_kinds(trace.tokens)[None], lengths)[0]
    return found[..., [KINDS.index(kind) for kind in kinds]]
