"""The boxes in which a visitor names a checkpoint: what they offer, and what is said under them."""

from __future__ import annotations

from typing import Any

import gradio as gr

from attnflow.checkpoints.checkpoint import BUNDLED
from attnflow.checkpoints.hub_search import search_models
from attnflow.errors import AttnflowError
from attnflow.service import own_models
from attnflow.service.visitors import serving
from attnflow.service.workspace import workspace
from attnflow.web.signin import current_visitor

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


def model_box(value: str, label: str) -> gr.Dropdown:
    """The box of a model."""
    return gr.Dropdown(
        known_models([]),
        value=value,
        label=label,
        info=MODEL_INFO,
        allow_custom_value=True,
        elem_id=label.lower().replace(" ", "-"),
    )


def revision_box(value: str, label: str) -> gr.Textbox:
    """The box of the revision of a model."""
    return gr.Textbox(value, label=label, placeholder="newest", elem_id=label.lower().replace(" of ", "-"))


def full_ref(model: str | None, revision: str | None) -> str:
    """A reference to a checkpoint from what two boxes hold: its name, and its revision or moment."""
    model, revision = (model or "").strip(), (revision or "").strip()
    here = own_models.own(model)
    if here is not None and here[0] in BUNDLED:
        known = [one.revision for one in own_models.moments_of(here[0])]
        revision = revision if revision in known else ""  # one of the model that was named before
    return f"{model}@{revision}" if revision else model


def suggest(event: gr.EventData) -> Any:
    """Search the Hub for what is being typed; any id can be given without it."""
    typed = getattr(event, "input_value", None)
    text = typed.strip() if isinstance(typed, str) else ""
    if not 3 <= len(text) <= MOST_TYPED or own_models.own(text):
        return gr.skip()
    found = [(" · ".join([model.repo_id, *model.facts]), model.repo_id) for model in search_models(text)]
    return gr.update(choices=[*own_models.names(), *found]) if found else gr.skip()


def describe(recent: Any, model: str, revision: str) -> Any:
    """Say under the box what the Hub tells of the chosen model, or why it cannot be loaded."""
    try:
        with serving(current_visitor()):
            listing = workspace.look_up(full_ref(model, revision))
        info = " · ".join(listing.facts) if listing else MODEL_INFO
    except AttnflowError as error:
        info = str(error)
    # The results of the search carry facts beside their names; the box is to show the name alone.
    return gr.update(info=info, choices=known_models(recent), value=model)


def known_models(recent: Any) -> list[str]:
    """What a box offers before anything is typed: what needs no Hub, what this browser used last, well-known models."""
    kept = [name for name in recent if isinstance(name, str) and len(name) < 200] if isinstance(recent, list) else []
    return list(dict.fromkeys([*own_models.names(), *kept[:MOST_RECENT], *HUB_MODELS]))


def offer(recent: Any) -> Any:
    """Offer the models that this browser used last."""
    return [gr.update(choices=known_models(recent))] * 2
