"""What stands beside the best heads in their table where it is asked for: whether A and B differ; random weights."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from attnflow import progress
from attnflow.errors import SelectionError
from attnflow.service.corpora import corpora
from attnflow.service.grammar import OF_TREES
from attnflow.stats.dependencies import DependencyResult
from attnflow.views.grammar_beside import NOTHING, Beside
from attnflow.views.grammar_heads import best_heads
from attnflow.views.payloads import SIDES, GrammarBest
from attnflow.web.panels import GrammarTable
from attnflow.web.rooms.grammar_cell import Measured
from attnflow.web.rooms.reading import Collected, collected_of, models_of
from attnflow.web.wiring import CLICK, on, on_card

BEFORE = "Measure the heads of both models first; then their table can be compared."


@dataclass(frozen=True)
class Parts:
    """Components above the table."""

    compare: gr.Button
    random: gr.Checkbox
    beside: gr.State
    """`Beside`."""


def build() -> Parts:
    """Lay out the controls."""
    with gr.Row(elem_id="grammar-beside"):
        compare = gr.Button("Compare A and B", elem_id="compare-grammar", visible=False, scale=0, min_width=200)
        random = gr.Checkbox(
            False,
            label="beside random weights",
            info="the best head of the same architecture before any training",
            elem_id="grammar-random",
            visible=False,
        )
    return Parts(compare, random, gr.State(NOTHING))


def wire(parts: Parts, measured: gr.State, collected: gr.State, table: GrammarTable) -> None:
    """Compare and measure when asked; offer it once both models were measured.

    Args:
        parts: Components above the table.
        measured: `Measured`, or None.
        collected: `Collected`: the texts.
        table: What is filled.
    """
    asked, filled = [collected, measured, parts.beside], [table, parts.beside]
    on(measured.change, offer, [measured], [parts.compare, parts.random, parts.beside], **CLICK)
    on_card(parts.compare.click, compare, asked, filled)
    on_card(
        parts.random.input,
        control,
        [*asked, parts.random],
        [*filled, parts.random],
        otherwise=lambda: (gr.skip(), gr.skip(), False),
    )


def offer(measured: Measured | None) -> tuple[Any, Any, Beside]:
    """Controls, once there are two models; nothing stands beside what was measured anew."""
    there = measured is not None and len(measured.models) == len(SIDES)
    return gr.update(visible=there), gr.update(visible=there, value=False), NOTHING


def compare(collected: Collected | None, measured: Measured | None, beside: Beside) -> tuple[GrammarBest, Beside]:
    """Both models read the treebank once more, word by word."""
    collected, measured = _both(collected, measured)
    found = corpora.compared(
        collected.opened(), measured.refs[0], measured.refs[1], collected.page, too_long=collected.too_long
    )
    return _filled(measured, replace(beside, compared=found))


def control(
    collected: Collected | None, measured: Measured | None, beside: Beside, wanted: Any
) -> tuple[GrammarBest, Beside, Any]:
    """The best heads of both architectures with random weights, or the table without them."""
    collected, measured = _both(collected, measured)
    found = list[DependencyResult]()
    opened, count = collected.opened(), len(measured.refs)
    for number, ref in enumerate(measured.refs if wanted is True else ()):
        with progress.part(number / count, (number + 1) / count, SIDES[number].upper()):
            of = corpora.statistics(
                opened, ref, collected.page, [OF_TREES], too_long=collected.too_long, random_weights=True
            )
            found.append(of[OF_TREES])
    return *_filled(measured, replace(beside, random=tuple(found))), gr.skip()


def _both(collected: Collected | None, measured: Measured | None) -> tuple[Collected, Measured]:
    """The texts, and both models over them.

    Raises:
        SelectionError: If not both were measured over these texts.
    """
    collected = models_of(collected_of(collected))
    if measured is None or measured.key != collected.key or len(measured.models) < len(SIDES):
        raise SelectionError(BEFORE)
    return collected, measured


def _filled(measured: Measured, beside: Beside) -> tuple[GrammarBest, Beside]:
    return best_heads(measured.key, measured.models, beside), beside
