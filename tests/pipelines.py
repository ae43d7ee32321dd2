"""What is checked of every architecture, and the table of `assets/docs/architectures.md` that says what came out.

`python -m tests.pipelines` checks everything and writes the table anew. A new analysis gets a column by a function in
`PIPELINES`; it takes a `Case`, raises `AssertionError` if the analysis is wrong, and may return what the cell tells. An
analysis that refuses an architecture by an `UnsupportedArchitectureError` shows as refused, one that needs a task head
where none is as a dash.
"""

from __future__ import annotations

import copy
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from torch.overrides import TorchFunctionMode
from transformers import (
    CONFIG_MAPPING,
    MODEL_FOR_CAUSAL_LM_MAPPING,
    MODEL_FOR_MASKED_LM_MAPPING,
    MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING,
    AutoModel,
    AutoModelForSequenceClassification,
    AutoModelForTextEncoding,
)

from attnflow import (
    Checkpoint,
    Encoding,
    SelectionError,
    Trace,
    UnsupportedArchitectureError,
    attention_gradient,
    attention_graph,
    capture,
    encode,
    head_importance,
    hidden_token_attribution,
    influence,
    load_checkpoint,
    with_weights,
)
from attnflow.bundled import ASSETS
from attnflow.checkpoints.checkpoint import check_supported
from attnflow.records.trace import SPECIAL, Attribution
from attnflow.runtime import attention_hook, layers
from attnflow.runtime.capture import model_inputs
from attnflow.stats.flow import compare_flows
from tests import reference, saliency_columns
from tests.checkpoints import ARCHITECTURES, MORE_ARCHITECTURES, N_HEADS, N_LAYERS, PAIR, WIDTH, make_checkpoint
from tests.saliency_columns import SOFTMAX

ALL = ARCHITECTURES | MORE_ARCHITECTURES
PAGE = ASSETS / "docs" / "architectures.md"
BEGIN, END = "<!-- table of architectures: python -m tests.pipelines -->", "<!-- end of the table -->"
PRUNED = [(0, 1), (1, 0), (1, 3), (2, 2)]
TAU = 0.15
BRIEF = ("Anna sold it.", "The friend has a book 😀.")
"""A pair that is still longer than the windows and the distances that these models tell apart."""
WORDS = "Anna gave the book to a friend , didn't she ? The friend has an unbelievable book 😀 .".split()


@dataclass(frozen=True)
class Case:
    """A small random checkpoint of one architecture and what it is compared with."""

    name: str
    folder: Path
    bert: Trace
    """What BERT does with the same pair."""
    pair: tuple[str, str] = PAIR

    @cached_property
    def brief(self) -> Case:
        """The same with a shorter pair, for what is done for each two tokens one by one."""
        return replace(self, pair=BRIEF)

    @cached_property
    def checkpoint(self) -> Checkpoint:
        return load_checkpoint(self.folder)

    @cached_property
    def encoding(self) -> Encoding:
        return encode(self.checkpoint, *self.pair)

    @cached_property
    def trace(self) -> Trace:
        return capture(self.checkpoint, self.encoding)

    @cached_property
    def local(self) -> Attribution:
        """Contributions to the layer, exact: of some architectures the slowest that is asked for."""
        return hidden_token_attribution(self.checkpoint, self.encoding, wrt="previous_layer")

    def eager(self) -> torch.nn.Module:
        """The same checkpoint as transformers itself runs it, to be changed at will."""
        return copy.deepcopy(self._eager)

    @cached_property
    def _eager(self) -> torch.nn.Module:
        if ALL[self.name].classifies:
            loader: Any = AutoModelForSequenceClassification
        else:
            loader = AutoModelForTextEncoding if self.name in ("t5", "mt5", "umt5") else AutoModel
        model = loader.from_pretrained(self.folder, attn_implementation="eager").eval()
        whole = ("bart", "mbart", "plbart", "pegasus", "marian", "m2m_100")
        return model.get_encoder() if self.name in whole else model

    @cached_property
    def exact(self) -> Checkpoint:
        """The checkpoint in float64."""
        return replace(self.checkpoint, model=copy.deepcopy(self.checkpoint.model).double())

    @cached_property
    def exact_eager(self) -> torch.nn.Module:
        """`eager` in float64, every activation one operation of torch."""
        model = self.eager().double().requires_grad_(False)
        for module in list(model.modules()):
            for name, child in module.named_children():
                if type(child).__name__ in ("NewGELUActivation", "BloomGelu"):
                    setattr(module, name, torch.nn.GELU("tanh"))
        return model

    def first_layer(self, model: torch.nn.Module) -> torch.nn.Module:
        """The module that runs as the first layer of such a model."""
        return self.layers(model)[0]

    def layers(self, model: torch.nn.Module) -> list[torch.nn.Module]:
        """The modules that run as the layers of such a model."""
        lists, found, _ = ALL[self.name].projection.partition("{}")
        base = getattr(model, model.base_model_prefix, model)
        paths = [f"{lists}{n}" if found else "encoder.albert_layer_groups.0" for n in range(N_LAYERS)]
        return [base.get_submodule(path) for path in paths]

    def run(self, model: torch.nn.Module) -> Any:
        inputs = {name: torch.from_numpy(values)[None] for name, values in self.encoding.inputs.items()}
        with torch.no_grad():
            return model(**inputs, output_attentions=True, output_hidden_states=True)

    def projections(self, model: torch.nn.Module) -> list[Any]:
        """The output projection of each layer: a linear map, or in XLNet a parameter `[D, H, K]`."""
        base = getattr(model, model.base_model_prefix, model)
        found = []
        for layer in range(N_LAYERS):
            path, _, last = ALL[self.name].projection.format(layer).rpartition(".")
            found.append(getattr(base.get_submodule(path), last))
        return found


# ---- the columns


def tokenize(case: Case) -> None:
    """Every character is shown, words are those of the text, and the model reads what its tokenizer made."""
    tokens = case.encoding.tokens
    for sentence, text in enumerate(PAIR):
        inside = np.flatnonzero(tokens.sentence == sentence)
        shown = {i for start, end in tokens.span[inside] for i in range(start, end)}
        assert shown == {i for i, c in enumerate(text) if not c.isspace()}
    found = []
    for word in dict.fromkeys(tokens.word[tokens.sentence != SPECIAL].tolist()):
        members = np.flatnonzero(tokens.word == word)
        text = PAIR[tokens.sentence[members[0]]]
        found.append(text[tokens.span[members, 0].min() : tokens.span[members, 1].max()])
    assert found == WORDS
    if case.encoding.separator is None:
        assert case.encoding.inputs["input_ids"].tolist() == case.checkpoint.tokenizer.tokenizer(*PAIR)["input_ids"]


@contextmanager
def _projection_inputs(case: Case, model: torch.nn.Module) -> Iterator[list[torch.Tensor]]:
    """What enters the output projections: the heads' outputs side by side."""
    seen: list[torch.Tensor] = []
    modules = dict.fromkeys(case.projections(model))  # ALBERT has one for all layers
    handles = [module.register_forward_pre_hook(lambda _, args: seen.append(args[0])) for module in modules]
    yield seen
    for handle in handles:
        handle.remove()


def equals_eager(case: Case) -> None:
    """Attention, hidden states, heads' outputs and scores are those of transformers' eager attention."""
    trace, model, size = case.trace, case.eager(), len(case.encoding.tokens)
    if case.name == "xlnet":  # its projection is no module; the test of gates sees the heads' outputs
        expected, heads = case.run(model), None
    else:
        with _projection_inputs(case, model) as heads:
            expected = case.run(model)
    assert trace.attention.shape == (N_LAYERS, N_HEADS, size, size)
    assert trace.hidden.shape == (N_LAYERS + 1, size, WIDTH)
    np.testing.assert_allclose(trace.attention, torch.cat(expected.attentions), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(trace.hidden, torch.cat(expected.hidden_states), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(trace.attention.sum(axis=-1), 1, rtol=1e-5)
    assert trace.attention.max() > 0.5, "the random weights are too narrow to tell maps apart"
    if heads is not None:
        side_by_side = trace.head_output.reshape(N_LAYERS, size, -1)
        np.testing.assert_allclose(side_by_side, torch.cat(heads).reshape(side_by_side.shape), rtol=1e-5, atol=1e-5)
    if ALL[case.name].classifies:
        np.testing.assert_allclose(trace.scores, expected.logits[0], rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(trace.probabilities, torch.softmax(expected.logits[0].double(), -1), rtol=1e-5)


def graph_and_influence(case: Case) -> None:
    """Both are those of their definitions."""
    trace = case.trace
    graph = attention_graph(trace, TAU)
    rings, edges = reference.attention_graph(trace.attention, TAU, trace.root)
    assert [set(np.flatnonzero(ring)) for ring in graph.rings] == rings
    found = zip(graph.layer.tolist(), graph.query.tolist(), graph.key.tolist(), graph.heads, strict=True)
    assert {(layer, a, b): set(np.flatnonzero(heads)) for layer, a, b, heads in found} == edges
    expected = reference.influence(trace.attention, TAU, trace.root, 0.5)
    np.testing.assert_allclose(influence(graph, 0.5), expected, rtol=1e-6)


def gates_equal_zeroed_columns(case: Case) -> None:
    """A pruned head does the same as zeros in its columns of the output projection; nothing stays changed."""
    shared = case.name == "albert"  # one projection for all layers: a head is pruned in all of them
    pruned = [(layer, 1) for layer in range(N_LAYERS)] if shared else PRUNED
    trace, model = capture(case.checkpoint, case.encoding, pruned=pruned), case.eager()
    with torch.no_grad():
        for layer, projection in enumerate(case.projections(model)):
            if isinstance(projection, torch.nn.Parameter):
                by_head = projection
            else:  # GPT-2 stores its maps transposed
                transposed = type(projection).__name__ == "Conv1D"
                by_head = (projection.weight.T if transposed else projection.weight).unflatten(1, (N_HEADS, -1))
            for head in (head for at, head in pruned if at == layer):
                by_head[:, head] = 0
    expected = case.run(model)
    np.testing.assert_allclose(trace.hidden, torch.cat(expected.hidden_states), rtol=1e-4, atol=1e-4)
    assert not np.allclose(trace.hidden[-1], case.trace.hidden[-1], atol=1e-3)
    for layer, head in pruned:
        assert not trace.head_output[layer, :, head].any()
    again = capture(case.checkpoint, case.encoding)
    np.testing.assert_array_equal(again.attention, case.trace.attention)
    np.testing.assert_array_equal(again.hidden, case.trace.hidden)


def comparison(case: Case) -> None:
    """Compared with BERT, rows keep their sum, and every token stands for a unit."""
    flows = compare_flows(case.bert, case.trace, TAU)
    pairing = flows.pairing
    for trace, place in ((pairing.a, pairing.in_a), (pairing.b, pairing.in_b)):
        np.testing.assert_allclose(trace.attention.sum(axis=-1), 1, rtol=1e-5)
        assert sorted(i for i in place if i >= 0) == list(range(len(trace.tokens)))
    if pairing.unit == "word":
        inside = [t for t, s in zip(pairing.text, pairing.sentence, strict=True) if s != SPECIAL]
        assert inside == WORDS


def attribution(case: Case) -> None:
    """Hidden Token Attribution of the last layer at the root is the share of the norms of the full Jacobian."""
    case = case.brief
    checkpoint, last = case.checkpoint, N_LAYERS - 1
    found = case.local.values
    np.testing.assert_allclose(found.sum(axis=-1), 1, rtol=1e-5)
    entering = torch.from_numpy(case.trace.hidden[last].copy())

    def outputs(hidden: torch.Tensor) -> torch.Tensor:
        with attention_hook.record() as recording, layers.steer(start=last, hidden=hidden[None]):
            checkpoint.model.base_model(**model_inputs(case.encoding))
        return recording.head_output[-1][0, case.trace.root]  # [H, K]

    blocks = torch.autograd.functional.jacobian(outputs, entering)  # [H, K, T, D]
    norms = blocks.square().sum((1, 3)).sqrt().numpy()
    np.testing.assert_allclose(found[last, :, case.trace.root], norms / norms.sum(-1, keepdims=True), atol=2e-4)


class _OneSource(TorchFunctionMode):
    """Lets every token of row `b` of a batch attend to token `b` alone, in one layer."""

    def __init__(self, layer: int) -> None:
        super().__init__()
        self.left = layer

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func in SOFTMAX:
            if self.left == 0:
                result = torch.eye(result.shape[-1])[:, None, None].expand(result.shape).to(result).contiguous()
            self.left -= 1
        return result


def values_of(case: Case) -> np.ndarray:
    """`[L, T, H, K]`: what a head gives if it attends to a token alone, which is the value of the token."""
    model, size = case.eager(), len(case.encoding.tokens)
    inputs = {name: value.repeat(size, 1) for name, value in model_inputs(case.encoding).items()}
    found = []
    for layer in range(N_LAYERS):
        with torch.no_grad(), _OneSource(layer):
            if case.name == "xlnet":  # its projection is no module
                with attention_hook.record() as recording:
                    case.checkpoint.model.base_model(**inputs)
                heads = recording.head_output
            else:
                with _projection_inputs(case, model) as heads:
                    model(**inputs)
        found.append(heads[layer].reshape(size, size, N_HEADS, -1)[:, 0])
    return torch.stack(found).double().numpy()


def edges_by_norm(case: Case) -> None:
    """Shares of what heads write are those of vectors that are written out; a graph is built of them."""
    case = case.brief
    weights = []
    for projection in case.projections(case.eager()):
        if isinstance(projection, torch.nn.Parameter):
            weights.append(projection)
        else:  # GPT-2 stores its maps transposed
            transposed = type(projection).__name__ == "Conv1D"
            weights.append((projection.weight.T if transposed else projection.weight).unflatten(1, (N_HEADS, -1)))
    projections = torch.stack(weights).detach().double().numpy()
    rows, norms = reference.norm_rows(case.trace.attention, values_of(case), projections)
    np.testing.assert_allclose(case.trace.value_norms, norms, rtol=2e-5)
    edges = with_weights(case.trace, "norm").edges
    np.testing.assert_allclose(edges, rows, rtol=5e-5, atol=1e-7)
    np.testing.assert_allclose(edges.sum(axis=-1), 1, rtol=1e-5)
    rings, _ = reference.attention_graph(edges, TAU, case.trace.root)
    graph = attention_graph(case.trace, TAU, weights="norm")
    assert [set(np.flatnonzero(ring)) for ring in graph.rings] == rings


def importance(case: Case) -> None:
    """Removal is measured one head at a time; the gate's gradient is that of a small step."""
    checkpoint, encoding = case.checkpoint, case.encoding
    found = head_importance(checkpoint, encoding, method="ablation")
    every = [(layer, head) for layer in range(N_LAYERS) for head in range(N_HEADS)]
    alone = [capture(checkpoint, encoding, pruned=[head]) for head in every]
    if not checkpoint.head.trained:  # how far the root's embedding moves, in units of its length
        root = case.trace.hidden[-1, case.trace.root]
        change = [np.linalg.norm(t.hidden[-1, t.root] - root) / np.linalg.norm(root) for t in alone]
        np.testing.assert_allclose(found.ravel(), change, rtol=1e-3, atol=1e-5)
        return
    predicted = int(case.trace.scores.argmax())
    change = [-np.log(t.probabilities[predicted]) + np.log(case.trace.probabilities[predicted]) for t in alone]
    np.testing.assert_allclose(found.ravel(), change, rtol=1e-3, atol=1e-5)
    gate = head_importance(checkpoint, encoding, method="gate")
    steepest = np.unravel_index(gate.argmax(), gate.shape)

    def loss(value: float) -> float:
        gates = torch.ones(N_LAYERS, N_HEADS)
        gates[steepest] = value
        with torch.inference_mode(), attention_hook.record(gates):
            logits = checkpoint.model(**model_inputs(encoding)).logits
        return -float(logits.double().log_softmax(-1)[0, predicted])

    assert abs(loss(1.005) - loss(0.995)) / 0.01 == pytest.approx(gate[steepest], rel=0.03, abs=1e-4)


def taylor(case: Case) -> None:
    """The parameters of single heads are found, and a head that is off has no gradient."""
    found = head_importance(case.checkpoint, case.encoding, method="taylor")
    assert found.shape == (N_LAYERS, N_HEADS) and (found > 0).all()
    pruned = head_importance(case.checkpoint, case.encoding, method="taylor", pruned=[(1, 2)])
    assert pruned[1, 2] == 0


class _Moved(TorchFunctionMode):
    """Adds a little to one weight of attention, where a softmax gives it."""

    def __init__(self, place: tuple[int, int, int, int], step: float) -> None:
        super().__init__()
        self.place, self.step, self.layer = place, step, 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func in SOFTMAX:
            if self.layer == self.place[0]:
                result = result.clone()
                result[0, self.place[1], self.place[2], self.place[3]] += self.step
            self.layer += 1
        return result


def slope_of_attention(
    checkpoint: Checkpoint,
    encoding: Encoding,
    place: tuple[int, int, int, int],
    loss: Callable[[torch.Tensor], float],
    step: float = 1e-4,
) -> float:
    """How fast a loss of the logits `[…]` of a text rises with one weight `(layer, head, query, key)`, measured."""
    model = copy.deepcopy(checkpoint.model).double()
    values = []
    for sign in (1, -1):
        with torch.no_grad(), _Moved(place, sign * step):
            values.append(loss(model(**model_inputs(encoding)).logits[0]))
    return (values[0] - values[1]) / (2 * step)


def attention_slope(case: Case) -> None:
    """The gradient of the loss with respect to attention is its slope, measured at the steepest weights."""
    found = attention_gradient(case.checkpoint, case.encoding)
    predicted = int(case.trace.scores.argmax())
    for layer in range(N_LAYERS):
        head, query, key = np.unravel_index(abs(found[layer]).argmax(), found[layer].shape)
        slope = slope_of_attention(
            case.checkpoint,
            case.encoding,
            (layer, int(head), int(query), int(key)),
            lambda logits: -float(logits.log_softmax(-1)[predicted]),
        )
        assert found[layer, head, query, key] == pytest.approx(slope, rel=1e-2, abs=1e-4)


PIPELINES: dict[str, Callable[[Case], str | None]] = {
    "words": tokenize,
    "capture": equals_eager,
    "graph, influence": graph_and_influence,
    "edges by norm": edges_by_norm,
    "pruning": gates_equal_zeroed_columns,
    "comparison": comparison,
    "attribution": attribution,
    "removal, gate": importance,
    "taylor": taylor,
    "attention gradient": attention_slope,
    **saliency_columns.COLUMNS,
}


# ---- the table


def make_case(name: str, folder: Path, bert: Trace) -> Case:
    """A checkpoint of an architecture, made in a folder if it is not there."""
    if not folder.exists():
        make_checkpoint(folder, name, task="sequence-classification" if ALL[name].classifies else "none")
    return Case(name, folder, bert)


def row(case: Case) -> list[str]:
    """The cells of one architecture; a wrong analysis is an `AssertionError`, not a cell."""
    checkpoint = case.checkpoint
    cells = [f"`{case.name}`", checkpoint.architecture.removesuffix("ForSequenceClassification"), checkpoint.root]
    for check in PIPELINES.values():
        try:
            cells.append(f"✓ {check(case) or ''}".strip())
        except SelectionError:
            cells.append("–")  # what it explains comes from a task head, which this encoder has none of
        except UnsupportedArchitectureError:
            cells.append("refused")
    return cells


def table(rows: list[list[str]]) -> str:
    """The section of the page between its marks."""
    head = ["model type", "read as", "root", *PIPELINES]
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(map(line_of, lines)) + f"\n\n{refused()}\n"


def line_of(cells: list[str]) -> str:
    """A line of the table."""
    return f"| {' | '.join(cells)} |"


def refused() -> str:
    """One paragraph on the architectures that transformers knows for text and that are refused, with the reason."""
    reasons: dict[str, list[str]] = {}
    accepted = 0
    for model_type in sorted(CONFIG_MAPPING):
        config_class = CONFIG_MAPPING[model_type]
        tasks = (MODEL_FOR_MASKED_LM_MAPPING, MODEL_FOR_CAUSAL_LM_MAPPING, MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING)
        if not any(config_class in task for task in tasks):
            continue
        try:
            both = bool(getattr(config_class(), "is_encoder_decoder", False))
        except Exception:
            both = False
        try:
            check_supported({"model_type": model_type, "is_encoder_decoder": both}, "it")
            accepted += 1
        except UnsupportedArchitectureError as error:
            reason = str(error).removeprefix("it cannot be analysed: ").removesuffix(". Choose another checkpoint.")
            reasons.setdefault(re.sub(rf"\b{re.escape(model_type)}\b", "…", reason, count=1), []).append(model_type)
    text = (
        f"transformers {transformers.__version__} knows {accepted} text architectures with the same interfaces; those "
        "that are not in the table are accepted, too, and checked when they run. Refused before the download, with the "
        "reason:"
    )
    return "\n".join([text, "", *(f"- {reason}: {', '.join(names)}." for reason, names in reasons.items())])


def main() -> None:
    """Check everything and write the table into its page."""
    with tempfile.TemporaryDirectory() as top:
        bert = make_case("bert", Path(top) / "bert", None).trace  # type: ignore[arg-type]
        rows = [row(make_case(name, Path(top) / name, bert)) for name in ALL]
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n{table(rows)}{END}{rest.split(END)[1]}", encoding="utf-8")


if __name__ == "__main__":
    main()
