"""A conversation is what transformers makes of the template, with each sentence found in it; no template does harm."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from transformers import AutoTokenizer

from attnflow import CheckpointError, TextError, capture, encode, limits, load_checkpoint, pair_traces
from attnflow.checkpoints.repository_files import staged
from attnflow.checkpoints.tokenizer_process import ChildReader, read_apart
from attnflow.checkpoints.tokenizer_reader import read_here
from attnflow.checkpoints.tokenizer_rules import LONGEST_TEMPLATE, allowed_template
from attnflow.records.trace import SPECIAL
from attnflow.records.words import CONTINUES
from tests import hostile_tokenizers
from tests.checkpoints import CHATML, PAIR, make_checkpoint
from tests.hostile_tokenizers import HARMLESS, TEMPLATES

INSTRUCTION = (
    "{{ bos_token }}{% for one in messages %}"
    "{% if one.role == 'user' %}{{ '[INST] ' + one.content | trim + ' [/INST]' }}"
    "{% else %}{{ ' ' + one.content | trim + eos_token }}{% endif %}{% endfor %}"
)
"""Llama 2's, which leaves out white space and has no prompt for an answer."""


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, Path]:
    top = tmp_path_factory.mktemp("chats")
    return {
        "chatml": make_checkpoint(top / "chatml", "llama", task="causal-lm", chat_template=CHATML),
        "instruction": make_checkpoint(top / "instruction", "gpt2", task="causal-lm", chat_template=INSTRUCTION),
        "scores": make_checkpoint(top / "scores", "llama", chat_template=CHATML),
        "words": make_checkpoint(top / "words", "bert", chat_template=CHATML),
        "sentencepiece": make_checkpoint(top / "sentencepiece", "t5", task="none", chat_template=CHATML),
        "none": make_checkpoint(top / "none", "llama", task="causal-lm"),
    }


@pytest.fixture(scope="module")
def chats(folders):
    return {name: load_checkpoint(folder) for name, folder in folders.items()}


def messages(*texts: str) -> list[dict[str, str]]:
    return [{"role": role, "content": text} for role, text in zip(("user", "assistant"), texts, strict=False)]


@pytest.mark.parametrize("name", ["chatml", "instruction", "scores", "words", "sentencepiece"])
@pytest.mark.parametrize(
    "texts", [PAIR[:1], PAIR, ("You help Anna.", "user"), ("\tAnna's  café 😀\n", " e\u0301 中文 ")]
)
def test_a_conversation_is_what_transformers_makes_of_it(name, texts, chats, folders):
    checkpoint, tokenizer = chats[name], AutoTokenizer.from_pretrained(folders[name])
    predicts = name in ("chatml", "instruction")
    ends = {"add_generation_prompt": predicts} if len(texts) == 1 else {"continue_final_message": predicts}
    expected = tokenizer.apply_chat_template(messages(*texts), **ends)["input_ids"]
    found = encode(checkpoint, *texts, chat=True)
    assert found.chat and found.separator is None
    if texts[-1].strip() == texts[-1] or not predicts:  # transformers takes white space from the end of an open answer
        assert found.inputs["input_ids"].tolist() == expected
    assert found.inputs["attention_mask"].tolist() == [1] * len(found.tokens)


@pytest.mark.parametrize("name", ["chatml", "instruction", "scores", "words", "sentencepiece"])
@pytest.mark.parametrize(
    "texts", [PAIR[:1], PAIR, ("You help Anna.", "user"), ("\tAnna's  café 😀\n", " e\u0301 中文 ")]
)
def test_every_character_of_the_sentences_is_found_and_nothing_else(name, texts, chats):
    tokens = encode(chats[name], *texts, chat=True).tokens
    for number, text in enumerate(texts):
        seen = np.zeros(len(text), bool)
        for start, end in tokens.span[tokens.sentence == number]:
            seen[start:end] = True
        shown = "".join(np.asarray(list(text))[seen])
        assert shown.replace("\u0301", "") == "".join(text.split()).replace("\u0301", "")  # some drop accents
        inside = np.flatnonzero(tokens.sentence == number)
        assert inside.tolist() == list(range(inside[0], inside[-1] + 1))
        for position in inside:
            start, end = tokens.span[position]
            if start < end:
                assert tokens.text[position].removeprefix(CONTINUES) == text[start:end]
    special = tokens.sentence == SPECIAL
    assert tokens.span[special].tolist() == [[0, 0]] * special.sum()
    assert len(set(tokens.word[special])) == special.sum()


def test_it_is_shown_as_it_is_read(chats):
    tokens = encode(chats["chatml"], "Anna met him.", chat=True).tokens
    shown = "".join(tokens.piece).replace("Ġ", " ").replace("Ċ", "\n")
    system = "<|im_start|>system\nYou help Anna.<|im_end|>\n"
    assert shown == system + "<|im_start|>user\nAnna met him.<|im_end|>\n<|im_start|>assistant\n"
    assert tokens.text.count("<|im_start|>") == 3
    first = int(np.flatnonzero(tokens.sentence == 0)[0])
    assert "".join(tokens.piece[:first]).endswith("<|im_start|>userĊ")  # and not Anna of the system message
    assert (
        capture(chats["chatml"], encode(chats["chatml"], *PAIR, chat=True)).root
        == len(encode(chats["chatml"], *PAIR, chat=True).tokens) - 1
    )


def test_an_answer_that_is_there_is_not_asked_for(folders, tmp_path):
    folder = shutil.copytree(folders["chatml"], tmp_path / "it")
    asked = "{% if add_generation_prompt and messages[-1].role != 'user' %}{{ raise_exception('asked') }}{% endif %}"
    (folder / "chat_template.jinja").write_text(asked + CHATML)
    assert encode(load_checkpoint(folder), *PAIR, chat=True).tokens.sentence[-1] == 1


def test_two_models_are_compared_word_by_word(chats):
    for texts in (PAIR[:1], PAIR):
        a, b = (capture(chats[name], encode(chats[name], *texts, chat=True)) for name in ("chatml", "instruction"))
        pairing = pair_traces(a, b)
        plain = pair_traces(*(capture(chats[name], encode(chats[name], *texts)) for name in ("chatml", "words")))
        words = [text for text, part in zip(pairing.text, pairing.sentence, strict=True) if part != SPECIAL]
        assert words == [text for text, part in zip(plain.text, plain.sentence, strict=True) if part != SPECIAL]
        assert (pairing.sentence == SPECIAL).sum() in (2, 3)


def test_what_is_too_long_is_refused_or_cut_in_the_sentences(chats):
    whole = encode(chats["chatml"], *PAIR, chat=True)
    special = int((whole.tokens.sentence == SPECIAL).sum())
    with pytest.raises(TextError, match=f"{len(whole.tokens)} tokens long .* the limit is {special + 6}"):
        encode(chats["chatml"], *PAIR, chat=True, max_tokens=special + 6)
    cut = encode(chats["chatml"], *PAIR, chat=True, truncate=True, max_tokens=special + 6)
    assert [int((cut.tokens.sentence == part).sum()) for part in (SPECIAL, 0, 1)] == [special, 3, 3]
    assert cut.cut == len(whole.tokens) - special - 6


def test_without_a_template_it_is_one_sentence(chats):
    with pytest.raises(TextError, match=r"none has no chat template that could be applied; do without, or choose"):
        encode(chats["none"], *PAIR, chat=True)
    assert not encode(chats["chatml"], *PAIR).chat


# ---- which template is read


def test_the_template_is_read_from_either_file(folders, tmp_path):
    def read(jinja=None, config=None):
        folder = shutil.copytree(folders["none"], tmp_path / "it", dirs_exist_ok=True)
        (folder / "chat_template.jinja").unlink(missing_ok=True)
        settings = json.loads((folders["none"] / "tokenizer_config.json").read_text()) | {"chat_template": config}
        (folder / "tokenizer_config.json").write_text(json.dumps(settings))
        if jinja is not None:
            (folder / "chat_template.jinja").write_bytes(jinja)
        with staged(folder, "it") as files:
            made = read_here(files.folder, "it")
            left_out = {key for key in files.left_out if "chat_template" in key}
            return made.facts.has_chat_template and made.tokenizer.chat_template, left_out

    several = [{"name": "default", "template": "of several"}, {"name": "tool_use", "template": "another"}]
    left_out = {"tokenizer_config.json: chat_template"}
    assert read(config="of the settings") == ("of the settings", set())
    assert read(config=several) == ("of several", set())
    assert read(config=several[1:]) == (False, left_out)
    assert read(config={"default": "x"}) == (False, left_out)
    assert read(config="x" * (LONGEST_TEMPLATE + 1)) == (False, left_out)
    assert read(jinja=b"of the file", config="of the settings") == ("of the file", set())
    for unread in (b"\xff", b"x" * (LONGEST_TEMPLATE + 1), b""):
        assert read(jinja=unread, config="of the settings") == (False, {"chat_template.jinja"})
    assert allowed_template("x" * LONGEST_TEMPLATE) == "x" * LONGEST_TEMPLATE


def test_a_folder_is_read_anew_when_its_template_has_changed(folders, tmp_path):
    folder = shutil.copytree(folders["chatml"], tmp_path / "it")
    assert "<|im_start|>" in encode(load_checkpoint(folder), *PAIR, chat=True).tokens.text
    (folder / "chat_template.jinja").write_text(INSTRUCTION)
    assert "<|im_start|>" not in encode(load_checkpoint(folder), *PAIR, chat=True).tokens.text


# ---- templates of strangers

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes fork")


@forks
@pytest.mark.parametrize("name", ["chatml", "instruction", "words", "sentencepiece"])
def test_apart_it_is_what_it_is_in_this_process(name, folders):
    here, apart = read_here(folders[name], name), ChildReader(folders[name], name)
    assert apart.facts == here.facts and here.facts.has_chat_template
    for texts in (PAIR, (PAIR[0], None)):
        for goes_on in (True, False):
            for most in (None, 20):
                assert apart.chat(*texts, most, goes_on) == here.chat(*texts, most, goes_on)


@forks
def test_a_template_of_the_hub_is_run_apart(hub, folders, empty_caches, monkeypatch):
    hub.add("lab/chats", folders["chatml"])
    remote, local = load_checkpoint("lab/chats"), load_checkpoint(folders["chatml"])
    expected = encode(local, *PAIR, chat=True)
    monkeypatch.setattr("attnflow.checkpoints.tokenizer_reader.converse", None)
    found = encode(remote, *PAIR, chat=True)
    assert found.tokens.piece == expected.tokens.piece
    assert found.tokens.span.tolist() == expected.tokens.span.tolist()


def test_a_template_of_a_stranger_is_not_run_where_nothing_forks(folders, monkeypatch):
    monkeypatch.delattr(os, "fork", raising=False)
    reader = read_apart(folders["chatml"], "x")
    assert not reader.facts.has_chat_template and reader.tokenizer.chat_template is None


MADE_HARMLESS = {
    "loops": r"takes more than 1 seconds on this text in its chat template and was ended; do without the template, or",
    "doubles": r"breaks down on this text in its chat template, or needs more than the 100 MB .*; do without",
    "multiplies": r"breaks down on this text in its chat template, or needs more than the 100 MB",
    "pads": r"breaks down on this text in its chat template, or needs more than the 100 MB",
    "writes": r"writes 150,\d+ characters around this text, where at most 100,000 are read; do without",
    "recurs": r"cannot be applied to this text \(RecursionError",
    "classes": r"cannot be applied to this text \(SecurityError",
    "globals": r"cannot be applied to this text \((SecurityError|UndefinedError)",
    "formats": r"cannot be applied to this text \(SecurityError",
    "maps": r"does not write the sentences in their order",
    "includes": r"cannot be applied to this text \(TypeError",
    "imports": r"cannot be applied to this text \(TypeError",
    "changes": r"cannot be applied to this text \(SecurityError",
    "raises": r"cannot be applied to this text \(TemplateError: Roles must\); do without",
    "broken": r"cannot be applied to this text \(TemplateSyntaxError",
    "forgets": r"does not write the sentences in their order; do without",
    "repeats": r"writes a sentence more than once; do without",
    "shouts": r"does not write the sentences in their order",
    "knows": r"does not write this text as it is; do without",
}


@forks
@pytest.mark.parametrize("template", TEMPLATES)
def test_what_a_template_does_is_one_sentence_and_the_next_text_is_read(template, folders, tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "TOKENIZER_BYTES", 100 * 10**6)
    monkeypatch.setattr(limits, "TOKENIZER_SECONDS", 1 if template == "loops" else 60)
    folder = hostile_tokenizers.chats(folders["none"], tmp_path / "it", template)
    reader = ChildReader(folder, "lab/it")
    before = reader.pair(HARMLESS, None, 100)
    touched = tmp_path / "touched"
    for _ in range(2):
        with pytest.raises(CheckpointError, match=f"of lab/it {MADE_HARMLESS[template]}") as told:
            reader.chat(str(touched), None, 100, True)
        assert "\n" not in str(told.value) and len(str(told.value)) < 500
        assert "root:" not in str(told.value)
        assert reader.pair(HARMLESS, None, 100) == before
    assert not touched.exists()
