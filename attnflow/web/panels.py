"""The panels of the page: gr.HTML subclasses, each drawn by a module in `assets/page`."""

from __future__ import annotations

import json
from typing import Any

import gradio as gr

from attnflow.bundled import PAGE
from attnflow.web import assets
from attnflow.web.gradio_compat import Unwritten


def imported(module: str) -> str:
    """JavaScript for the promise of a module of ours, such as `radial/radial.js`."""
    return f'import(new URL("{assets.url(module)}", document.baseURI).href)'


def linked(**values: str) -> str:
    """JavaScript that keeps texts in the address of the page."""
    return f"() => {imported('shared/link.js')}.then((link) => link.set({json.dumps(values)}))"


class Panel(gr.HTML, metaclass=Unwritten):
    """A part of the page that a script draws.

    The template is constant: Gradio runs `${…}` in values as code, so nothing that a person or a tokenizer wrote may be
    put into it. Values travel as JSON text, which Gradio passes on many times faster than a dict.

    Every panel has the property `work` (`payloads.Work`), a bar that stands above it; one that can wait has the event
    `cancel`, which ends what it waits for (`wiring.on_card`).

    A panel that has the event `select` (`payloads.Selected`), `at` (`payloads.AtToken`), `prune` (`payloads.Pruned`),
    `analyse` or `what_if` (both
    `payloads.OtherPair`; the second goes back where it fails) may ask that of the page, which does it (`verbs`).
    """

    EVENTS: list[str] = ["cancel"]  # noqa: RUF012 - as Gradio declares it
    module = ""
    """Its `mount(element, gradio)` draws the panel."""
    template = ""

    def __init__(self, value: Any = None, **kwargs: Any) -> None:
        super().__init__(
            value,
            html_template=self.template,
            js_on_load=f"{imported(self.module)}.then((panel) => panel.mount(element, {{props, trigger, watch}}));",
            head=assets.head(),
            apply_default_css=False,
            **{"container": True, "padding": True, "show_label": False, "work": None, **kwargs},
        )
        self.wanted: gr.State | None = None
        """What is wanted in it (`service.wanted`), if it can wait."""

    def postprocess(self, value: Any) -> str | None:
        """Send a value as strict JSON."""
        return None if value is None else json.dumps(value, separators=(",", ":"), allow_nan=False)

    def preprocess(self, payload: str | None) -> Any:
        """Read a value back."""
        return None if payload is None else json.loads(payload)


class AnswerPanel(Panel):
    """What both models decide and what changes between them, in a few sentences."""

    module = "answer/answer.js"
    template = '<div class="af-answer"><p class="af-said" role="status"></p></div>'


class Differences(Panel):
    """Ranked tables of what differs. Events: `select`, of a row."""

    EVENTS = ["cancel", "select"]  # noqa: RUF012
    module = "answer/differences.js"
    template = """
<div class="af-differences">
  <div class="af-toolbar">
    <h3 class="af-title">What differs</h3><span class="af-note">press a row to light it</span>
  </div>
  <div class="af-tables"></div>
</div>"""


class Note(Panel):
    """A sentence about the cards below it, which wait for the same."""

    module = "note/note.js"
    template = '<div class="af-told"><p class="af-said" role="status"></p></div>'


class DetailsPanel(Panel):
    """What is known of the selected word and head. Events: `prune`, of the head."""

    EVENTS = ["cancel", "prune"]  # noqa: RUF012
    module = "details/details.js"
    template = """
<div class="af-details">
  <h3 class="af-title">What is selected</h3>
  <p class="af-detail-word" role="status"></p><div class="af-detail-heads"></div>
</div>"""


class Predictions(Panel):
    """Both models' predictions.

    Events: `at` (`payloads.AtToken`), of a token with a prediction of its own; `write_a` and `write_b`: model A or B is
    to write on.
    """

    EVENTS = ["cancel", "at", "write_a", "write_b"]  # noqa: RUF012
    module = "predictions/predictions.js"
    template = '<h3 class="af-title">Predictions</h3><div class="af-predictions"></div>'


class Moments(Panel):
    """For each model that comes from a training, a slider over its checkpoints. Events: `analyse`, of another one."""

    EVENTS = ["cancel", "analyse"]  # noqa: RUF012
    module = "moments/moments.js"
    template = '<div class="af-moments" role="group" aria-label="Moments of the training"></div>'


class TextMoments(Panel):
    """As `Moments`, above the map of texts, and a button goes through all. Events: `read` (`payloads.ReadMoment`).

    The property `stopped` tells when, in seconds, a moment was not read after all.
    """

    EVENTS = ["cancel", "read"]  # noqa: RUF012
    module = "moments/texts.js"
    template = Moments.template


class SentenceView(Panel):
    """The words with their influence as circles; the layer is chosen in the panel itself.

    Events: `select` and `what_if`. The property `failed` tells when, in seconds, the latter could not be done.
    """

    EVENTS = ["cancel", "select", "what_if"]  # noqa: RUF012
    module = "sentence/sentence.js"
    template = """
<div class="af-sentence">
  <div class="af-toolbar">
    <h3 class="af-title">Influence</h3>
    <label class="af-layer">from layer <input type="range" min="1" max="1" value="1" step="1"> <output></output></label>
    <p class="af-note"></p>
    <span class="af-views" role="group" aria-label="Influence in which model">
      <button type="button" data-side="a">A</button><button type="button" data-side="b">B</button>
      <button type="button" data-side="both" aria-pressed="true">A and B</button>
    </span>
  </div>
  <div class="af-text"></div>
  <div class="af-changed" role="status" hidden></div>
</div>"""


class RadialView(Panel):
    """The rings of the attention graph.

    Events: `select` and `export` (`payloads.Export`). The property `selected` (`payloads.Lit`) lights a word, the
    property `download` (`payloads.Download`) makes the browser save a file.
    """

    EVENTS = ["cancel", "select", "export"]  # noqa: RUF012
    module = "radial/radial.js"
    template = (PAGE / "radial" / "radial.html").read_text(encoding="utf-8")


class Thresholds(Panel):
    """How many tokens each ring would hold at every threshold. Events: `choose` (`payloads.ChosenThreshold`)."""

    EVENTS = ["cancel", "choose"]  # noqa: RUF012
    module = "thresholds/thresholds.js"
    template = """
<div class="af-thresholds">
  <h3 class="af-title">Tokens in each ring at one threshold</h3>
  <div class="af-sizes" tabindex="0" role="slider" aria-label="One threshold tau, by the tokens in each ring"
    aria-valuemin="0" aria-valuemax="0.95" aria-valuenow="0"></div>
  <p class="af-note"></p>
</div>"""


class AttentionMap(Panel):
    """A heat map of token against token, and the text coloured by what one token attends to.

    Events: `select`, of a token. The property `lit` (`payloads.LitTokens`) marks the selected word.
    """

    EVENTS = ["cancel", "select"]  # noqa: RUF012
    module = "heatmap/heatmap.js"
    template = """
<div class="af-heatmap">
  <h3 class="af-title"></h3><div class="af-chart"></div><p class="af-note"></p><div class="af-token-row"></div>
</div>"""


class HeadMatrix(Panel):
    """Layers against heads.

    Events: `select` and `prune`. The property `confirmed`, `payloads.Pruned` as JSON text, tells what is off.
    """

    EVENTS = ["cancel", "select", "prune"]  # noqa: RUF012
    module = "heads/matrix.js"
    template = """
<div class="af-head-matrix">
  <h3 class="af-title"></h3><div class="af-matrices"></div><p class="af-note af-matrix-note"></p>
</div>"""


class PruneEffect(Panel):
    """What switching heads off changed in each model."""

    module = "heads/effect.js"
    template = """
<div class="af-prune-effect"><h3 class="af-title">What changes without them</h3><div class="af-effects"></div></div>"""


class SaliencyStrips(Panel):
    """The tokens of both models, coloured by what a method says of them; the method is chosen in the panel itself.

    Events: `select`, of a token. The property `lit` (`payloads.LitTokens`) marks the selected word.
    """

    EVENTS = ["cancel", "select"]  # noqa: RUF012
    module = "strips/strips.js"
    template = """
<div class="af-saliency">
  <h3 class="af-title">Saliency</h3>
  <div class="af-toolbar">
    <label class="af-check">Method <select class="af-method"></select></label>
    <span class="af-legend af-scale"></span>
  </div>
  <p class="af-note af-about"></p>
  <div class="af-strips"></div>
  <div class="af-detail" role="status" aria-live="polite"></div>
</div>"""


class Chart(Panel):
    """Any Plotly chart; see `assets/page/chart/chart.js` for its colours.

    Events: `select`, of a point that stands for a head or word.
    """

    EVENTS = ["cancel", "select"]  # noqa: RUF012
    module = "chart/chart.js"
    template = """
<div class="af-figure">
  <h3 class="af-title"></h3><div class="af-chart"></div><p class="af-note"></p>
</div>"""


class GrammarHeads(Panel):
    """Relations of a treebank against heads.

    Events: `cell` (`payloads.GrammarCell`). The property `chosen`, likewise, tells which cell is chosen.
    """

    EVENTS = ["cancel", "cell"]  # noqa: RUF012
    module = "grammar/heads.js"
    template = """
<div class="af-grammar"></div>"""


class GrammarTable(Panel):
    """The best head of each relation. Events: as `GrammarHeads`, and `keep`, for a file (property `download`)."""

    EVENTS = ["cancel", "cell", "keep"]  # noqa: RUF012
    module = "grammar/best.js"
    template = """
<div class="af-grammar"></div>"""


class GrammarExamples(Panel):
    """Sentences with arcs over and under their words. Events: `open` (`payloads.OpenSentence`)."""

    EVENTS = ["cancel", "open"]  # noqa: RUF012
    module = "grammar/sentences.js"
    template = """
<div class="af-sentences"></div>"""


class ProbeTrees(Panel):
    """The trees that probes read out of a sentence, as arcs over its words."""

    module = "grammar/trees.js"
    template = """
<div class="af-sentences"></div>"""


class TextMap(Panel):
    """A collection of texts: two scatter plots, filters, confusion matrices and a table, all of the same selection.

    Events: `layout`, `rows`, `search`, `open`, `keep`, `slice`. Properties: `layout`, `unlaid`, `rows`, `found`,
    `download`, `ready`, an order to show, and `opened`, the row that *One pair* shows. What they hold is in
    `attnflow.views.collection`.
    """

    EVENTS = ["cancel", "layout", "rows", "search", "open", "keep", "slice"]  # noqa: RUF012
    module = "texts/texts.js"
    template = """
<div class="af-texts"></div>"""


class TextFile(Panel):
    """A file of the visitor's own in the place of a data set. Events: `sent` (`payloads.FileSent`)."""

    EVENTS = ["sent"]  # noqa: RUF012
    module = "texts/upload.js"
    template = """
<div class="af-file"></div>"""
