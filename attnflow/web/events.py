"""What happens when a visitor opens the page, analyses a pair, or changes which heads are switched off.

Private events still answer direct requests, so everything they are sent is checked like input of the API.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from itertools import product
from typing import Any

import gradio as gr

from attnflow.checkpoints.checkpoint import BUNDLED
from attnflow.checkpoints.hub_search import search_models
from attnflow.errors import AttnflowError, SelectionError
from attnflow.progress import reporting
from attnflow.records.head_names import head_key, head_name, head_names, is_head_key
from attnflow.records.trace import Head
from attnflow.service.case import Case, ModelCard
from attnflow.service.visitors import serving
from attnflow.service.workspace import workspace
from attnflow.views.payloads import Prediction
from attnflow.web.endpoints import answers
from attnflow.web.examples import Example, load_examples
from attnflow.web.shared import Shown, cases_of, layer_choices, told
from attnflow.web.signin import current_visitor
from attnflow.web.tabs import flow
from attnflow.web.tabs.flow import DECISION, UNITS, Settings

MOST_RECENT = 8
HUB_MODELS = (
    "google-bert/bert-base-uncased",
    "textattack/bert-base-uncased-MRPC",
    "distilbert/distilbert-base-uncased",
    "FacebookAI/roberta-base",
    "answerdotai/ModernBERT-base",
    "openai-community/gpt2",
)
MOST_TYPED = 200
"""Characters that are searched for; no name on the Hub is longer."""
MODEL_INFO = "Bundled, or any id of the Hub"
CHANGED = "*Not analysed yet: press Analyse.*"
PROGRESS = gr.Progress()
"""Gradio fills a parameter with this default."""
LINK_PAIR = ("model_a", "revision_a", "model_b", "revision_b", "a", "b")
"""Names in the query string of the models, their revisions and the sentences."""


@told
def analysed(
    before: Shown | None, model_a: str, revision_a: str, model_b: str, revision_b: str, text_a: str, text_b: str,
    layer: int, head: int, *settings: Any, progress: gr.Progress = PROGRESS,
) -> tuple[Any, ...]:  # fmt: skip
    """Run both models and fill the page."""
    refs = [_ref(model_a, revision_a), _ref(model_b, revision_b)]
    cases = []
    for number, ref in enumerate(refs):
        side = "AB"[number]
        progress((number, 3), desc=f"{side}: loading and running")
        with reporting(lambda what, share, side=side, at=number: progress((at + share) / 3, desc=f"{side}: {what}")):
            cases.append(workspace.case(ref, text_a, text_b))
    progress((2, 3), desc="Drawing")
    a, b = cases
    return "", _story(refs, text_a, text_b), *shown(before, a, b, layer, head, *settings)


@told
def pruned(
    before: Shown | None, pruned_a: list[Head], pruned_b: list[Head], layer: int, head: int, *settings: Any
) -> tuple[Any, ...]:
    """Switch heads off, and only these, in both models: everything on the page follows."""
    cases = [workspace.without(case, heads) for case, heads in zip(cases_of(before), (pruned_a, pruned_b), strict=True)]
    a, b = cases
    return shown(before, a, b, layer, head, *settings)


def pruning(find: Callable[..., tuple[list[Head], list[Head]]]) -> Callable[..., tuple[Any, ...]]:
    """An event that switches heads off or on.

    Args:
        find: Called with what is shown, the event's own inputs and, if it takes one, the event; gives the heads of A
            and of B that are to be off.
    """
    n_settings = len(Settings._fields)
    takes_event = "event" in inspect.signature(find).parameters

    # Gradio puts the event where the parameter stands, and a parameter after `*rest` nowhere.
    def change(event: gr.EventData, before: Shown | None, layer: int, head: int, *rest: Any) -> tuple[Any, ...]:
        settings, own = rest[:n_settings], rest[n_settings:]
        off = find(before, *own, event) if takes_event else find(before, *own)
        return pruned(before, *off, layer, head, *settings)

    return told(change)


def restored_heads(before: Shown | None, *rest: Any) -> tuple[Any, ...]:
    """Switch all heads on again."""
    return pruned(before, [], [], *rest)


def shown(before: Shown | None, a: Case, b: Case, layer: int, head: int, *settings: Any) -> tuple[Any, ...]:
    """What two cases make of the page: values of `page.filled`."""
    layers, heads = layer_choices(a, b), max(a.card.n_heads, b.card.n_heads)
    layer, head = min(layer or 0, len(layers) - 1), min(head or 0, heads - 1)
    choices = [(head_name(at), head_key(at)) for at in product(range(len(layers)), range(heads))]
    chosen, now = Settings(*settings), Shown.of(a, b)
    # Root and heads belong to what they were chosen for: the last analysis, or the link that was opened.
    if before is not None and before.pair != now.pair:
        chosen = chosen._replace(root=DECISION, heads=[])
    try:
        drawn = flow.drawn(a, b, chosen)
    except SelectionError:
        chosen = chosen._replace(root=DECISION, heads=[])
        drawn = flow.drawn(a, b, chosen)
    off = [len(case.trace.pruned) for case in (a, b)]
    named = " ".join(filter(None, [_named_heads("A", a), _named_heads("B", b)]))
    return (
        now,
        [_prediction(a), _prediction(b)],
        *drawn,
        gr.update(choices=choices, value=chosen.heads),
        gr.update(choices=layers, value=layer),
        gr.update(choices=[(f"H{h + 1}", h) for h in range(heads)], value=head),
        gr.update(value=f"**Switched off:** {named}", visible=any(off)),
        gr.update(visible=any(off)),
    )


def _named_heads(side: str, case: Case) -> str:
    heads = sorted(case.trace.pruned)
    listed = head_names(heads[:12])
    more = f" and {len(heads) - 12} more" if len(heads) > 12 else ""
    return f"{side}: {listed}{more}." if heads else ""


def _ref(model: str | None, revision: str | None) -> str:
    model, revision = (model or "").strip(), (revision or "").strip()
    return f"{model}@{revision}" if revision and model not in BUNDLED else model


def _story(refs: list[str], text_a: str, text_b: str) -> str:
    """What to look for, if one of the examples is shown."""
    for example in load_examples():
        if [example.model_a, example.model_b, example.text_a, example.text_b] == [*refs, text_a, text_b]:
            return f"**{example.title}{'' if example.title.endswith('?') else '.'}** {example.what_to_see}"
    return ""


def example(examples: list[Example], index: int) -> tuple[str, str, str, str, str, str]:
    """Models, revisions and sentences of an example.

    Raises:
        SelectionError: If there is no such example.
    """
    if not 0 <= index < len(examples):
        raise SelectionError(f"There is no example {index}; choose one from the list.")
    chosen = examples[index]
    return chosen.model_a, "", chosen.model_b, "", chosen.text_a, chosen.text_b


def _prediction(case: Case) -> Prediction:
    card = case.card
    facts = [
        card.architecture + (" (encoder alone)" if card.encoder_alone else ""),
        f"{card.n_layers} layers x {card.n_heads} heads",
        f"{card.n_parameters / 1e6:,.1f} M parameters",
        _head_named(card),
        f"licence {card.license}" if card.license else "",
        f"commit {card.sha[:7]}",
    ]
    notes = [answers.prediction_note(card)]
    if case.trace.pruned:
        notes.append(f"With {len(case.trace.pruned)} of {card.n_layers * card.n_heads} heads switched off.")
    note = answers.case_note(case, *notes)
    shown = " · ".join(filter(None, facts))
    return {"name": card.ref, "facts": shown, "classes": answers.prediction(case), "note": note}


def _head_named(card: ModelCard) -> str:
    """What the checkpoint was trained for."""
    if card.head.kind == "none" or not card.head.trained:
        return "no task head"
    many = len(card.head.labels)
    return card.head.kind.replace("-", " ") + (f" into {many} classes" if many > 1 else "")


def suggested(event: gr.EventData) -> Any:
    """Search the Hub for what is being typed; any id can be given without it."""
    typed = getattr(event, "input_value", None)
    text = typed.strip() if isinstance(typed, str) else ""
    if not 3 <= len(text) <= MOST_TYPED or text in BUNDLED:
        return gr.skip()
    found = [(" · ".join([model.repo_id, *model.facts]), model.repo_id) for model in search_models(text)]
    return gr.update(choices=[*BUNDLED, *found]) if found else gr.skip()


def described(recent: Any, model: str, revision: str) -> Any:
    """Say under the box what the Hub tells of the chosen model, or why it cannot be loaded."""
    try:
        with serving(current_visitor()):
            listing = workspace.look_up(_ref(model, revision))
        info = " · ".join(listing.facts) if listing else MODEL_INFO
    except AttnflowError as error:
        info = str(error)
    # The results of the search carry facts beside their names; the box is to show the name alone.
    return gr.update(info=info, choices=known_models(recent), value=model)


def known_models(recent: Any) -> list[str]:
    """What a box offers before anything is typed: the bundled pair, what this browser used last, well-known models."""
    kept = [name for name in recent if isinstance(name, str) and len(name) < 200] if isinstance(recent, list) else []
    return list(dict.fromkeys([*BUNDLED, *kept[:MOST_RECENT], *HUB_MODELS]))


def offered(recent: Any) -> Any:
    """Offer the models that this browser used last."""
    return [gr.update(choices=known_models(recent))] * 2


def used(recent: Any, shown: Shown | None) -> list[str]:
    """Keep the models that were analysed, the last ones first, in the visitor's browser."""
    names = [] if shown is None else [side.ref.partition("@")[0] for side in (shown.a, shown.b)]
    kept = recent if isinstance(recent, list) else []
    return list(dict.fromkeys(name for name in [*names, *kept] if name not in BUNDLED))[:MOST_RECENT]


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
    heads = [head for head in query.get("heads", "").split(",") if is_head_key(head)]
    updates.append(gr.update(choices=heads, value=heads) if heads else gr.skip())
    return updates


def _number(text: str | None, low: float, high: float) -> float | None:
    """A number, brought within bounds as the sliders do it, or None."""
    try:
        value = float(text or "")
    except ValueError:
        return None
    return min(max(value, low), high) if math.isfinite(value) else None
