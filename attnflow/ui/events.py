"""What happens when a visitor does something on the page: each function takes plain values and fills panels.

Private events still answer direct requests, so everything they are sent is checked like input of the API.
"""

from __future__ import annotations

import csv
import io
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, NamedTuple

import gradio as gr

from attnflow import service
from attnflow.checkpoint import BUNDLED
from attnflow.errors import AttnflowError, SelectionError
from attnflow.figures.heatmap import attention_heatmap
from attnflow.figures.radial import radial
from attnflow.figures.sentence import sentence
from attnflow.figures.tour import tour
from attnflow.flow import LARGEST_RING, FlowPair, compare_flows, first_tau
from attnflow.hub import search_models
from attnflow.records import Head
from attnflow.service import Run
from attnflow.ui import answers, api
from attnflow.ui.examples import Example, load_examples

UNITS = {"Word pieces": "piece", "Words": "word"}
CHANGED = "*Not analysed yet: press Analyse.*"
DECISION = -1
"""Value of the choice of a root: what each model's task reads."""
PROGRESS = gr.Progress()
"""Gradio fills a parameter with this default."""


class Settings(NamedTuple):
    """How the attention flow is drawn; the order of the controls that are passed to events."""

    tau: float
    auto: bool
    unit: str
    alpha: float
    root: int
    heads: list[str]
    hide_special: bool


@dataclass(frozen=True)
class Shown:
    """What the page shows, kept on the server for one visitor; traces themselves stay in the bounded cache."""

    key_a: tuple[object, ...]
    key_b: tuple[object, ...]
    ref_a: str
    ref_b: str
    text_a: str
    text_b: str

    def runs(self) -> tuple[Run, Run]:
        """Both runs, from memory if they are still there."""
        a, b = service.recall(self.key_a), service.recall(self.key_b)
        return (
            a or service.run(self.ref_a, self.text_a, self.text_b),
            b or service.run(self.ref_b, self.text_a, self.text_b),
        )


def told(function: Callable[..., Any]) -> Callable[..., Any]:
    """Show our own errors as one sentence; what is on the page stays."""

    @wraps(function)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except AttnflowError as error:
            raise gr.Error(str(error), title="That did not work", print_exception=False) from error

    return guarded


@told
def analysed(
    before: Shown | None, model_a: str, revision_a: str, model_b: str, revision_b: str, text_a: str, text_b: str,
    layer: int, head: int, *settings: Any, progress: gr.Progress = PROGRESS,
) -> tuple[Any, ...]:  # fmt: skip
    """Run both models and fill the page."""
    refs = [_ref(model_a, revision_a), _ref(model_b, revision_b)]
    runs = []
    for number, ref in enumerate(refs):
        progress((number, 3), desc=f"Loading and running model {'AB'[number]}")
        runs.append(service.run(ref, text_a, text_b))
    a, b = runs
    progress((2, 3), desc="Drawing")
    shown = Shown(a.key, b.key, _pinned(a), _pinned(b), text_a, text_b)
    layers, heads = layer_choices(a, b), max(a.card.n_heads, b.card.n_heads)
    layer, head = min(layer or 0, len(layers) - 1), min(head or 0, heads - 1)
    choices = [(f"L{at + 1} H{h + 1}", f"{at}.{h}") for at in range(len(layers)) for h in range(heads)]
    chosen = Settings(*settings)
    # Root and heads belong to what they were chosen for: the last analysis, or the link that was opened.
    if before is not None and (before.key_a, before.key_b) != (a.key, b.key):
        chosen = chosen._replace(root=DECISION, heads=[])
    try:
        drawn = _drawn(a, b, chosen)
    except SelectionError:
        chosen = chosen._replace(root=DECISION, heads=[])
        drawn = _drawn(a, b, chosen)
    return (
        shown,
        "",
        _story(refs, text_a, text_b),
        [_prediction(a), _prediction(b)],
        *drawn,
        gr.update(choices=choices, value=chosen.heads),
        gr.update(choices=layers, value=layer),
        gr.update(choices=[(f"H{h + 1}", h) for h in range(heads)], value=head),
        *_maps(a, b, layer, head),
    )


def _ref(model: str | None, revision: str | None) -> str:
    model, revision = (model or "").strip(), (revision or "").strip()
    return f"{model}@{revision}" if revision and model not in BUNDLED else model


def _pinned(run: Run) -> str:
    """A reference to the very commit that was run."""
    return run.card.ref if run.card.ref in BUNDLED else f"{run.card.ref}@{run.card.sha}"


def _story(refs: list[str], text_a: str, text_b: str) -> str:
    """What to look for, if one of the examples is shown."""
    for example in load_examples():
        if [example.model_a, example.model_b, example.text_a, example.text_b] == [*refs, text_a, text_b]:
            return f"**{example.title}{'' if example.title.endswith('?') else '.'}** {example.what_to_see}"
    return ""


def example(examples: list[Example], index: int) -> tuple[str, str, str, str, str, str]:
    """Models, revisions and sentences of an example."""
    chosen = examples[index]
    return chosen.model_a, "", chosen.model_b, "", chosen.text_a, chosen.text_b


def _flows(a: Run, b: Run, settings: Settings) -> FlowPair:
    """Flows at the settings; a threshold that is left to the page is chosen for the pair."""
    where: dict[str, Any] = {
        "unit": UNITS.get(settings.unit, "piece"),
        "root": None if settings.root in (DECISION, None) else settings.root,
        "heads": [_head(text) for text in settings.heads] if settings.heads else None,
        "hide_special": bool(settings.hide_special),
    }
    tau = first_tau(a.trace, b.trace, **where) if settings.auto else settings.tau
    return compare_flows(a.trace, b.trace, tau, settings.alpha, **where)


def _head(text: str) -> Head:
    layer, _, head = str(text).partition(".")
    if not (layer.isdecimal() and head.isdecimal()):
        raise SelectionError(f"{text!r} is not a head; choose one from the list.")
    return int(layer), int(head)


def _drawn(a: Run, b: Run, settings: Settings) -> tuple[Any, ...]:
    """What the settings change: status, tau, sentence view, radial view, and the tokens to start from."""
    flows = _flows(a, b, settings)
    names, tau = (a.card.ref, b.card.ref), flows.a.graph.tau
    why = f" (the smallest step at which no ring holds more than {LARGEST_RING} tokens)" if settings.auto else ""
    note = f"tau = {tau:g}{why}. {answers.comparison_note(flows.pairing.unit)}"
    if settings.hide_special:
        shares = f"{flows.a.hidden_share:.0%} (A) and {flows.b.hidden_share:.0%} (B)"
        note += f" Special tokens are hidden; they take {shares} of the attention of the tokens shown."
    starts = [("What each task reads", DECISION)]
    starts += [(f"{index + 1}: {text}", index) for index, text in enumerate(flows.pairing.text)]
    root = gr.update(choices=starts, value=settings.root)
    return note, tau, sentence(flows, names), radial(flows, names) | {"tour": tour(flows)}, root


def _runs(shown: Shown | None) -> tuple[Run, Run]:
    if shown is None:
        raise SelectionError("Nothing has been analysed yet; press Analyse first.")
    return shown.runs()


@told
def redrawn(shown: Shown | None, *settings: Any) -> Any:
    """The flow with other settings: no model runs."""
    return _drawn(*_runs(shown), Settings(*settings))


@told
def rethresholded(shown: Shown | None, *settings: Any) -> Any:
    """A threshold chosen by hand, which ends the automatic choice."""
    status, _, words, rings, root = _drawn(*_runs(shown), Settings(*settings)._replace(auto=False))
    return status, words, rings, root, False  # tau itself is the visitor's, who may have moved it on


@told
def reunited(shown: Shown | None, *settings: Any) -> Any:
    """Words instead of pieces, or back: the tokens are counted anew."""
    return _drawn(*_runs(shown), Settings(*settings)._replace(root=DECISION))


@told
def mapped(shown: Shown | None, layer: int, head: int) -> Any:
    """Another head's map."""
    return _maps(*_runs(shown), api.whole_number("layer", layer), api.whole_number("head", head))


@told
def head_selected(shown: Shown | None, event: gr.EventData) -> Any:
    """A head was chosen in the radial view; its depth counts from the root."""
    a, b = _runs(shown)
    depth, head = (api.whole_number(name, getattr(event, name, None)) for name in ("depth", "head"))
    layer = max(a.card.n_layers, b.card.n_layers) - 1 - depth
    return layer, head, *_maps(a, b, layer, head)


@told
def exported(
    shown: Shown | None, tau: float, auto: bool, unit: str, alpha: float, root: int, heads: list[str],
    hide_special: bool, event: gr.EventData,
) -> Any:  # fmt: skip
    """The graphs that are shown, with exact numbers, as a file for the visitor's browser."""
    a, b = _runs(shown)
    flows = _flows(a, b, Settings(tau, auto, unit, alpha, root, heads, hide_special))
    kind = "csv" if getattr(event, "kind", None) == "csv" else "json"
    text = graph_csv(a, b, flows) if kind == "csv" else graph_json(a, b, flows, alpha)
    return gr.update(download={"name": f"attention-flow.{kind}", "text": text, "at": time.time()})


def graph_json(a: Run, b: Run, flows: FlowPair, alpha: float) -> str:
    """Both graphs as the endpoint `compare_attention_flow` gives them."""
    return json.dumps(answers.comparison_answer(a, b, flows, alpha), ensure_ascii=False, indent=1)


def graph_csv(a: Run, b: Run, flows: FlowPair) -> str:
    """One line for each head of each edge; layers, heads and tokens are counted from 0."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(
        ["model", "sha", "layer_index", "head_index", "query", "query_text", "key", "key_text", "attention"]
    )
    for run, one in ((a, flows.a), (b, flows.b)):
        graph, text = one.graph, one.trace.tokens.text
        for layer, query, key, heads, weights in zip(
            graph.layer.tolist(), graph.query.tolist(), graph.key.tolist(), graph.heads, graph.weights, strict=True
        ):
            for head in heads.nonzero()[0].tolist():
                row = [layer, head, query, text[query], key, text[key], f"{weights[head]:.6g}"]
                writer.writerow([run.card.ref, run.card.sha, *row])
    return file.getvalue()


def layer_choices(a: Run, b: Run) -> list[tuple[str, int]]:
    """Layers by the deeper model; the other one is aligned with it at the root."""
    most = max(a.card.n_layers, b.card.n_layers)
    names = []
    for layer in range(most):
        own = [layer - most + run.card.n_layers for run in (a, b)]
        both = " · ".join(f"{name} L{index + 1}" for name, index in zip("AB", own, strict=True) if index >= 0)
        names.append((f"L{layer + 1}" if own[0] == own[1] else both, layer))
    return names


def _maps(a: Run, b: Run, layer: int, head: int) -> tuple[Any, Any]:
    """Both models' maps of a head, on one colour scale; None for a model that has no such head."""
    most = max(a.card.n_layers, b.card.n_layers)
    own = [layer - most + run.card.n_layers for run in (a, b)]
    if not 0 <= layer < most or not 0 <= head < max(a.card.n_heads, b.card.n_heads):
        raise SelectionError(
            f"There is no head H{head + 1} in layer L{layer + 1} on this page; choose one from the list."
        )
    found = [
        service.attention_map(run.trace, at, head) if at >= 0 and head < run.card.n_heads else None
        for run, at in zip((a, b), own, strict=True)
    ]
    highest = max((float(values.max()) for values in found if values is not None), default=1.0)
    return tuple(
        None
        if values is None
        else attention_heatmap(
            values, run.trace.tokens, title=f"{run.card.ref} · L{at + 1} H{head + 1}", model=side, highest=highest
        )
        for side, run, at, values in zip("ab", (a, b), own, found, strict=True)
    )


def _prediction(run: Run) -> dict[str, Any]:
    card = run.card
    facts = (
        f"{card.architecture} · {card.n_layers} layers x {card.n_heads} heads · "
        f"{card.n_parameters / 1e6:,.1f} M parameters · {card.sha[:7]}"
    )
    return {"name": card.ref, "facts": facts, "classes": answers.prediction(run), "note": answers.prediction_note(card)}


def suggested(event: gr.KeyUpData) -> Any:
    """Search the Hub for what is being typed; any id can be given without it."""
    text = (event.input_value or "").strip()
    if len(text) < 3 or text in BUNDLED:
        return gr.skip()
    found = search_models(text)
    return gr.update(choices=[*BUNDLED, *found]) if found else gr.skip()


def restored(request: gr.Request) -> Any:
    """Models, sentences and settings of a shared link, from its query string; what it does not name stays."""
    query = {name: value[:2000] for name, value in dict(request.query_params).items()}
    updates = [gr.update(value=query[name]) if name in query else gr.skip() for name in LINK_PAIR]
    tau, alpha = _number(query.get("tau"), 0, 0.95), _number(query.get("alpha"), 0.05, 1)
    updates += [gr.skip() if value is None else gr.update(value=value) for value in (tau, alpha)]
    updates.append(gr.skip() if tau is None else gr.update(value=False))  # a tau of its own ends the automatic choice
    unit = {unit: name for name, unit in UNITS.items()}.get(query.get("unit", ""))
    updates.append(gr.update(value=unit) if unit else gr.skip())
    updates.append(gr.update(value=True) if query.get("hide") == "1" else gr.skip())
    root = query.get("root", "")
    known = root.isdecimal() and len(root) < 5  # whether there is such a token is seen once the pair is analysed
    updates.append(gr.update(choices=[(root, int(root))], value=int(root)) if known else gr.skip())
    heads = [head for head in query.get("heads", "").split(",") if re.fullmatch(r"\d{1,3}\.\d{1,3}", head)]
    updates.append(gr.update(choices=heads, value=heads) if heads else gr.skip())
    return updates


def _number(text: str | None, low: float, high: float) -> float | None:
    """A number within bounds, or None."""
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if low <= value <= high else None


LINK_PAIR = ("model_a", "revision_a", "model_b", "revision_b", "a", "b")
"""Names in the query string of the models, their revisions and the sentences."""
