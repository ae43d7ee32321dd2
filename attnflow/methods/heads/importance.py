"""How much each head matters: by the gradients of its parameters, by that of a gate, or by taking it away."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import ClassVar, Literal, Self, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from attnflow import progress
from attnflow.checkpoints.checkpoint import Checkpoint
from attnflow.errors import SelectionError
from attnflow.methods.heads.head_parameters import HeadParameters, LinearCall, LinearCalls, head_parameters
from attnflow.methods.heads.sweeps import HeadValues, Sweep, gates_without
from attnflow.methods.objective import Label, Quantity, choose_loss, examples, has_task
from attnflow.records.trace import Encoding, Head
from attnflow.runtime import attention_hook
from attnflow.runtime.batch import batches, padded_inputs
from attnflow.runtime.capabilities import run_model
from attnflow.stats.statistic import MeanResult, Statistic, read_only, running, shared, standard_error

ImportanceMethod = Literal["taylor", "gate", "ablation"]
_TOKENS_AT_ONCE = 1024
_NUMBERS_AT_ONCE = 1 << 20


def head_importance(
    checkpoint: Checkpoint,
    encodings: Encoding | Sequence[Encoding],
    labels: Label | Sequence[Label] = None,
    *,
    method: ImportanceMethod = "taylor",
    pruned: Iterable[Head] = (),
) -> NDArray[np.float64]:
    """How much each head matters for one example or many, `[L, H]`, raw.

    `taylor`: the sum over the head's parameters (its rows of Q, K and V with their biases, its columns of the output
    projection) of `(gradient * weight) ** 2`, averaged over examples. Gradients are of each example's own loss. Rows
    of a key or value that several heads share count in full for each of them; weights that several layers share
    (ALBERT) count with the gradient through the layer in question alone.

    `gate`: the mean over examples of `|d loss / d gate|`, for a gate of 1 on the head's output.

    `ablation`: the mean change of the loss when the head is removed; positive if the head helps. Measured, not
    approximated. For a checkpoint that predicts nothing of the text (no trained task head, or a masked language model
    and no mask) it is the shift of the root's last embedding, in units of its length, and the only method.

    Args:
        checkpoint: The model; it is left as it is.
        encodings: One or many encoded pairs.
        labels: For each of them a class (name or number), a token for language models, or the true value of a
            regression. None, for all or for one: what the model predicts.
        method: One of the three.
        pruned: Heads that are switched off beforehand; their importance is 0.

    Raises:
        SelectionError: If a method, label or head does not exist, or the method needs a task and there is none.
        UnsupportedArchitectureError: By `taylor`, if the heads' parameters cannot be told apart.

    Reference:
        Li et al., T3-Vis, A.1, after Molchanov et al. 2019, eq. 8 (`taylor`); Michel et al. 2019, eq. 2, with the loss
        of single examples (`gate`). A.1 sums gradients, T3-Vis's program their products with the weights, squared: so
        does this, but example by example.

    Example:
        >>> from attnflow import encode, load_checkpoint
        >>> checkpoint = load_checkpoint("demo/finetuned")
        >>> head_importance(checkpoint, encode(checkpoint, "Anna met Paul.", "Paul met Anna.")).shape
        (4, 4)
    """
    return HeadImportance(method=method).update(checkpoint, encodings, labels, pruned=pruned).result().mean.copy()


@dataclass(eq=False)
class HeadImportance(Statistic):
    """Head importance over examples that come in parts, perhaps in several processes: an accumulator.

    It holds sums alone, so that it can be sent about, and parts can be merged in any order.
    """

    missing: ClassVar[str] = "There are no examples; give at least one encoded pair."
    method: ImportanceMethod = "taylor"
    quantity: Quantity | None = shared(None)
    """What the importance is of; None before the first example."""
    key: str | None = shared(None)
    """The checkpoint and the heads that were switched off; None before the first example."""
    total: NDArray[np.float64] = running()
    """`[L, H]`: the sum over examples."""
    squared: NDArray[np.float64] = running()
    """`[L, H]`: the sum of squares over examples."""

    def __post_init__(self) -> None:
        if self.method not in get_args(ImportanceMethod):
            raise SelectionError(
                f"There is no importance method {str(self.method)[:60]!r}; "
                f"choose {', '.join(get_args(ImportanceMethod))}."
            )

    @property
    def n_examples(self) -> int:
        """Examples so far, which are what the other statistics call texts."""
        return self.n

    def update(
        self,
        checkpoint: Checkpoint,
        encodings: Encoding | Sequence[Encoding],
        labels: Label | Sequence[Label] = None,
        *,
        pruned: Iterable[Head] = (),
    ) -> Self:
        """Add examples; arguments and errors as those of `head_importance`.

        It is the one statistic that runs the model itself, and so makes its batches itself.
        """
        encodings, labels = examples(encodings, labels)
        gates = gates_without(checkpoint, pruned)
        for encoding in encodings:
            if self.method != "ablation" and not has_task(checkpoint, encoding):
                lack = (
                    "predicts masked words, and this text has no mask"
                    if checkpoint.head.trained
                    else ("has no trained task head")
                )
                raise SelectionError(
                    f"{checkpoint.name} {lack}, so there is no loss; choose method='ablation', which then measures "
                    "how far the root's embedding moves."
                )
        if self.method == "ablation":
            values, quantities = self._ablate(checkpoint, encodings, labels, gates)
        else:
            values, quantities = self._differentiate(checkpoint, encodings, labels, gates), {"loss"}
        if len(quantities) > 1:
            raise SelectionError("Some of these texts have a mask and others have none; their changes do not add up.")
        off = [tuple(head) for head in (gates == 0).nonzero().tolist()]
        self._add(
            n=len(encodings),
            n_layers=checkpoint.n_layers,
            n_heads=checkpoint.n_heads,
            quantity=quantities.pop(),
            key=" ".join(map(str, (*checkpoint.key, "without", *off))),
            total=values.sum(0),
            squared=(values**2).sum(0),
        )
        return self

    def result(self) -> MeanResult:
        """`[L, H]`: the mean over all examples.

        Raises:
            SelectionError: If there were none.
        """
        self._check_any()
        error = standard_error(self.n, self.total, self.squared)
        return MeanResult(read_only(self.total / self.n), read_only(error), self.n)

    def _difference(self, values: Mapping[str, object]) -> str:
        return "The parts are of different checkpoints, pruned heads or quantities; keep them apart."

    def _ablate(
        self, checkpoint: Checkpoint, encodings: list[Encoding], labels: list[Label], gates: torch.Tensor
    ) -> tuple[NDArray[np.float64], set[Quantity]]:
        """The change of the loss of each example, `[N, L, H]`, and what it is the change of."""
        values, quantities = [], set()
        pruned = [tuple(head) for head in (gates == 0).nonzero().tolist()]
        alone = len(encodings) == 1
        for number, (encoding, label) in enumerate(zip(encodings, labels, strict=True)):
            sweep = Sweep(checkpoint, encoding, label, pruned)
            with (
                progress.part(number / len(encodings), (number + 1) / len(encodings), _counted(number + 1, encodings)),
                nullcontext() if alone else progress.taking(HeadValues, lambda one: None),
            ):
                values.append(sweep.ablations())
            quantities.add(sweep.loss.quantity)
            if not alone:
                progress.offer(HeadValues(np.mean(values, axis=0)))
        return np.stack(values), quantities

    def _differentiate(
        self, checkpoint: Checkpoint, encodings: list[Encoding], labels: list[Label], gates: torch.Tensor
    ) -> NDArray[np.float64]:
        """The importance of each example, `[N, L, H]`."""
        gates = gates.to(checkpoint.device)
        values = torch.zeros((len(encodings), *gates.shape), dtype=torch.float64, device=checkpoint.device)
        found = head_parameters(checkpoint) if self.method == "taylor" else ()
        done: list[int] = []
        for batch in batches(checkpoint, encodings, _TOKENS_AT_ONCE):
            chosen = [encodings[index] for index in batch]
            wanted = [labels[index] for index in batch]
            if self.method == "gate":
                values[batch] = _gate(checkpoint, chosen, wanted, gates)
            else:
                values[batch] = _taylor(checkpoint, chosen, wanted, gates, found)
            done += batch
            progress.tell(_counted(len(done), encodings) or "the gradient", len(done) / len(encodings))
            if len(done) < len(encodings):
                progress.offer(HeadValues((values[done] * gates).mean(0).cpu().numpy()))
        return (values * gates).cpu().numpy()


def _counted(number: int, encodings: Sequence[Encoding]) -> str:
    """How many of several texts; nothing for a single one."""
    return f"{number} of {len(encodings)} texts" if len(encodings) > 1 else ""


def _total_loss(
    checkpoint: Checkpoint,
    encodings: list[Encoding],
    labels: list[Label],
    output: torch.Tensor,
    plain: torch.Tensor | None,
) -> torch.Tensor:
    """The sum of the examples' losses: its gradient at an example's own row is that of the example's loss alone.

    Args:
        checkpoint: The model.
        encodings: The examples.
        labels: One for each.
        output: Of the pass that is differentiated.
        plain: Of the untouched model, whose prediction stands in for a label; None if they are the same.
    """
    plain = output.detach() if plain is None else plain
    rows = zip(encodings, labels, range(len(encodings)), strict=True)
    losses = (
        choose_loss(checkpoint, encoding, label, _own(plain, row, encoding)[0]).of(_own(output, row, encoding))[0]
        for encoding, label, row in rows
    )
    return sum(losses, start=output.new_zeros(()))


def _own(output: torch.Tensor, row: int, encoding: Encoding) -> torch.Tensor:
    """`[1, C]` or `[1, T, C]`: what a padded batch gives for one text, without its padding."""
    own = output[row : row + 1]
    return own if own.dim() == 2 else own[:, : len(encoding.tokens)]


def _plain(checkpoint: Checkpoint, inputs: dict[str, torch.Tensor], gates: torch.Tensor) -> torch.Tensor | None:
    """Output of the untouched model; None if no head is switched off, when the pass itself gives it."""
    if bool((gates == 1).all()):
        return None
    with torch.no_grad():
        return run_model(checkpoint, inputs, task=True)


def _gate(checkpoint: Checkpoint, encodings: list[Encoding], labels: list[Label], gates: torch.Tensor) -> torch.Tensor:
    """`[B, L, H]`"""
    inputs = padded_inputs(checkpoint, encodings)
    plain = _plain(checkpoint, inputs, gates)
    open_gates = gates.repeat(len(encodings), 1, 1).requires_grad_()
    with torch.enable_grad(), attention_hook.record(open_gates, keep=False):
        output = run_model(checkpoint, inputs, task=True)
        loss = _total_loss(checkpoint, encodings, labels, output, plain)
    return torch.autograd.grad(loss, open_gates)[0].abs().double()


def _taylor(
    checkpoint: Checkpoint,
    encodings: list[Encoding],
    labels: list[Label],
    gates: torch.Tensor,
    found: tuple[HeadParameters, ...],
) -> torch.Tensor:
    """`[B, L, H]`"""
    inputs = padded_inputs(checkpoint, encodings)
    plain = _plain(checkpoint, inputs, gates)
    wanted = frozenset(number for one in found for number in (*one.rows, one.output))
    with torch.enable_grad(), attention_hook.record(gates, keep=False) as recording:
        with LinearCalls(recording, wanted=wanted) as watched:
            output = run_model(checkpoint, inputs, task=True)
        loss = _total_loss(checkpoint, encodings, labels, output, plain)
    calls = watched.calls
    gradients = dict(zip(calls, torch.autograd.grad(loss, [call.y for call in calls.values()]), strict=True))
    values = torch.zeros((len(encodings), *gates.shape), dtype=torch.float64, device=gates.device)
    for parameters in found:
        n_heads = len(next(iter(parameters.rows.values())))
        own = values[:, parameters.layer, parameters.head : parameters.head + n_heads]
        for number, owned in parameters.rows.items():
            of_rows = _squares(calls[number], gradients[number], len(encodings), of_rows=True)
            own += of_rows @ owned.double().T
        of_columns = _squares(calls[parameters.output], gradients[parameters.output], len(encodings), of_rows=False)
        own += of_columns.view(len(encodings), n_heads, -1).sum(-1)
    return values


def _squares(call: LinearCall, gradient: torch.Tensor, n_examples: int, *, of_rows: bool) -> torch.Tensor:
    """`[B, out]` or `[B, in]`: the sums of `(gradient * weight) ** 2` along each row (with its bias) or column.

    Of each example with its own gradient, which is a product of what went into the map and of what came back to it,
    and never kept.
    """
    x = call.x.reshape(n_examples, -1, call.x.shape[-1])
    g = gradient.reshape(n_examples, -1, gradient.shape[-1])
    weight = call.weight.detach()
    sums = torch.zeros((n_examples, weight.shape[0 if of_rows else 1]), dtype=torch.float64, device=weight.device)
    at_once = max(1, _NUMBERS_AT_ONCE // weight.numel())
    for start in range(0, n_examples, at_once):
        some = slice(start, start + at_once)
        products = torch.bmm(g[some].transpose(1, 2), x[some]).mul_(weight)
        sums[some] = torch.linalg.vector_norm(products, dim=2 if of_rows else 1).double() ** 2
    if of_rows and call.bias is not None:
        sums += ((g.sum(1) * call.bias.detach()) ** 2).double()
    return sums
