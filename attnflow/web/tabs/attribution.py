"""The tab *Attribution*: what a head attends to beside what its output owes to the tokens, in maps and in numbers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import gradio as gr

from attnflow import progress
from attnflow.errors import SelectionError
from attnflow.records.head_names import head_name
from attnflow.records.shares import percent
from attnflow.records.trace import Attribution, Head
from attnflow.service.analyses.attribution import AGREEMENT, CONTRIBUTIONS, PROBES, Comparison, affordable_probes
from attnflow.service.case import Case
from attnflow.service.workspace import workspace
from attnflow.views import attribution
from attnflow.views.heatmap import attention_heatmap, no_heatmap
from attnflow.views.payloads import SIDES, Side
from attnflow.web.forms import Form, choice
from attnflow.web.panels import AttentionMap, Chart, Note
from attnflow.web.settings import SelectedHead
from attnflow.web.shared import Page, Shown, absent, heads_of
from attnflow.web.working import parts

TITLE = "Attribution"
HOW_TO_READ = (
    "What a head **attends to** tells where it looks; its **contributions** tell how much its output would change with "
    "each token. Each row of a map is a token, each column what it takes from; rows sum to 1, and all maps share one "
    "colour scale. *Previous layer* counts what enters the head's own layer, where every position already holds a "
    "mixture of tokens; *input* goes all the way back to the words."
)
MEASURES = {"pearson": "Pearson", "spearman": "Spearman"}
"""Names of the correlations, by their fields in `Comparison`."""
_LOCAL = 0.05
"""About the share of the work that the contributions of the previous layer take."""


@dataclass(frozen=True)
class Compared:
    """What the visitor compares attention with, and how."""

    method: Literal["estimate", "exact"] = choice(
        "estimate",
        [("Estimate", "estimate"), ("Exact", "exact")],
        link="contributions",
        label="Contributions of the input",
        info="An estimate comes first and tells what exact values cost.",
        elem_id="attribution-method",
        min_width=260,
    )
    measure: Literal["pearson", "spearman"] = choice(
        "pearson",
        [("Pearson", "pearson"), ("Spearman (ranks)", "spearman")],
        link="correlation",
        label="Correlation",
        elem_id="attribution-measure",
        min_width=220,
    )


@dataclass(frozen=True)
class Reached:
    """The sharpest contributions of the input so far; they themselves are in the bounded cache."""

    shown: Shown
    probes: tuple[int | None, int | None]
    """Of each model; None for exact."""

    def attributions(self) -> list[tuple[Case, Attribution, Attribution]]:
        """For each model its case and the contributions of the previous layer and of the input."""
        return [
            (case, case.ask(CONTRIBUTIONS, wrt="previous_layer"), case.ask(CONTRIBUTIONS, probes=probes))
            for case, probes in zip(self.shown.cases(), self.probes, strict=True)
        ]

    def comparisons(self) -> list[tuple[Case, Comparison, Comparison]]:
        """For each model its case, and attention beside each of the two."""
        return [
            (case, case.ask(AGREEMENT, wrt="previous_layer"), case.ask(AGREEMENT, probes=probes))
            for case, probes in zip(self.shown.cases(), self.probes, strict=True)
        ]


@dataclass(frozen=True)
class Parts:
    """Components of the tab."""

    compared: Form[Compared]
    told: Note
    """What was computed, and its bar: all cards of the tab wait for it."""
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
        compared = Form(Compared())
        compared.place()
    note = Note(elem_id="attribution-note")
    maps = []
    for side in "ab":
        with gr.Row(elem_classes="af-stack"):
            maps += [
                AttentionMap(lit=None, elem_id=f"attribution-{kind}-{side}", min_width=280)
                for kind in ("attention", "local", "input")
            ]
    with gr.Row(elem_classes="af-stack"):
        strips = [Chart(elem_id=f"attribution-agreement-{kind}", min_width=340) for kind in ("local", "input")]
    with gr.Row(elem_classes="af-stack"):
        overviews = [Chart(elem_id=f"attribution-agreement-{side}", min_width=340) for side in "ab"]
    return Parts(
        compared,
        note,
        gr.State(None),
        maps,
        overviews,
        strips,
        Chart(elem_id="centres"),
    )


def wire(tab: Parts, page: Page) -> None:
    """Compute when the tab is open, and draw what is there."""
    method, measure = tab.compared["method"], tab.compared["measure"]
    page.when_open(TITLE, compute, [method], [tab.told, tab.reached])
    page.when_open(TITLE, draw_maps, [tab.reached, page.selected], tab.maps)
    charts = [*tab.overviews, *tab.strips, tab.centres]
    page.when_open(TITLE, draw_charts, [tab.reached, measure, page.selected], charts)


def compute(shown: Shown, method: str) -> Iterator[Any]:
    """Contributions of both models, sharper and sharper, with what they are told to be."""
    cases = shown.cases()
    with progress.part(0, _LOCAL):
        for case, part in zip(cases, parts(cases, CONTRIBUTIONS, wrt="previous_layer"), strict=True):
            with part:
                case.ask(CONTRIBUTIONS, wrt="previous_layer")
    yield from _exact(shown) if method == "exact" else _estimated(shown)


def _estimated(shown: Shown) -> Iterator[Any]:
    cases = shown.cases()
    steps = [workspace.steps(CONTRIBUTIONS, case, probes=_probes(case)) for case in cases]
    found: list[Attribution | None] = [None, None]
    seconds, done, outer = [0.0, 0.0], [0.0, 0.0], progress.Watcher()
    while True:
        moved = False
        for index, step in enumerate(steps):

            def listen(what: str, share: float, index: int = index) -> None:
                done[index] = share
                if outer.listener is not None:
                    outer.listener(f"{'AB'[index]}: {what}", _LOCAL + (1 - _LOCAL) * sum(done) / 2)

            start = time.perf_counter()
            with progress.reporting(listen):
                sharper = next(step, None)
            if sharper is not None:
                found[index], moved = sharper, True
                seconds[index] += time.perf_counter() - start
        if not moved:
            return
        sharpest_a, sharpest_b = (each for each in found if each is not None)
        notes = [_estimate_note(*each) for each in zip("AB", cases, (sharpest_a, sharpest_b), seconds, strict=True)]
        yield " ".join(notes), Reached(shown, (sharpest_a.probes, sharpest_b.probes))


def _probes(case: Case) -> int:
    """As many as the page goes up to, or fewer where that is too much work."""
    return max(2, min(PROBES, case.card.width, affordable_probes(case, workspace.most_operations)))


def _too_much(case: Case) -> bool:
    """Whether exact contributions are more work than one request may be."""
    return workspace.operations(CONTRIBUTIONS, case) > workspace.most_operations


def _exact(shown: Shown) -> Iterator[Any]:
    start, cases = time.perf_counter(), shown.cases()
    for name, case in zip("AB", cases, strict=True):
        if _too_much(case):
            raise SelectionError(
                f"Exact contributions of the input are more work in {name} than one request may be here; choose "
                "Estimate, or shorten the text."
            )
    with progress.part(_LOCAL, 1):
        for case, part in zip(cases, parts(cases, CONTRIBUTIONS, probes=None), strict=True):
            with part:
                case.ask(CONTRIBUTIONS)
    yield f"Exact ({time.perf_counter() - start:.1f} s).", Reached(shown, (None, None))


def _estimate_note(name: str, case: Case, found: Attribution, seconds: float) -> str:
    """How good an estimate is, and what better ones would cost."""
    off = f"off by {percent(found.relative_error)} on average"
    note = f"{name}: estimated from {found.probes} random probes per token, {off}"
    if _too_much(case):
        return f"{note}; exact values are too much work here."
    if seconds < 0.01:  # from memory
        return f"{note}."
    return f"{note}; exact values take about {_duration(seconds * case.trace.hidden.shape[-1] / found.probes)}."


def _duration(seconds: float) -> str:
    return f"{max(1, round(seconds))} s" if seconds < 90 else f"{round(seconds / 60)} minutes"


def draw_maps(shown: Shown, reached: Reached | None, selected: SelectedHead) -> Any:
    """Attention and both contributions of the selected head of both models, on one colour scale."""
    if reached is None or reached.shown != shown:
        return gr.skip()
    found = reached.attributions()
    cases = shown.cases()
    own = heads_of(*cases, selected)
    maps = [
        None if at is None else (case.trace.paid[at], local.values[at], wrt_input.values[at])
        for (case, local, wrt_input), at in zip(found, own, strict=True)
    ]
    highest = max((float(values.max()) for three in maps if three for values in three), default=1.0)
    figures: list[Any] = []
    for side, case, at, three, probes in zip(SIDES, cases, own, maps, reached.probes, strict=True):
        if at is None or three is None:
            whose, lacking = side.upper(), f"{absent(case, cases, selected)}."
            told = (lacking, *(f"{whose} · {source}: no such head" for source in ("previous layer", "input")))
            figures += [no_heatmap(title, side) for title in told]
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
                case.trace.tokens,
                title=f"{name} · {kind}",
                model=side,
                highest=highest,
                quantity="attention" if kind == "attention" else "contribution",
                source=source,
            )
            for (kind, source), values in zip(kinds.items(), three, strict=True)
        ]
    return tuple(figures)


def draw_charts(shown: Shown, reached: Reached | None, measure: str, selected: SelectedHead) -> Any:
    """Correlations of every head, and where attention and contribution lie."""
    if reached is None or reached.shown != shown:
        return gr.skip()
    own = heads_of(*shown.cases(), selected)
    models = [
        _model(side, at, *found, measure) for side, at, found in zip(SIDES, own, reached.comparisons(), strict=True)
    ]
    name = MEASURES[measure]
    strips = [attribution.strip(models, name, local=local) for local in (True, False)]
    return *(attribution.overview(model, name) for model in models), *strips, attribution.centres(models)


def _model(
    side: Side, selected: Head | None, case: Case, local: Comparison, wrt_input: Comparison, measure: str
) -> attribution.Model:
    of_local, of_input = (getattr(found, measure) for found in (local, wrt_input))
    centres = {"attention": local.attention_centre, "from the input": wrt_input.contribution_centre}
    return attribution.Model(side, case.card.ref, of_local, of_input, centres, selected)
