"""What happens when a visitor opens the page, analyses a pair, or changes which heads are switched off.

Private events still answer direct requests, so everything they are sent is checked like input of the API.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, astuple, replace
from itertools import product
from typing import Any, cast

import gradio as gr

from attnflow.errors import SelectionError
from attnflow.progress import part, tell
from attnflow.records.head_names import head_key, head_name, head_names
from attnflow.records.trace import Head
from attnflow.records.words import Unit
from attnflow.service import own_models
from attnflow.service.analyses.continuation import CONTINUATION
from attnflow.service.bounds import reading
from attnflow.service.case import Case, ModelCard, tokens_meant
from attnflow.service.workspace import workspace
from attnflow.stats.alignment import pair_traces, pieces_of, same_pieces
from attnflow.views.payloads import Lit, LitTokens, OtherPair, Prediction, Pruned
from attnflow.web.endpoints import answers
from attnflow.web.examples import load_examples
from attnflow.web.forms import Form
from attnflow.web.model_box import MOST_RECENT
from attnflow.web.settings import CUT_WAY, DECISION, LinkedHeads, Pair, SelectedHead, Settings
from attnflow.web.shared import Shown, cases_of, heads_of, layer_choices
from attnflow.web.tabs import flow, tab_named
from attnflow.web.verbs import Selection

CHANGED = "*Not analysed yet: press Analyse.*"
MOST_LINKED = 4000
"""Characters that are read of one text of a link."""


def analyse(
    before: Shown | None,
    pair: Pair,
    at: SelectedHead,
    settings: Settings,
    linked: LinkedHeads,
) -> tuple[Any, ...]:
    """Run both models and fill the page; the first time with the heads that the link names."""
    cases = []
    for number, ref in enumerate(pair.refs):
        how = reading(truncate=pair.truncate, chat=pair.chat, way=CUT_WAY)
        with part(number / 2, (number + 1) / 2, "AB"[number]), how:
            tell("loading and running", 0)
            cases.append(workspace.case(ref, pair.text_a, pair.text_b))
    a, b = cases
    missing = ""
    if before is None:
        at, missing = linked.at, _missing(a, b, linked)
        a, b = (workspace.without(case, _own(case, heads)) for case, heads in zip(cases, linked.off, strict=True))
    return "", "\n\n".join(filter(None, [_story(pair), missing])), *fill(before, a, b, at, settings)


def _own(case: Case, heads: Sequence[Head]) -> list[Head]:
    """Those of some heads that a model has."""
    return [head for head in heads if head[0] < case.card.n_layers and head[1] < case.card.n_heads]


def _missing(a: Case, b: Case, linked: LinkedHeads) -> str:
    """Says which heads of a link the models have not."""
    told, at = [], linked.at
    near = _nearest(a, b, at)
    if at != near:
        told.append(
            f"No model has the head {head_name((at.layer, at.head))} that this link selects; "
            f"{head_name((near.layer, near.head))} is selected."
        )
    for side, case, heads in zip("AB", (a, b), linked.off, strict=True):
        absent = sorted(set(heads) - set(_own(case, heads)))
        if absent:
            more = f" and {len(absent) - 12} more" if len(absent) > 12 else ""
            told.append(f"This link switches off heads that model {side} has not: {head_names(absent[:12])}{more}.")
    return " ".join(told)


def _nearest(a: Case, b: Case, at: SelectedHead) -> SelectedHead:
    """The selected head, or the last one on the way to it where the models have fewer."""
    layers, heads = max(a.card.n_layers, b.card.n_layers), max(a.card.n_heads, b.card.n_heads)
    return SelectedHead(min(at.layer, layers - 1), min(at.head, heads - 1))


def prune(before: Shown | None, pruned: Pruned, at: SelectedHead, settings: Settings) -> tuple[Any, ...]:
    """Switch heads off, and only these, in both models: everything on the page follows."""
    heads = pruned["a"], pruned["b"]
    a, b = (workspace.without(case, off) for case, off in zip(cases_of(before), heads, strict=True))
    return fill(before, a, b, at, settings)


def start_from(before: Shown | None, root: int, at: SelectedHead, settings: Settings) -> tuple[Any, ...]:
    """Start from another token, whose prediction is what is shown and explained of a model that has one for each."""
    a, b = cases_of(before)
    return fill(before, a, b, at, replace(settings, root=root))


def _meant(a: Case, b: Case, settings: Settings) -> tuple[Case, Case]:
    """Both cases, of which the prediction at the token is meant that the settings start from, if they have such."""
    if settings.root == DECISION:
        return a.at(None), b.at(None)
    tokens = tokens_meant((a, b), settings.root, settings.unit, "root")
    found = [
        case.at(token if token is not None and case.predicts_at(token) else None)
        for case, token in zip((a, b), tokens, strict=True)
    ]
    return found[0], found[1]


def select(shown: Shown | None, selection: Selection) -> tuple[Any, ...]:
    """Select a head and a word on the whole page: layer, head, word, radial view and table of differences."""
    head, word = selection.head, selection.word
    if head is not None:
        heads_of(*cases_of(shown), SelectedHead(*head))  # refuses a head that is not there
    lit: Lit | None = None if word is None else {"word": word, "head": head, "at": time.time()}
    layer, number = head or (gr.skip(), gr.skip())
    if lit is None:
        return layer, number, gr.skip(), gr.skip(), gr.skip()
    rings = (
        gr.skip() if selection.in_rings else gr.update(selected=lit)
    )  # these show it already, in the ring it was clicked in
    return layer, number, word, rings, gr.update(selected=lit)


def light(shown: Shown | None, word: int | None, settings: Settings) -> LitTokens:
    """Where the selected word stands in the maps and strips of both models."""
    nowhere: LitTokens = {"a": [], "b": [], "strip_a": [], "strip_b": [], "strip_ab": []}
    if shown is None or word is None:
        return nowhere
    traces = [case.trace for case in cases_of(shown)]
    pairing = pair_traces(traces[0], traces[1], settings.unit)
    if not 0 <= word < len(pairing.text):
        return nowhere
    found, strips = list[list[int]](), list[list[int]]()
    for trace, units, place in zip(
        traces, (pairing.a.tokens, pairing.b.tokens), (pairing.in_a, pairing.in_b), strict=True
    ):
        pieces = pieces_of(int(place[word]), units, trace.tokens) if place[word] >= 0 else []
        found.append(pieces)
        words = sorted(set(trace.tokens.word[pieces].tolist()))
        strips.append(pieces if settings.unit == "piece" else words)
    return {"a": found[0], "b": found[1], "strip_a": strips[0], "strip_b": strips[1], "strip_ab": [word]}


def link_selected(linked: LinkedHeads, at: SelectedHead) -> str:
    """What the address of the page tells of the head that is selected now."""
    return LinkedHeads.of(at, *linked.off).selected


def change_pair(shown: Shown | None, wanted: OtherPair, pair: Pair) -> tuple[str, ...]:
    """What the boxes of the pair hold before it is analysed."""
    return astuple(replace(pair, **wanted))


def writing(side: int) -> Callable[[Shown | None, Pair], tuple[Any, ...]]:
    """An event that lets model A (0) or B (1) write on: what the boxes of the pair then hold, before it is analysed."""

    def write(shown: Shown | None, pair: Pair) -> tuple[Any, ...]:
        case = cases_of(shown)[side].at(None)
        found = case.ask(CONTINUATION)
        if not found.written.strip():
            raise SelectionError(f"{case.card.ref} ends the text here: nothing that can be read comes next.")
        return *astuple(replace(pair, text_a=found.text_a, text_b=found.text_b or "")), gr.skip()

    return write


def what_was(shown: Shown | None) -> tuple[Any, ...]:
    """What the boxes of the sentences held before a change that could not be read, which the sentence view is told."""
    texts = (gr.skip(), gr.skip()) if shown is None else (shown.text_a, shown.text_b)
    return *texts, gr.update(failed=time.time())


def fill(before: Shown | None, a: Case, b: Case, at: SelectedHead, settings: Settings) -> tuple[Any, ...]:
    """What two cases make of the page: values of `page.filled`."""
    layers, heads = layer_choices(a, b), max(a.card.n_heads, b.card.n_heads)
    at = _nearest(a, b, at)
    choices = [(head_name(head), head_key(head)) for head in product(range(len(layers)), range(heads))]
    now = Shown.of(a, b)
    # Root and heads belong to what they were chosen for: the last analysis, or the link that was opened.
    if before is not None and before.pair != now.pair:
        settings = replace(settings, root=DECISION, heads=())
    try:
        a, b = _meant(a, b, settings)
        drawn = flow.draw(a, b, settings)
    except SelectionError:
        if before is not None and before.pair == now.pair:
            raise
        settings = replace(settings, root=DECISION, heads=())
        a, b = _meant(a, b, settings)
        drawn = flow.draw(a, b, settings)
    now = Shown.of(a, b)
    unit: Unit = settings.unit if same_pieces(a.trace.tokens, b.trace.tokens) else "word"
    named = " ".join(filter(None, [_named_heads("A", a), _named_heads("B", b)]))
    return (
        now,
        [_prediction(case, unit) for case in (a, b)],
        *drawn,
        gr.update(choices=choices, value=list(settings.heads)),
        gr.update(choices=layers, value=at.layer),
        gr.update(choices=[(f"H{h + 1}", h) for h in range(heads)], value=at.head),
        gr.update(value=f"**Switched off:** {named}", visible=bool(named)),
        gr.update(visible=bool(named)),
        gr.skip() if before is not None and before.pair == now.pair else None,
        *astuple(LinkedHeads.of(at, a.trace.pruned, b.trace.pruned)),
    )


def _named_heads(side: str, case: Case) -> str:
    heads = sorted(case.trace.pruned)
    listed = head_names(heads[:12])
    more = f" and {len(heads) - 12} more" if len(heads) > 12 else ""
    return f"{side}: {listed}{more}." if heads else ""


def _story(pair: Pair) -> str:
    """What to look for, if one of the examples is shown."""
    for example in load_examples():
        if (example.pair.refs, example.pair.text_a, example.pair.text_b) == (pair.refs, pair.text_a, pair.text_b):
            return f"**{example.title}{'' if example.title.endswith('?') else '.'}** {example.what_to_see}"
    return ""


def find_example(shown: Shown | None, index: int) -> OtherPair:
    """Models, revisions and sentences of an example.

    Raises:
        SelectionError: If there is no such example.
    """
    examples = load_examples()
    if not 0 <= index < len(examples):
        raise SelectionError(f"There is no example {index}; choose one from the list.")
    return cast("OtherPair", asdict(examples[index].pair))


def _prediction(case: Case, unit: Unit) -> Prediction:
    card = case.card
    facts = [
        card.architecture + (" (encoder alone)" if card.encoder_alone else ""),
        _sizes(card),
        f"{card.n_parameters / 1e6:,.1f} M parameters",
        _head_named(card),
        f"licence {card.license}" if card.license else "",
        f"commit {card.sha[:7]}",
    ]
    notes = [answers.prediction_note(card), *card.notes]
    if case.trace.pruned:
        notes.append(f"With {len(case.trace.pruned)} of {card.n_all_heads} heads switched off.")
    note = answers.case_note(case, *notes)
    shown = " · ".join(filter(None, facts))
    found = answers.predicted(case, unit)
    return {
        "name": card.ref,
        "facts": shown,
        "decided": found.decided.title if found.decided else "",
        "classes": list(found.classes),
        "about": found.about,
        "tokens": list(found.tokens),
        "writes": card.head.predicts_next,
        "note": note,
    }


def _sizes(card: ModelCard) -> str:
    """Layers and heads, of an encoder-decoder those of both stacks."""
    if card.stacks is None:
        return f"{card.n_layers} layers x {card.n_heads} heads"
    both, heads = card.stacks, card.stacks.n_heads
    return f"{both.n_encoder} encoder layers x {heads} heads, {both.n_decoder} decoder layers x 2 x {heads} heads"


def _head_named(card: ModelCard) -> str:
    """What the checkpoint was trained for."""
    if card.head.kind == "none" or not card.head.trained:
        return "no task head"
    many = len(card.head.labels)
    classes = f" into {many} classes" if many > 1 and card.head.kind.endswith("classification") else ""
    return card.head.kind.replace("-", " ") + classes


def keep_models(recent: Any, shown: Shown | None) -> list[str]:
    """Keep the models that were analysed, the last ones first, in the visitor's browser."""
    names = [] if shown is None else [side.ref.partition("@")[0] for side in (shown.a, shown.b)]
    kept = recent if isinstance(recent, list) else []
    return list(dict.fromkeys(name for name in [*names, *kept] if not own_models.own(name)))[:MOST_RECENT]


def restore_tab(request: gr.Request) -> tuple[Any, Any]:
    """Open the tab that a shared link names; the first one if there is no such tab."""
    title = tab_named(dict(request.query_params).get("tab", ""))
    return (gr.skip(), gr.skip()) if title is None else (gr.update(selected=title), title)


def restore(forms: Sequence[Form[Any]]) -> Callable[[gr.Request], list[Any]]:
    """An event that sets controls as a shared link says, from its query string; what it does not name stays."""

    def restored(request: gr.Request) -> list[Any]:
        query = {name: value[:MOST_LINKED] for name, value in dict(request.query_params).items()}
        return [update for form in forms for update in form.restored(query)]

    return restored
