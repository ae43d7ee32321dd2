"""The endpoint of heads that follow a treebank says what the library says of the same."""

from __future__ import annotations

import json

import pytest
from gradio_client import handle_file

from attnflow import corpus_statistics, open_texts
from attnflow.bundled import ASSETS
from attnflow.web.answering import Told
from attnflow.web.endpoints.grammar import dependency_heads as endpoint


@pytest.mark.parametrize("subtypes", [True, False])
def test_it_tells_every_relation_with_its_head_and_its_offset(subtypes):
    answer = endpoint("demo/finetuned", rows=80, pooling="first", subtypes=subtypes)
    json.dumps(answer, allow_nan=False)
    texts = open_texts("demo/sentences", rows=80)
    found = corpus_statistics("demo/finetuned", texts, ["dependencies"], pooling="first", max_tokens=128)[
        "dependencies"
    ]
    assert answer["texts"]["fingerprint"] == texts.fingerprint
    assert (answer["sentences"], answer["left_out"], answer["pooling"]) == (80, found.left_out, "first")
    found = found if subtypes else found.universal()
    told = {row["relation"]: row for row in answer["relations"]}
    assert set(told) == {"all", *(name for name in found.relations if found.n[name] >= 20)}
    counts = [row["n"] for row in answer["relations"][1:]]
    assert counts == sorted(counts, reverse=True)
    assert ("nmod:poss" in found.relations) == subtypes
    for name, row in told.items():
        for own, expected in ((row["best"], found.best(name)), (row["baseline"], found.baseline(name))):
            for key, share in (("accuracy", expected.on_all), ("held_out", expected.held_out)):
                assert own[key]["n"] == share.n == found.n[name]
                assert own[key]["share"] == pytest.approx(share.share, rel=1e-3)
                assert own[key]["interval"] == pytest.approx(share.interval, rel=1e-3)
        best = found.best(name)
        assert [row["best"][key] for key in ("layer", "head", "direction")] == [best.layer, best.head, best.direction]
        assert row["baseline"]["offset"] == found.baseline(name).offset


def test_a_treebank_is_sent_and_texts_without_trees_are_refused(client, tmp_path):
    with pytest.raises(Told, match="No text has a dependency tree"):
        endpoint("demo/finetuned", "demo/pairs", 10)
    with pytest.raises(Told, match="A file has no configurations, splits"):
        endpoint("demo/finetuned", split="dev")
    file = tmp_path / "mine.conllu"
    blocks = (ASSETS / "demo" / "sentences.conllu").read_text(encoding="utf-8").split("\n\n")[:30]
    file.write_text("\n\n".join(blocks) + "\n\n", encoding="utf-8")
    answer = client.predict("demo/finetuned", file=handle_file(str(file)), api_name="/dependency_heads")
    assert answer["texts"]["source"] == "mine.conllu" and answer["sentences"] == 30
