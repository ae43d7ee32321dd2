"""What a visitor sets: each setting by its name, in events and in the address of the page."""

from __future__ import annotations

from dataclasses import fields

import gradio as gr
import pytest

from attnflow.errors import SelectionError
from attnflow.web.forms import Form
from attnflow.web.settings import DECISION, Pair, SelectedHead, Settings
from attnflow.web.wiring import components, on, positional


@pytest.fixture(scope="module")
def form():
    with gr.Blocks():
        made = Form(Settings())
        made.place()
        made.place(more=True)
    return made


def restored(form, **query):
    """The values that an address sets, by name."""
    updates = dict(zip(form.names, form.restored(query), strict=True))
    return {name: update["value"] for name, update in updates.items() if "value" in update}


def test_every_field_has_a_control_that_begins_with_it_and_is_read_by_its_name(form):
    assert form.names == tuple(field.name for field in fields(Settings))
    begun = form.read([control.value for control in form.controls])
    assert begun == Settings()
    held = {
        "tau": 0.2,
        "auto": False,
        "unit": "word",
        "root": 3,
        "heads": ["0.3"],
        "hide_special": True,
        "alpha": 1,
        "weights": "norm",
    }
    assert form.read([held[name] for name in form.names]) == Settings(**{**held, "heads": ("0.3",)})
    assert form.read([None] * len(form.names)) == Settings(), "an empty control stands for the default"


def test_a_form_begins_with_its_record():
    with gr.Blocks():
        form = Form(Pair(model_a="demo/pretrained", text_a="Anna met Paul."))
        form.place()
        assert [name for name in form.names if name in form._controls] == ["model_a", "model_b", "text_a", "text_b"]
        form.place(more=True)
    assert form["model_a"].value == "demo/pretrained"
    assert form["text_a"].value == "Anna met Paul."
    assert all(one["plain"] in ("", False) and one["link"] for one in form.linked), "the address always names the pair"


@pytest.mark.parametrize(
    ("query", "values"),
    [
        ({"tau": "0.2"}, {"tau": 0.2, "auto": False}),
        ({"tau": "7", "alpha": "0"}, {"tau": 0.95, "auto": False, "alpha": 0.05}),
        ({"tau": "nan", "alpha": "x", "unit": "Words", "hide": "yes", "root": "-1", "heads": "1,x"}, {}),
        ({"edges": "previous_layer", "tau": "0.3"}, {"weights": "previous_layer", "tau": 0.3, "auto": False}),
        ({"edges": "gradient"}, {}),
        ({"unit": "word", "hide": "1"}, {"unit": "word", "hide_special": True}),
        ({"root": "12", "heads": "0.3,x,11.0"}, {"root": 12, "heads": ["0.3", "11.0"]}),
        ({"root": "12345", "colour": "red"}, {}),
    ],
)
def test_the_address_sets_what_it_names_and_minds_no_nonsense(form, query, values):
    assert restored(form, **query) == values


def test_a_choice_that_comes_with_an_analysis_is_offered_before_it(form):
    updates = dict(zip(form.names, form.restored({"root": "2", "heads": "0.3"}), strict=True))
    assert updates["root"]["choices"] == [("2", 2)]
    assert updates["heads"]["choices"] == [("L1 H4", "0.3")]


def test_what_the_address_leaves_out_is_what_it_restores(form):
    """The script leaves out `plain` values, so they must be those of a page that nobody has changed."""
    plain = {one["name"]: one["plain"] for one in form.linked}
    assert plain["root"] == DECISION
    assert form.read([list(value) if isinstance(value, tuple) else value for value in plain.values()]) == Settings()


def test_an_event_reads_records_and_values_in_the_order_of_its_sources():
    def happen(word, at: SelectedHead, *, event):
        return word, at, event

    with gr.Blocks() as demo:
        form, box = Form(SelectedHead()), gr.Textbox()
        form.place()
        button = gr.Button()
        on(button.click, happen, [box, form], box)
        (event,) = demo.fns.values()
    assert [block._id for block in event.inputs] == [box._id, *(one._id for one in form.controls)]
    assert event.inputs == components([box, form])
    assert event.fn("sent", "x", 3, 1) == ("x", SelectedHead(layer=3, head=1), "sent")


def test_what_an_event_refuses_is_told_in_its_sentence():
    def refuse(word):
        raise SelectionError(f"There is no {word}; choose another.")

    with gr.Blocks() as demo:
        box = gr.Textbox()
        on([box.submit, box.change], refuse, [box], box)
        (event,) = demo.fns.values()
    with pytest.raises(gr.Error, match="There is no such thing; choose another"):
        event.fn("such thing")


def test_an_event_may_yield():
    def count(at: SelectedHead):
        yield from range(at.head)

    with gr.Blocks():
        form = Form(SelectedHead())
        form.place()
    assert list(positional(count, [form])(0, 3)) == [0, 1, 2]
