"""Norms of the Jacobian blocks of one plain attention layer from products of its weights.

The blocks are those of `closed_form`: `a_ji (V_i + u w') + [i = j] c M_j Q_j`, `u = v_i - o_j` and `w = c K_i' q_j`.
With `V_i = A J_i`, `K_i = R_i A J_i` and so on (`token_paths`), every term of their squared norm is made of products
of two parts, `A J J' A' = s_i^2 (A C A' - b_i y y')` with `y = A n(x_i)`. `A C A'` depends on weights alone, so that
no Jacobian is ever written out.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from attnflow.methods.hta.pushforward import Stretch
from attnflow.methods.hta.token_paths import TokenPath, rotate
from attnflow.methods.hta.trial import negligible, softmax_attention
from attnflow.runtime.attention_hook import Call


def squares_from_weights(
    path: TokenPath, stretch: Stretch, call: Call, probabilities: torch.Tensor
) -> torch.Tensor | None:
    """Squared Frobenius norms of all blocks of one layer.

    Args:
        path: What the layer does to a token.
        stretch: The layer, and what enters it.
        call: What its attention was called with.
        probabilities: `[H, T, T]`: what it found.

    Returns:
        `[1, H, T, T]` as `[layer, head, query, source]` in float64, or None if this is not what the layer did to
        this text: if query, key and value are not those of the path, or the heads' outputs not those of
        softmax attention.
    """
    exact = path.rows.dtype
    query, key, value = (part[0].to(exact) for part in (call.query, call.key, call.value))
    output = call.output[0].transpose(0, 1).to(exact)
    hidden, turned = stretch.hidden[0].to(exact), path.rotations(stretch)
    turned = None if turned is None else (turned[0].to(exact), turned[1].to(exact))
    pays, given = softmax_attention(query, key, value, call)
    if not negligible(pays - probabilities, probabilities, call.output.dtype) or not negligible(
        given - output, call.output
    ):
        return None
    if not path.gives(call, hidden, turned):
        return None
    groups = len(query) // len(key)
    key, value = (part.repeat_interleave(groups, dim=0) for part in (key, value))
    layer = _Layer(path, call.scaling, hidden, turned, query, key, value, output, pays)
    gates = 1 if stretch.gates is None else stretch.gates[stretch.start].double().square()[:, None, None]
    return (gates * layer.squares())[None]


@dataclass(frozen=True, eq=False)
class _Layer:
    """One layer at one text, all parts with an axis of heads in front."""

    path: TokenPath
    scaling: float
    """`c`"""
    hidden: torch.Tensor
    """`[T, D]`"""
    turned: tuple[torch.Tensor, torch.Tensor] | None
    """`R` of query and key, `[T, K, K]` each."""
    query: torch.Tensor
    """`[H, T, K]`"""
    key: torch.Tensor
    value: torch.Tensor
    output: torch.Tensor
    pays: torch.Tensor
    """`[H, T, T]`"""

    def squares(self) -> torch.Tensor:
        """`[H, T, T]`: in float64 where numbers of nearly the same size are taken from each other."""
        query, value, output = (part.double() for part in (self.query, self.value, self.output))
        square = self.for_each_head(self.path.value_square).double()[:, None, None]
        cross, length = self._through_key()
        if self.path.norm is not None:
            _, scale, bend = self.path.norm(self.hidden.double())
            scale = scale.square()
            of_key, of_value = self.normal(1).double(), self.normal(2).double()
            along = (value * of_value).sum(-1)[:, None] - output @ of_value.mT  # u' y
            across = query @ of_key.mT
            square = scale * (square - bend * of_value.square().sum(-1)[:, None])
            cross = scale * (cross - bend * along * across)
            length = scale * (length - bend * across.square())
        away = value.square().sum(-1)[:, None] + output.square().sum(-1)[..., None] - 2 * output @ value.mT
        # || V + u w' ||^2 = ||V||^2 + 2 u' V w + ||u||^2 ||w||^2
        squares = self.pays.double().square() * (square + 2 * self.scaling * cross + self.scaling**2 * away * length)
        return (squares + torch.diag_embed(self._through_query().double())).clamp_(min=0)

    def for_each_head(self, of_groups: torch.Tensor) -> torch.Tensor:
        """What several heads share, at each of them."""
        return of_groups.repeat_interleave(len(self.query) // len(of_groups), dim=0)

    def product(self, name: str) -> torch.Tensor:
        """`A C A'` of two parts, `[H, K, K]`."""
        return self.for_each_head(self.path.products[name])

    def normal(self, index: int) -> torch.Tensor:
        """`R y`, `[H, T, K]`: what query, key or value would be without their constant."""
        offset = self.for_each_head(self.path.offsets[index])
        if self.turned is not None and index < 2:
            offset = rotate(self.turned[index], offset.expand(-1, len(self.hidden), -1))
        return (self.query, self.key, self.value)[index] - offset

    def _through_key(self) -> tuple[torch.Tensor, torch.Tensor]:
        """`u' A C A' R_i' q` of value and key, and `q' R_i A C A' R_i' q` of the key, `[H, T, T]` or `[H, T, 1]`."""
        with_value, with_key = self.product("vk"), self.product("kk")
        if self.turned is None:
            query, value, output = (part.double() for part in (self.query, self.value, self.output))
            seen = query @ with_value.double().mT
            cross = seen @ value.mT - (seen * output).sum(-1)[..., None]
            return cross, (query @ with_key.double() * query).sum(-1)[..., None]
        parts = (self.query, self.value @ with_value, self.output @ with_value, with_key)
        found = [self._turned_key(*head) for head in zip(*parts, strict=True)]
        cross, length = (torch.stack(part) for part in zip(*found, strict=True))
        return cross, length

    def _turned_key(
        self, query: torch.Tensor, value: torch.Tensor, output: torch.Tensor, product: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Of one head, `[T, T]`: every query is turned back by the rotation of every key."""
        assert self.turned is not None
        back = torch.einsum("ikl,jk->jil", self.turned[1], query)
        return (back * (value - output[:, None])).sum(-1), (back @ product * back).sum(-1)

    def _through_query(self) -> torch.Tensor:
        """`[H, T]`: what the query's path adds to the square of a token's own block.

        `|| B + c M Q ||^2 - || B ||^2 = 2 c B . M Q + c^2 || M Q ||^2` with `B = a (V + u w')`.
        """
        back, c = self.query, self.scaling
        if self.turned is not None:
            back = rotate(self.turned[1].mT, back)
        seen = back @ self.product("kq")
        if self.turned is not None:
            seen = rotate(self.turned[0], seen)
        aim = self._move(seen)  # M Q K' q
        with_value, square = self._moves()
        if self.path.norm is not None:
            _, scale, bend = self.path.norm(self.hidden)
            scale = scale.square()
            along = self._move(self.normal(0))
            aim = scale[:, None] * (aim - (bend * (self.normal(1) * self.query).sum(-1))[..., None] * along)
            with_value = scale * (with_value - bend * (self.normal(2) * along).sum(-1))
            square = scale * (square - bend * along.square().sum(-1))
        own, apart = self.pays.diagonal(dim1=1, dim2=2), self.value - self.output
        return 2 * c * own * (with_value + c * (apart * aim).sum(-1)) + c**2 * square

    def _move(self, vectors: torch.Tensor) -> torch.Tensor:
        """`M_j x_j` of vectors `[H, T, K]`, in float64."""
        pays = self.pays.double() * (vectors @ self.key.mT)
        return pays @ self.value.double() - self.output * pays.sum(-1, keepdim=True)

    def _moves(self) -> tuple[torch.Tensor, torch.Tensor]:
        """`A C A' . M R` of value and query, and `M R A C A' R' M'` of the query, traced: `[H, T]` each."""
        with_value, with_query = self.product("vq"), self.product("qq")
        if self.turned is not None:
            parts = (self.pays, self.key, self.value, self.output, with_value, with_query)
            found = [self._turned_moves(*head) for head in zip(*parts, strict=True)]
            first, second = (torch.stack(part) for part in zip(*found, strict=True))
            return first, second
        pays, key, value, output = (part.double() for part in (self.pays, self.key, self.value, self.output))
        seen = key @ with_value.double().mT
        first = (pays @ (value * seen).sum(-1)[..., None])[..., 0] - (output * (pays @ seen)).sum(-1)
        # sum_mn a_m a_n (v_m - o)' (v_n - o) k_m' A C A' k_n, so that M is never written out
        product = key @ with_query.double() @ key.mT
        second = ((pays @ (product * (value @ value.mT))) * pays).sum(-1)
        paid = (pays @ product) * pays
        second += (paid * (output.square().sum(-1)[..., None] - 2 * output @ value.mT)).sum(-1)
        return first, second

    def _turned_moves(
        self,
        pays: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        output: torch.Tensor,
        with_value: torch.Tensor,
        with_query: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Of one head, `[T]` each."""
        assert self.turned is not None
        moves = torch.einsum("jm,mv,mk->jvk", pays, value, key) - output[..., None] * (pays @ key)[:, None]
        moves = moves @ self.turned[0]
        return (moves * with_value).sum((1, 2)), (moves @ with_query * moves).sum((1, 2))
