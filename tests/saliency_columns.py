"""Every saliency method on every architecture against a slow transcription that runs the model of transformers.

A column takes a `Case` of `tests.pipelines` and may return what its cell says beside the tick. Models compute in
float64 here, so that what differs is the method and not rounding; parts that an architecture itself computes in float32
differ by 1e-7.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from attnflow import saliency, with_weights
from attnflow.methods.saliency.explain import Saliency
from attnflow.methods.saliency.methods import METHODS
from attnflow.methods.saliency.methods.contribution import PROBES
from attnflow.records.root import tokens_of
from attnflow.records.trace import SPECIAL
from tests import reference
from tests.explicit_relevance import explicit_relevance

if TYPE_CHECKING:
    from tests.pipelines import Case

TARGET = 2
STEPS = 16
SOFTMAX = (torch.softmax, F.softmax, Tensor.softmax)


def ask(case: Case, method: str, **options: Any) -> Saliency:
    """What a method says of class `yes`."""
    target = "yes" if METHODS[method].about_target else None
    return saliency(case.exact, case.encoding, target=target, method=method, **options)


def close(found: np.ndarray, expected: np.ndarray) -> None:
    assert np.abs(expected).max() > 0
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


@contextmanager
def entering(layer: nn.Module, hidden: Tensor | None = None) -> Iterator[list[Tensor]]:
    """Sees what enters a layer when it first runs, or puts something else in its place."""
    seen: list[Tensor] = []

    def look(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if seen:  # ALBERT runs one module as all its layers
            return None
        seen.append(args[0] if args else kwargs["hidden_states"])
        if hidden is None:
            return None
        return ((hidden, *args[1:]), kwargs) if args else (args, {**kwargs, "hidden_states": hidden})

    handle = layer.register_forward_pre_hook(look, with_kwargs=True)
    yield seen
    handle.remove()


def inputs_of(case: Case, copies: int = 1) -> dict[str, Tensor]:
    return {name: torch.from_numpy(values).repeat(copies, 1) for name, values in case.encoding.inputs.items()}


def hidden_of(case: Case, **changed: Tensor) -> Tensor:
    """`[T, D]`: what enters the first layer."""
    inputs = inputs_of(case)
    if changed:
        del inputs["input_ids"]
    with torch.no_grad(), entering(case.first_layer(case.exact_eager)) as seen:
        case.exact_eager(**inputs, **changed)
    return seen[0][0]


def blank_of(case: Case) -> Tensor:
    """`[T, D]`: the same if every word were the mask token or, without one, the mean of the vocabulary."""
    embeddings, mask = case.exact_eager.get_input_embeddings(), case.checkpoint.tokenizer.facts.mask
    words = torch.from_numpy(case.encoding.tokens.sentence != SPECIAL)
    with torch.no_grad():
        vectors = embeddings(inputs_of(case)["input_ids"]).clone()
        everything = torch.arange(embeddings.num_embeddings)
        vectors[0, words] = embeddings(everything).mean(0) if mask is None else embeddings(torch.tensor(mask))
    return hidden_of(case, inputs_embeds=vectors)


def scores_of(case: Case, hidden: Tensor) -> Tensor:
    """`[B]`: scores of `[B, T, D]`."""
    with entering(case.first_layer(case.exact_eager), hidden):
        return case.exact_eager(**inputs_of(case, len(hidden))).logits[:, TARGET]


def gradients_of(case: Case, hidden: Tensor) -> Tensor:
    """`[B, T, D]`: gradients of the scores."""
    leaf = hidden.clone().requires_grad_()
    return torch.autograd.grad(scores_of(case, leaf).sum(), leaf)[0]


def input_gradient(case: Case) -> None:
    found = ask(case, "input_gradient").values
    hidden = hidden_of(case)
    close(found, (hidden * gradients_of(case, hidden[None])[0]).sum(-1).numpy())


def input_gradient_norm(case: Case) -> None:
    found = ask(case, "input_gradient_norm").values
    close(found, gradients_of(case, hidden_of(case)[None])[0].norm(dim=-1).numpy())


def integrated_gradients(case: Case) -> None:
    """The gradient at each place of the way, by its weight."""
    found = ask(case, "integrated_gradients", steps=STEPS)
    hidden, blank = hidden_of(case), blank_of(case)
    nodes, weights = np.polynomial.legendre.leggauss(STEPS)
    places, weights = torch.from_numpy((nodes + 1) / 2), torch.from_numpy(weights / 2)
    way = torch.stack([blank + place * (hidden - blank) for place in places])
    mean = sum(weight * gradient for weight, gradient in zip(weights, gradients_of(case, way), strict=True))
    close(found.values, ((hidden - blank) * mean).sum(-1).numpy())
    with torch.no_grad():
        start, end = scores_of(case, torch.stack([blank, hidden])).tolist()
    np.testing.assert_allclose(found.total, end - start, rtol=1e-5)


def occlusion(case: Case) -> None:
    found = ask(case, "occlusion").values
    hidden, blank = hidden_of(case), blank_of(case)
    expected = np.zeros(len(hidden))
    words = np.flatnonzero(case.encoding.tokens.sentence != SPECIAL)
    without = hidden.repeat(len(words), 1, 1)
    for row, token in enumerate(words):
        without[row, token] = blank[token]
    with torch.no_grad():
        expected[words] = scores_of(case, hidden[None]) - scores_of(case, without)
    close(found, expected)


def _relevance(case: Case, method: str, rule: str) -> str:
    found = ask(case, method)
    model = case.exact_eager
    expected, score = explicit_relevance(model, case.first_layer(model), inputs_of(case), TARGET, rule)
    close(found.values, expected)
    np.testing.assert_allclose(found.total, score, rtol=1e-5)
    missing = abs(found.residual) / (np.abs(found.values).sum() + abs(found.bias_share))
    if rule == "constant":
        assert missing < 1e-6
    return f"{missing:.0%}"


def lrp(case: Case) -> str:
    """Relevance handed back by divisions; with the share of biases it is the score."""
    return _relevance(case, "lrp", "constant")


def attn_lrp(case: Case) -> str:
    """The same with attention weights that depend on the text; what is missing is told."""
    return _relevance(case, "attn_lrp", "bilinear")


def attention_rollout(case: Case) -> None:
    found = ask(case, "attention_rollout").values
    attention = torch.cat(case.run(case.exact_eager).attentions).numpy()
    close(found, reference.attention_rollout(attention)[list(tokens_of(case.trace.root))].mean(0))


def influence(case: Case) -> None:
    found = ask(case, "influence").values
    attention = torch.cat(case.run(case.exact_eager).attentions).numpy()
    np.testing.assert_allclose(found, reference.influence(attention, 0.1, case.trace.root, 0.5)[0], rtol=1e-6)


def hidden_token_attribution_of_root(case: Case) -> None:
    """Norms of the full Jacobian of the last layer's heads at the root, seen from the same random directions."""
    found = ask(case, "hidden_token_attribution").values
    model = case.exact_eager
    projection = case.projections(model)[-1]
    seen: list[Tensor] = []
    handle = projection.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    roots, width = list(tokens_of(case.trace.root)), case.checkpoint.n_heads * case.trace.head_output.shape[-1]
    outputs = len(roots) * width
    leaf = hidden_of(case).repeat(outputs, 1, 1).requires_grad_()
    with entering(case.first_layer(model), leaf):
        model(**inputs_of(case, outputs))
    handle.remove()
    last = seen[-1].reshape(outputs, len(case.encoding.tokens), width)[:, roots].flatten(1)
    (jacobian,) = torch.autograd.grad(last.diagonal().sum(), leaf)  # [roots * H * K, T, D]
    directions = torch.randn(PROBES, outputs, generator=torch.Generator().manual_seed(0)).double()
    squares = torch.einsum("po,otd->ptd", directions, jacobian).square().sum(-1)  # [P, T]
    norms = squares.mean(0).sqrt().numpy()
    close(found, norms / norms.sum())


def influence_norm(case: Case) -> None:
    """The graph of shares by norm, which have a column of their own."""
    case = case.brief
    found = ask(case, "influence_norm").values
    rows = with_weights(case.trace, "norm").edges
    np.testing.assert_allclose(found, reference.influence(rows, 0.1, case.trace.root, 0.5)[0], rtol=1e-6)


def influence_previous_layer(case: Case) -> None:
    """The graph of contributions to the layer, which have a column of their own and so are not computed again."""
    case = case.brief
    with patch("attnflow.methods.edges.hidden_token_attribution", return_value=case.local) as asked:
        found = ask(case, "influence_previous_layer").values
    asked.assert_called_once_with(case.exact, case.encoding, wrt="previous_layer", pruned=frozenset())
    rows = case.local.values
    np.testing.assert_allclose(found, reference.influence(rows, 0.1, case.trace.root, 0.5)[0], rtol=1e-6)


class _Sources(TorchFunctionMode):
    """In one layer, attention weights times `[B, T]` by source: what is multiplied by 0 is a value of zeros."""

    def __init__(self, layer: int, kept: Tensor) -> None:
        super().__init__()
        self.left, self.kept = layer, kept

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func in SOFTMAX:
            if self.left == 0:
                result = result * self.kept[:, None, None].to(result)
            self.left -= 1
        return result


@contextmanager
def layer_calls(case: Case, model: nn.Module) -> Iterator[list[Tensor]]:
    """What leaves each layer, in the order in which they run."""
    seen: list[Tensor] = []

    def look(module: nn.Module, args: Any, output: Any) -> None:
        seen.append(output if isinstance(output, Tensor) else output[0])

    handles = [layer.register_forward_hook(look) for layer in dict.fromkeys(case.layers(model))]
    yield seen
    for handle in handles:
        handle.remove()


def value_zeroing(case: Case) -> None:
    """Each layer is run once for each token whose value is zeroed in all heads of that layer, with its own input."""
    case = case.brief
    found = ask(case, "value_zeroing").values
    model, size = case.exact_eager, len(case.encoding.tokens)
    with torch.no_grad(), layer_calls(case, model) as whole:
        model(**inputs_of(case))
    without = []
    for layer in range(len(whole)):
        with torch.no_grad(), layer_calls(case, model) as left, _Sources(layer, 1 - torch.eye(size)):
            model(**inputs_of(case, size))
        without.append(left[layer])
    changes = reference.value_zeroing(torch.cat(whole).numpy(), torch.stack(without).numpy())
    close(found, reference.rolled_shares(changes, list(tokens_of(case.trace.root))))
    np.testing.assert_allclose(found.sum(), 1)


_LINEAR = (F.linear, torch.addmm, torch.matmul, Tensor.matmul, Tensor.__matmul__)
_SCALES = (torch.rsqrt, Tensor.rsqrt, torch.sqrt, Tensor.sqrt)


class _Constants(TorchFunctionMode):
    """Learns, in a first pass through a layer, the scales of normalisations and what its linear maps give but for the
    output projection; in a second one it gives these again, whatever they are computed of."""

    def __init__(self, projection: Tensor) -> None:
        super().__init__()
        self.projection, self.known, self.inside, self.learns = projection.data_ptr(), [], False, True

    def constant(self, compute: Callable[[], Tensor]) -> Tensor:
        if self.learns:
            self.known.append(compute())
            return self.known[-1].clone()  # which DeBERTa adds to in place
        return self.known.pop(0)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if not self.inside:
            return func(*args, **kwargs)
        if func is F.layer_norm:
            x, _, weight, bias, eps = (*args, *kwargs.values())
            centred = x - x.mean(-1, keepdim=True)
            scale = self.constant(lambda: ((centred**2).mean(-1, keepdim=True) + eps) ** -0.5)
            result = centred * scale if weight is None else centred * scale * weight
            return result if bias is None else result + bias
        weights = [a for a in args if isinstance(a, Tensor) and a.dim() == 2 and a.data_ptr() != args[0].data_ptr()]
        linear = func in _LINEAR and weights and args[0].dim() < 4
        if linear and weights[-1].data_ptr() == self.projection:
            return func(*args, **kwargs)
        return self.constant(lambda: func(*args, **kwargs)) if linear or func in _SCALES else func(*args, **kwargs)


def norm_rollout(case: Case) -> None:
    """What leaves a layer if its heads read one token alone and its residual carries it alone, with all scales and
    the feed-forward part as they are for the whole text, less what leaves it with nothing."""
    case = case.brief
    found = ask(case, "norm_rollout").values
    model, size = case.exact_eager, len(case.encoding.tokens)
    kept = torch.cat((torch.eye(size), torch.zeros(1, size)))  # one row a source, and one without any
    parts = []
    for number, projection in enumerate(case.projections(model)):
        constants, calls = _Constants(projection.weight), [0]
        left: list[Tensor] = []

        def enter(
            _: nn.Module, args: Any, kwargs: Any, constants: Any = constants, calls: Any = calls, number: int = number
        ) -> Any:
            calls[0] += 1
            if calls[0] != number + 1:
                return None
            constants.inside = True
            if constants.learns:
                return None
            if args:
                return (args[0] * kept[..., None], *args[1:]), kwargs
            return args, {**kwargs, "hidden_states": kwargs["hidden_states"] * kept[..., None]}

        def leave(
            _: nn.Module,
            args: Any,
            output: Any,
            constants: Any = constants,
            calls: Any = calls,
            left: Any = left,
            number: int = number,
        ) -> None:
            constants.inside = False
            if calls[0] == number + 1:
                left.append(output if isinstance(output, Tensor) else output[0])

        handles = []
        for layer in dict.fromkeys(case.layers(model)):
            handles.append(layer.register_forward_pre_hook(enter, with_kwargs=True))
            handles.append(layer.register_forward_hook(leave))
        with torch.no_grad(), constants:
            model(**inputs_of(case, size + 1))
            constants.learns, calls[0] = False, 0
            with _Sources(number, kept):
                model(**inputs_of(case, size + 1))
        for handle in handles:
            handle.remove()
        assert not constants.known
        parts.append(left[1][:-1] - left[1][-1])
    lengths = reference.part_lengths(torch.stack(parts).numpy())
    close(found, reference.rolled_shares(lengths, list(tokens_of(case.trace.root))))
    np.testing.assert_allclose(found.sum(), 1)


COLUMNS: dict[str, Callable[[Case], str | None]] = {
    "gradient × input": input_gradient,
    "gradient norm": input_gradient_norm,
    "integrated gradients": integrated_gradients,
    "LRP": lrp,
    "AttnLRP": attn_lrp,
    "occlusion": occlusion,
    "rollout": attention_rollout,
    "influence of words": influence,
    "by norm": influence_norm,
    "by contribution": influence_previous_layer,
    "root's contributions": hidden_token_attribution_of_root,
    "norm rollout": norm_rollout,
    "value zeroing": value_zeroing,
}
"""One for each of the saliency methods."""
