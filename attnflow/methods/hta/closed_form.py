"""Norms of the Jacobian blocks of one attention layer in closed form, where it is plain softmax attention.

With `o_j = sum_m a_jm v_m` and `a_j = softmax(c q_j . k)`, a change of token `i` moves `o_j` through its value, through
its key, and, if it is `j` itself, through its query:

    d o_j / d e_i = a_ji V_i + c a_ji (v_i - o_j) (q_j K_i) + [i = j] c M_j Q_j,   M_j = sum_m a_jm (v_m - o_j) k_m,

where `V_i`, `K_i`, `Q_i` are the Jacobians of the token's value, key and query with respect to the token. They hold
whatever the architecture does to a token before attention: layer norm, projection, rotation.
"""

from __future__ import annotations

import torch
from torch import nn

from attnflow.methods.hta.pushforward import Stretch
from attnflow.methods.hta.trial import changes, trial
from attnflow.runtime.attention_hook import Call


def plain_jacobian_squares(stretch: Stretch) -> torch.Tensor | None:
    """Squared Frobenius norms of all blocks of one layer.

    Args:
        stretch: A single layer.

    Returns:
        `[1, H, T, T]` as `[layer, head, query, source]` in float64, or None if the layer is not plain: if it does not
        run through the attention interface, if a token's
        query, key or value depends on another token, or if the heads' outputs do not change with them as those of
        softmax attention do, as under a soft cap. Both are tried in a random direction.
    """
    with torch.no_grad():
        recording = stretch.run(stretch.hidden, keep_calls=True)
        if not recording.calls:  # an attention that is watched from outside
            return None
        jacobians = _token_jacobians(stretch, recording.calls[-1])
        if jacobians is None:
            return None
        squares = _block_squares(recording.calls[-1], recording.attention[-1][0], *jacobians)
        if stretch.gates is not None:
            squares = squares * stretch.gates[stretch.start].double().square()[:, None, None]
        return squares[None]


def _token_jacobians(stretch: Stretch, call: Call) -> tuple[torch.Tensor, ...] | None:
    """Jacobians `[H, n, K, D]` of query, key and value: of each token (`n = T`), or one for all (`n = 1`)."""
    moved = trial(stretch, call)
    if moved is None:
        return None
    _, size, width = stretch.hidden.shape
    unit = torch.eye(width, device=stretch.hidden.device).to(stretch.hidden)
    if moved.alike:
        # Every token has the same Jacobian, as after a layer norm: each token of a pass takes another column of it.
        missing = -width % size
        tangents = nn.functional.pad(unit, (0, 0, 0, missing)).view(-1, size, width)
        columns = [part.transpose(1, 2).flatten(0, 1)[:width] for part in changes(stretch, tangents)]  # each [D, H, K]
        return tuple(part.permute(1, 2, 0)[:, None] for part in columns[:3])
    return tuple(part.permute(1, 2, 3, 0) for part in changes(stretch, unit[:, None].expand(-1, size, -1))[:3])


def _block_squares(
    call: Call,
    probabilities: torch.Tensor,
    query_jacobians: torch.Tensor,
    key_jacobians: torch.Tensor,
    value_jacobians: torch.Tensor,
) -> torch.Tensor:
    """`[H, T, T]` as `[query, source]`."""
    exact = torch.promote_types(probabilities.dtype, torch.float32)
    query_jacobians, key_jacobians, value_jacobians, probabilities = (
        part.to(exact) for part in (query_jacobians, key_jacobians, value_jacobians, probabilities)
    )
    groups = len(query_jacobians) // len(key_jacobians)
    heads = []
    for head, attends in enumerate(probabilities):  # one by one: a head's own arrays are large enough
        shared = head // groups  # several heads may read one key and value
        query, key, value = (
            part.to(exact) for part in (call.query[0, head], call.key[0, shared], call.value[0, shared])
        )
        output = call.output[0, :, head].to(exact)
        to_query = call.scaling * query_jacobians[head]  # [n, K, D]
        to_key = call.scaling * key_jacobians[shared]
        to_value = value_jacobians[shared]

        away = value - output[:, None]  # [query, source, K]: v_i - o_j
        # || V + u w' ||^2 = ||V||^2 + 2 u' V w + ||u||^2 ||w||^2 with u = v_i - o_j and w = c K_i' q_j
        cross = torch.einsum("nvd,nkd,jk->jnv", to_value, to_key, query)
        length = torch.einsum("nkd,nld,jk,jl->jn", to_key, to_key, query, query)
        squares = attends.square() * (
            to_value.square().sum((1, 2)) + 2 * (away * cross).sum(-1) + away.square().sum(-1) * length
        )

        # The diagonal has the query's path, too, so these blocks are written out.
        own = attends.diagonal()[:, None, None]
        through_key = away.diagonal().mT[:, :, None] * (query[:, None] @ to_key)
        moves = torch.einsum("jm,mv,mk->jvk", attends, value, key) - output[:, :, None] * (attends @ key)[:, None]
        blocks = own * (to_value + through_key) + moves @ to_query
        heads.append(squares.double().diagonal_scatter(blocks.double().square().sum((1, 2))))
    return torch.stack(heads).clamp_(min=0)
