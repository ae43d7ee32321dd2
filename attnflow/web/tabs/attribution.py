"""The tab *Attribution*: what a head attends to beside what its output owes to the tokens, in maps and in numbers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import gradio as gr

from attnflow.errors import SupersededError
from attnflow.records.head_names import head_name
from attnflow.records.trace import Attribution, Head
from attnflow.service import cases
from attnflow.service.cases import Run
from attnflow.stats.agreement import Agreement
from attnflow.stats.relative_positions import RelativePositions
from attnflow.views import agreement
from attnflow.views.heatmap import attention_heatmap
from attnflow.views.payloads import SIDES, Side
from attnflow.web.endpoints.checks import checked_head, whole_number
from attnflow.web.panels import AttentionMap, Chart
from attnflow.web.shared import CLICK, MODEL, Page, Shown, heads_of, missing_layers, runs_of, told

TITLE = "Attribution"
PROBES = 16
ESTIMATE, EXACT = "Estimate", "Exact"
HOW_TO_READ = (
    "What a head **attends to** tells where it looks; its **contributions** tell how much its output would change with "
    "each token. Each row of a map is a token, each column what it takes from; rows sum to 1, and all maps share one "
    "colour scale. *Previous layer* counts what enters the head's own layer, where every position already holds a "
    "mixture of tokens; *input* goes all the way back to the words."
)


MEASURES = {"Pearson": "pearson", "Spearman (ranks)": "spearman"}


class Newest:
    """Which of a visitor's requests is the newest, so that older ones under way can end."""

    def __init__(self) -> None:
        self.number = 0

    def take(self) -> Callable[[float], None]:
        """Become the newest; returns what to call now and then: it raises `SupersededError` once this is so no more."""
        self.number += 1
        mine = self.number

        def check(_: float = 0) -> None:
            if self.number != mine:
                raise SupersededError("Something newer was asked for.")

        return check


@dataclass(frozen=True)
class Reached:
    """The sharpest contributions of the input so far; they themselves are in the bounded cache."""

    shown: Shown
    probes: tuple[int | None, int | None]
    """Of each model; None for exact."""

    def attributions(self) -> list[tuple[Run, Attribution, Attribution]]:
        """For each model its run and the contributions of the previous layer and of the input."""
        return [
            (run, cases.attribution(run, "previous_layer"), cases.attribution(run, "input", probes))
            for run, probes in zip(self.shown.runs(), self.probes, strict=True)
        ]


@dataclass(frozen=True)
class Parts:
    """Components of the tab."""

    method: gr.Radio
    measure: gr.Radio
    told: gr.Markdown
    newest: gr.State
    reached: gr.State
    maps: list[AttentionMap]
    """Attention, previous layer and input of A, then of B."""
    overviews: list[Chart]
    strips: list[Chart]
    centres: Chart


def build() -> Parts:
    """Lay out the tab."""
    gr.Markdown(HOW_TO_READ)
    with gr.Row(equal_height=True):
        method = gr.Radio(
            [ESTIMATE, EXACT],
            value=ESTIMATE,
            label="Contributions of the input",
            info="An estimate comes first and tells what exact values cost.",
            elem_id="attribution-method",
            min_width=260,
        )
        measure = gr.Radio(
            list(MEASURES), value="Pearson", label="Correlation", elem_id="attribution-measure", min_width=220
        )
    note = gr.Markdown(elem_id="attribution-note")
    maps = []
    for side in "ab":
        with gr.Row(elem_classes="af-stack"):
            maps += [
                AttentionMap(elem_id=f"attribution-{kind}-{side}", min_width=280)
                for kind in ("attention", "local", "input")
            ]
    with gr.Row(elem_classes="af-stack"):
        strips = [Chart(elem_id=f"attribution-agreement-{kind}", min_width=340) for kind in ("local", "input")]
    with gr.Row(elem_classes="af-stack"):
        overviews = [Chart(elem_id=f"attribution-agreement-{side}", min_width=340) for side in "ab"]
    return Parts(
        method,
        measure,
        note,
        gr.State(Newest()),
        gr.State(None),
        maps,
        overviews,
        strips,
        Chart(elem_id="centres"),
    )


def wire(parts: Parts, page: Page) -> None:
    """Compute when the tab is open; draw what is there; a head that is clicked becomes the selected one."""
    # A newer request starts at once and ends the older one.
    computing = {**MODEL, "trigger_mode": "multiple", "show_progress": "hidden"}
    page.when_open(TITLE, computed, [parts.method, parts.newest], [parts.told, parts.reached], **computing)
    page.when_open(TITLE, drawn_maps, [parts.reached, page.layer, page.head], parts.maps, **CLICK)
    charts = [*parts.overviews, *parts.strips, parts.centres]
    page.when_open(TITLE, drawn_charts, [parts.reached, parts.measure, page.layer, page.head], charts, **CLICK)
    for chart in (*parts.overviews, *parts.strips):
        chart.point_click(head_selected, page.shown, [page.layer, page.head], **CLICK)


def computed(shown: Shown, method: str, newest: Newest) -> Iterator[Any]:
    """Contributions of both models, sharper and sharper, with what they are told to be."""
    check = newest.take()
    try:
        for run in shown.runs():
            check()
            cases.attribution(run, "previous_layer")
        yield from _exact(shown, check) if method == EXACT else _estimated(shown, check)
    except SupersededError:
        yield gr.skip(), gr.skip()


def _estimated(shown: Shown, check: Callable[[float], None]) -> Iterator[Any]:
    runs = shown.runs()
    steps = [cases.attribution_steps(run, PROBES) for run in runs]
    found: list[Attribution | None] = [None, None]
    seconds = [0.0, 0.0]
    while True:
        moved = False
        for index, step in enumerate(steps):
            check()
            start = time.perf_counter()
            sharper = next(step, None)
            if sharper is not None:
                found[index], moved = sharper, True
                seconds[index] += time.perf_counter() - start
        if not moved:
            return
        notes = [_estimate_note(*each) for each in zip("AB", runs, found, seconds, strict=True)]
        yield " ".join(notes), Reached(shown, tuple(each.probes for each in found))


def _exact(shown: Shown, check: Callable[[float], None]) -> Iterator[Any]:
    start = time.perf_counter()
    for name, run in zip("AB", shown.runs(), strict=True):
        yield f"Computing the exact contributions in model {name} …", gr.skip()
        cases.attribution(run, "input", progress=check)
    yield f"Exact ({time.perf_counter() - start:.1f} s).", Reached(shown, (None, None))


def _estimate_note(name: str, run: Run, found: Attribution, seconds: float) -> str:
    """How good an estimate is, and what better ones would cost."""
    off = f"off by {found.relative_error:.0%} on average"
    note = f"**{name}**: estimated from {found.probes} random probes per token, {off}"
    if not cases.exact_is_affordable(run):
        return f"{note}; exact values are too much work here."
    if seconds < 0.01:  # from memory
        return f"{note}."
    return f"{note}; exact values take about {_duration(seconds * run.trace.hidden.shape[-1] / found.probes)}."


def _duration(seconds: float) -> str:
    return f"{max(1, round(seconds))} s" if seconds < 90 else f"{round(seconds / 60)} minutes"


def drawn_maps(shown: Shown, reached: Reached | None, layer: int, head: int) -> Any:
    """Attention and both contributions of the selected head of both models, on one colour scale."""
    if reached is None or reached.shown != shown:
        return gr.skip()
    found = reached.attributions()
    runs = [run for run, _, _ in found]
    own = heads_of(*runs, whole_number("layer", layer), whole_number("head", head))
    maps = [
        None if at is None else (run.trace.attention[at], local.values[at], wrt_input.values[at])
        for (run, local, wrt_input), at in zip(found, own, strict=True)
    ]
    highest = max((float(values.max()) for three in maps if three for values in three), default=1.0)
    figures: list[Any] = []
    for side, run, at, three, probes in zip(SIDES, runs, own, maps, reached.probes, strict=True):
        if at is None or three is None:
            figures += [None, None, None]
            continue
        name = f"{side.upper()} · {head_name(at)}"
        kinds = {
            "attention": "attended to (key)",
            "previous layer": "enters the layer here",
            f"input{'' if probes is None else ' (estimate)'}": "input token",
        }
        figures += [
            attention_heatmap(
                values,
                run.trace.tokens,
                title=f"{name} · {kind}",
                model=side,
                highest=highest,
                quantity="attention" if kind == "attention" else "contribution",
                source=source,
            )
            for (kind, source), values in zip(kinds.items(), three, strict=True)
        ]
    return tuple(figures)


def drawn_charts(shown: Shown, reached: Reached | None, measure: str, layer: int, head: int) -> Any:
    """Correlations of every head, and where attention and contribution lie."""
    if reached is None or reached.shown != shown:
        return gr.skip()
    own = heads_of(*shown.runs(), whole_number("layer", layer), whole_number("head", head))
    models = [
        _model(side, at, *found, MEASURES.get(measure, "pearson"))
        for side, at, found in zip(SIDES, own, reached.attributions(), strict=True)
    ]
    name = str(measure).split(" ")[0]
    strips = [agreement.strip(models, name, local=local) for local in (True, False)]
    return *(agreement.overview(model, name) for model in models), *strips, agreement.centres(models)


def _model(
    side: Side, selected: Head | None, run: Run, local: Attribution, wrt_input: Attribution, measure: str
) -> agreement.Model:
    correlations = [
        getattr(Agreement().update(run.trace.attention, found.values).result(), measure) for found in (local, wrt_input)
    ]
    maps = {"attention": run.trace.attention, "from the input": wrt_input.values}
    centres = {name: RelativePositions().update(values).result().centre for name, values in maps.items()}
    return agreement.Model(side, run.card.ref, *correlations, centres, selected)


@told
def head_selected(shown: Shown | None, event: gr.EventData) -> Any:
    """A head was clicked in a chart: it is selected everywhere."""
    runs = runs_of(shown)
    custom = getattr(event, "custom", None)
    if not isinstance(custom, list) or len(custom) != 2 or custom[0] not in ("a", "b"):
        return gr.skip()  # a median, not a head
    run = runs["ab".index(custom[0])]
    layer, head = checked_head("head", custom[1])
    cases.attention_map(run.trace, layer, head)  # refuses a head that is not there
    return layer + missing_layers(run, runs), head
