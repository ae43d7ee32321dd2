"""What share of its attention each head pays to each kind of token: the text as its heads see it, in a few numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attnflow.errors import SelectionError
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
    special = tokens.sentence == SPECIAL
    first = special & (np.arange(len(tokens)) == 0)
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


def shares_of_sums(
    sums: Sequence[NDArray[np.floating]], kinds: NDArray[np.bool_], lengths: NDArray[np.integer]
) -> NDArray[np.float64]:
    """Shares of texts from what `attention_sums` gives.

    Args:
        sums: Each `[N, L, H, T]`.
        kinds: `[N, 3, T]`, see `special_kinds`; False beyond a text.
        lengths: `[N]`: tokens of each text.

    Returns:
        `[N, L, H, 7]`, in the order of `KINDS`.
    """
    received, *near = (np.asarray(one, np.float64) for one in sums)
    other = ~kinds.any(1)
    to_kinds = np.einsum("nlht,nkt->nlhk", received, kinds, optimize=True)
    near_sums = [one.sum(-1) for one in near]
    rest = np.einsum("nlht,nt->nlh", received - sum(near), other)  # what is near and of a kind is neither twice
    found = np.stack([*near_sums, *np.moveaxis(to_kinds, -1, 0), rest], axis=-1)
    return found / np.asarray(lengths, np.float64)[:, None, None, None]


def attention_shares(trace: Trace, kinds: Sequence[str] = KINDS) -> NDArray[np.float64]:
    """How much of its attention each head pays to each kind of token, the mean over the tokens of a text.

    Kinds may overlap, as the token before may be the first of all, so that shares may sum to more than 1; `else` is
    what no other kind counts. A token that has none before or after it pays it 0, and still counts in the mean.

    Args:
        trace: A recorded run.
        kinds: Which of `KINDS`, in this order.

    Returns:
        `[L, H, kind]`, from 0 to 1.

    Reference:
        Clark et al., *What Does BERT Look At?*, sections 3.1 and 3.2; the means as in their notebook.
    """
    sums = attention_sums(trace.attention[None])
    found = shares_of_sums(sums, special_kinds(trace.tokens)[None], np.array([len(trace.tokens)]))[0]
    return found[..., [KINDS.index(kind) for kind in kinds]]
