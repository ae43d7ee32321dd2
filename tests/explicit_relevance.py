"""Layer-wise relevance propagation written out: relevance itself is handed back, operation by operation, by divisions.

It shares nothing with the package, which changes gradients of Python's operations: here the model of transformers runs
once, what the processor was really asked to compute is written down, and from the score back each number's relevance is
divided among the numbers it was computed from, by the equations of the papers. An operation without an equation is an
error.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map_only


@dataclass
class Step:
    """One operation of the processor."""

    name: str
    run: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    given: dict[int, int]
    """Number of each tensor among the arguments that depends on the text, by its place."""
    results: list[Tensor]
    numbers: list[int]

    def tensors(self) -> list[Any]:
        """All arguments, those inside lists too."""
        return tree_flatten((self.args, self.kwargs))[0]


@dataclass
class Tape(TorchDispatchMode):
    """Writes down each operation on what depends on a tensor."""

    constant: frozenset[str]
    """Operations whose results count as constants."""
    steps: list[Step] = field(default_factory=list)
    number: dict[int, int | None] = field(default_factory=dict)
    """What a tensor is known as, by its identity; None once its memory was changed through another."""
    kept: list[Tensor] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def watch(self, tensor: Tensor) -> int:
        """Say that a tensor depends on the text, or is another one from now on."""
        self.kept.append(tensor)
        self.number[id(tensor)] = len(self.kept)
        return len(self.kept)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = func.__name__.split(".")[0]
        in_place = name.endswith("_") and not name.startswith("_")
        given = {}
        for place, value in enumerate(tree_flatten((args, kwargs))[0]):
            if isinstance(value, Tensor) and id(value) in self.number:
                number = self.number[id(value)]
                assert number is not None, f"{name} reads what was changed through another view of it"
                given[place] = number
        before = args
        if in_place:
            before = (args[0].clone(), *args[1:])
            self._save(args[0].untyped_storage().data_ptr())
        result = func(*args, **kwargs)
        if not given:
            return result
        results = [one for one in (result if isinstance(result, list | tuple) else [result]) if isinstance(one, Tensor)]
        if name in self.constant or not any(one.is_floating_point() for one in results):
            return result
        if in_place:
            memory = result.untyped_storage().data_ptr()
            for other in self.kept:
                if other is not result and other.untyped_storage().data_ptr() == memory:
                    self.number[id(other)] = None
        numbers = [self.watch(one) for one in results]
        self.steps.append(Step(name.rstrip("_") if in_place else name, func, before, kwargs, given, results, numbers))
        return result

    def _save(self, memory: int) -> None:
        """Keep the values that steps so far have in some memory, which is about to be overwritten."""

        def saved(tensor: Tensor) -> Tensor:
            return tensor.clone() if tensor.untyped_storage().data_ptr() == memory else tensor

        for step in self.steps:
            step.results = [saved(one) for one in step.results]
            step.args, step.kwargs = tree_map_only(Tensor, saved, (step.args, step.kwargs))


def explicit_relevance(model: nn.Module, first_layer: nn.Module, inputs: dict[str, Tensor], target: int, rule: str):
    """Relevance `[T]` of what enters the first layer, and the score.

    Args:
        model: A classifier as transformers runs it, with eager attention and activations that are one operation.
        first_layer: Its first layer.
        inputs: What it is called with.
        target: The class.
        rule: `constant` or `bilinear` attention weights.
    """
    # The scale of a normalisation, and attention weights where they are constants (Ali et al. 2022).
    tape = Tape(frozenset({"rsqrt"} | ({"_softmax"} if rule == "constant" else set())))
    leaves: list[Tensor] = []

    def enter(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if leaves:
            return None
        leaves.append((args[0] if args else kwargs["hidden_states"]).clone())
        tape.watch(leaves[0])
        return ((leaves[0], *args[1:]), kwargs) if args else (args, {**kwargs, "hidden_states": leaves[0]})

    handle = first_layer.register_forward_pre_hook(enter, with_kwargs=True)
    with torch.no_grad(), tape:
        score = model(**inputs).logits[0, target]
    handle.remove()
    relevance: dict[int, Tensor] = {tape.number[id(score)]: score.double()}  # type: ignore[dict-item]
    for step in reversed(tape.steps):
        found = [relevance.get(number) for number in step.numbers]
        if all(one is None for one in found):
            continue
        for number, share in shares(step, found).items():
            relevance[number] = relevance[number] + share if number in relevance else share
    return relevance[1][0].sum(-1).numpy(), float(score)


def shares(step: Step, relevance: list[Tensor | None]) -> dict[int, Tensor]:
    """What each tensor that a step was computed from gets of the relevance of its results."""
    if step.name in MOVES:
        return _moved(step, relevance)
    (given,) = [one for one in relevance if one is not None][:1]
    values = [value.double() if isinstance(value, Tensor) else value for value in step.tensors()]
    result = step.results[0].double()
    places = list(step.given)
    if step.name in PASSED:
        (place,) = places
        return {step.given[place]: given.reshape(values[place].shape)}
    per_place = EQUATIONS[step.name](step, values, result, given)
    total: dict[int, Tensor] = {}
    for place in places:
        if place in per_place:
            share = _summed_to(per_place[place], values[place].shape)
            total[step.given[place]] = total.get(step.given[place], 0) + share
    return total


def _per_unit(relevance: Tensor, z: Tensor) -> Tensor:
    """`R / z`, nothing where there is nothing to share."""
    return torch.where(z == 0, 0, relevance / z)


def _summed_to(share: Tensor, shape: torch.Size) -> Tensor:
    """The shares of a number that stood in several places, together."""
    while share.dim() > len(shape):
        share = share.sum(0)
    for dim, size in enumerate(shape):
        if size == 1 and share.shape[dim] != 1:
            share = share.sum(dim, keepdim=True)
    return share


MOVES = {
    *("alias", "cat", "clone", "expand", "gather", "index", "masked_fill", "permute", "select", "slice", "split"),
    *("split_with_sizes", "stack", "t", "transpose", "unbind", "unsqueeze", "squeeze", "view", "where", "_to_copy"),
    *("_unsafe_view", "unfold", "detach", "contiguous", "copy"),
}
"""Each number of a result is one of the numbers given; it hands all its relevance to it."""
PASSED = {"gelu", "relu", "silu", "tanh", "sigmoid", "pow", "sqrt", "neg"}
"""Functions of one number: its relevance is that of its result (Bach et al. 2015, eq. 58)."""


def _moved(step: Step, relevance: list[Tensor | None]) -> dict[int, Tensor]:
    """Numbers the entries of all that is given, moves the numbers as the step did, and sees where they came from."""
    tensors, start, stand_ins, ranges = step.tensors(), 0, {}, {}
    for place, number in step.given.items():
        size = tensors[place].numel()
        stand_ins[id(tensors[place])] = torch.arange(start, start + size).double().view(tensors[place].shape)
        ranges[number] = (start, size, tensors[place].shape)
        start += size

    def stand_in(tensor: Tensor) -> Tensor:
        if id(tensor) in stand_ins:
            return stand_ins[id(tensor)]
        return torch.full(tensor.shape, -1.0).double() if tensor.is_floating_point() else tensor

    args = tree_map_only(Tensor, stand_in, step.args)
    kwargs = {name: value for name, value in step.kwargs.items() if name not in ("dtype", "memory_format")}
    if step.name == "_to_copy":
        moved: Any = args[0]
    elif step.name == "masked_fill":
        moved = step.run(args[0], args[1], -1.0)
    elif step.name == "copy":
        moved = args[1].expand(step.results[0].shape)
    else:
        moved = step.run(*args, **kwargs)
    total = torch.zeros(start, dtype=torch.float64)
    for came_from, one in zip(moved if isinstance(moved, list | tuple) else [moved], relevance, strict=True):
        if one is not None:
            inside = came_from >= 0
            total.index_add_(0, came_from[inside].long(), one.expand(came_from.shape)[inside])
    return {number: total[begin : begin + size].view(shape) for number, (begin, size, shape) in ranges.items()}


def _matrix_product(left: int, right: int) -> Callable[..., dict[int, Tensor]]:
    """LRP-0 (Bach et al. 2015): `R_i = sum_j x_i w_ij R_j / z_j`; half of it to each if both depend on the text."""

    def equation(step: Step, values: list[Any], z: Tensor, relevance: Tensor) -> dict[int, Tensor]:
        unit = _per_unit(relevance, z)
        scale = step.kwargs.get("alpha", 1) * (0.5 if left in step.given and right in step.given else 1.0)
        found = {
            left: scale * values[left] * (unit @ values[right].mT),
            right: scale * values[right] * (values[left].mT @ unit),
        }
        if left:  # what is added to the product
            found[0] = step.kwargs.get("beta", 1) * values[0] * unit
        return found

    return equation


def _convolution(step: Step, values: list[Any], z: Tensor, relevance: Tensor) -> dict[int, Tensor]:
    """LRP-0 of a convolution `[B, D, T]`: the linear map that it is at each shift of its kernel."""
    x, weight, (pad,) = values[0], values[1], step.args[4]
    assert step.args[3] == [1] and step.args[5] == [1] and step.args[8] == 1
    unit, size = _per_unit(relevance, z), x.shape[-1]
    wide = torch.zeros(*x.shape[:-1], size + 2 * pad, dtype=torch.float64)
    for shift in range(weight.shape[-1]):
        wide[..., shift : shift + size] += weight[..., shift].mT @ unit
    return {0: x * wide[..., pad : pad + size]}


def _sum(sign: float) -> Callable[..., dict[int, Tensor]]:
    """Each summand has its share of the sum."""

    def equation(step: Step, values: list[Any], z: Tensor, relevance: Tensor) -> dict[int, Tensor]:
        unit, alpha = _per_unit(relevance, z), step.kwargs.get("alpha", 1)
        return {0: values[0] * unit, 1: sign * alpha * values[1] * unit}

    return equation


def _mul(step: Step, values: list[Any], z: Tensor, relevance: Tensor) -> dict[int, Tensor]:
    """Proposition 3.3 of AttnLRP: half to each of two factors that depend on the text, all to one that is alone."""
    return {place: relevance / len(step.given) for place in step.given}


def _div(step: Step, values: list[Any], z: Tensor, relevance: Tensor) -> dict[int, Tensor]:
    """A divisor is the scale of a normalisation."""
    assert 0 in step.given
    return {0: relevance}


def _reduced(step: Step, values: list[Any], z: Tensor, relevance: Tensor) -> dict[int, Tensor]:
    """Each summand of a sum, or of a mean, has its share of it."""
    x, of_each = values[0], z.numel() / values[0].numel() if step.name == "mean" else 1
    dims, keep = step.args[1], len(step.args) > 2 and step.args[2]
    unit = _per_unit(relevance, z)
    if not keep:
        for dim in sorted(d % x.dim() for d in dims):
            unit = unit.unsqueeze(dim)
    return {0: x * unit * of_each}


def _softmax(step: Step, values: list[Any], s: Tensor, relevance: Tensor) -> dict[int, Tensor]:
    """Proposition 3.1 of AttnLRP: `R_i = x_i (R_i - s_i sum_j R_j)`; a weight of 0 hides a score of minus infinity."""
    x, dim = values[0], step.args[1]
    return {0: torch.where(s == 0, 0, x * (relevance - s * relevance.sum(dim, keepdim=True)))}


def _layer_norm(step: Step, values: list[Any], z: Tensor, relevance: Tensor) -> dict[int, Tensor]:
    """Ali et al. 2022: the linear map `w_ji = gain_j ([i = j] - 1 / n) / sigma` with sigma as a constant."""
    x, (shape, gain, _, eps) = values[0], step.args[1:]
    assert len(shape) == 1
    sigma = (((x - x.mean(-1, keepdim=True)) ** 2).mean(-1, keepdim=True) + eps).sqrt()
    size = shape[0]
    centre = torch.eye(size, dtype=torch.float64) - 1 / size
    weight = centre if gain is None else gain.double()[:, None] * centre  # [j, i]
    return {0: x / sigma * (_per_unit(relevance, z) @ weight)}


EQUATIONS: dict[str, Callable[..., dict[int, Tensor]]] = {
    "mm": _matrix_product(0, 1),
    "bmm": _matrix_product(0, 1),
    "addmm": _matrix_product(1, 2),
    "baddbmm": _matrix_product(1, 2),
    "add": _sum(1),
    "sub": _sum(-1),
    "mul": _mul,
    "div": _div,
    "mean": _reduced,
    "sum": _reduced,
    "_softmax": _softmax,
    "native_layer_norm": _layer_norm,
    "convolution": _convolution,
}
