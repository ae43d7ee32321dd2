"""The radial view in a cell of a notebook: `show`, which needs neither Gradio nor a network."""

from __future__ import annotations

import html
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from attnflow.checkpoints.checkpoint import Checkpoint
from attnflow.methods.expected import expected_tokens
from attnflow.records.trace import Head, Trace
from attnflow.runtime.capture import capture
from attnflow.runtime.encode import encode
from attnflow.runtime.load import load_checkpoint
from attnflow.stats.flow import compare_flows, flow
from attnflow.views.answer import answer
from attnflow.views.predicted import Decision, predicted
from attnflow.views.radial import radial
from attnflow.views.standalone import Theme, standalone
from attnflow.views.tour import tour

Model: TypeAlias = str | os.PathLike[str] | Checkpoint
"""A loaded checkpoint, or what `load_checkpoint` takes."""
_HEIGHT = 1100
"""Pixels of a cell until it is drawn, and where a notebook does not let it grow."""


@dataclass(frozen=True)
class RadialView:
    """The radial view of one or two models, as a page of its own; a notebook shows it."""

    names: tuple[str, ...]
    """Of the models."""
    page: str = field(repr=False)
    """The HTML document; it asks for no other file."""

    def _repr_html_(self) -> str:
        """A frame with the page, apart from everything else in the notebook."""
        title = html.escape(f"Attention flow of {' and '.join(self.names)}")
        return (
            f'<iframe srcdoc="{html.escape(self.page)}" title="{title}" '
            f'style="display:block;width:100%;height:{_HEIGHT}px;border:0"></iframe>'
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the page to a file, which any browser shows without a network."""
        Path(path).write_text(self.page, encoding="utf-8")


def show(
    checkpoint_a: Model,
    checkpoint_b: Model | None,
    text_a: str,
    text_b: str | None = None,
    *,
    tau: float | None = None,
    alpha: float = 0.5,
    unit: str = "word",
    root: int | None = None,
    heads: Iterable[Head] | None = None,
    hide_special: bool = False,
    pruned: Iterable[Head] = (),
    theme: Theme = "auto",
) -> RadialView:
    """Show how attention carries each word to the decision of two models, or of one.

    At the end of a cell of a notebook (Jupyter, Colab, VS Code) it is drawn with all its interaction: hover, click,
    keyboard, tour, zoom. It stays in the saved notebook, and needs no network and no running kernel.

    Args:
        checkpoint_a: A loaded checkpoint, or what `load_checkpoint` takes.
        checkpoint_b: The other one; None to show one model alone.
        text_a: The first sentence.
        text_b: The second sentence, if any.
        tau: Attention above it makes an edge; thresholds by layer (`ring_tau`) if None.
        alpha: Decay of influence, for the sentence that says what differs.
        unit: `word` or `piece`.
        root: Unit to start from; what each task reads if None.
        heads: Heads `(layer, head)` that may carry edges, by the layers of the deeper model; all if None.
        hide_special: Whether special tokens are kept out of all rings but that of the root.
        pruned: Heads that are switched off in both models.
        theme: `light`, `dark`, or `auto`: that of the notebook.

    Raises:
        CheckpointError: If a checkpoint cannot be loaded.
        UnsupportedArchitectureError: If one cannot be analysed.
        TextError: If a model cannot read the sentences.
        SelectionError: If a setting is out of range.

    Example:
        >>> view = show("demo/pretrained", "demo/finetuned", "Anna lent Paul a book.", "Paul borrowed a book.")
        >>> view.names
        ('demo/pretrained', 'demo/finetuned')
    """
    off = list(pruned)
    texts = list(filter(None, (text_a, text_b)))
    name_a, a, decided_a = _run(checkpoint_a, text_a, text_b, off)
    at = {"unit": unit, "root": root, "heads": heads, "hide_special": hide_special}
    if checkpoint_b is None:
        one = flow(a, tau, alpha, **at)
        return RadialView((name_a,), standalone(radial(one, (name_a,)), texts, theme=theme))
    name_b, b, decided_b = _run(checkpoint_b, text_a, text_b, off)
    flows = compare_flows(a, b, tau, alpha, **at)
    figure = radial(flows, (name_a, name_b))
    figure["tour"] = tour(flows)
    said, _ = answer(flows, [decided_a, decided_b])
    return RadialView((name_a, name_b), standalone(figure, texts, said=said["sentence"], theme=theme))


def _run(model: Model, text_a: str, text_b: str | None, pruned: Iterable[Head]) -> tuple[str, Trace, Decision | None]:
    """The name of a model, and what it does with the sentences and decides."""
    checkpoint = model if isinstance(model, Checkpoint) else load_checkpoint(model)
    encoding = encode(checkpoint, text_a, text_b)
    trace = capture(checkpoint, encoding, pruned=pruned)
    expected = None
    if checkpoint.head.trained and checkpoint.head.kind.endswith("-lm"):
        expected = expected_tokens(checkpoint, encoding, pruned=pruned)
    return checkpoint.name, trace, predicted(checkpoint.head, trace, encoding, expected).decided
