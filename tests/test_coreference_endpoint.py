"""The endpoint of heads that find antecedents says what the library says of the same."""

from __future__ import annotations

import json

import pytest
from gradio_client import handle_file

from attnflow import corpus_statistics, open_texts
from attnflow.bundled import ASSETS
from attnflow.web.answering import Told
from attnflow.web.endpoints.coreference import coreference_heads as endpoint


def test_it_tells_every_kind_with_its_head_and_the_rules():
    answer = endpoint("demo/finetuned", rows=80, candidates="mentions", pooling="first")
    json.dumps(answer, allow_nan=False)
    texts, more = open_texts("demo/coreference", rows=80), {"pooling": "first", "candidates": "mentions"}
    found = corpus_statistics("demo/finetuned", texts, ["coreference"], max_tokens=128, **more)["coreference"]
    assert answer["texts"]["fingerprint"] == texts.fingerprint
    assert (answer["documents"], answer["left_out"], answer["candidates"]) == (80, 0, "mentions")
    assert [row["kind"] for row in answer["kinds"]] == ["all", "pronoun", "proper", "nominal"]
    over_all = found.best("all")
    for row in answer["kinds"]:
        best = found.best(row["kind"])
        assert (row["n"], row["best"]["layer"], row["best"]["head"]) == (found.n[row["kind"]], best.layer, best.head)
        of_all = found.at(over_all.layer, over_all.head, row["kind"])
        told = [(row["best"]["accuracy"], best.on_all), (row["best"]["held_out"], best.held_out)]
        told += [(share, found.baseline(rule, row["kind"])) for rule, share in row["baselines"].items()]
        for share, expected in [*told, (row["best_of_all"], of_all)]:
            assert share["n"] == expected.n
            assert share["share"] == pytest.approx(expected.share, rel=1e-3)
            assert share["interval"] == pytest.approx(expected.interval, rel=1e-3, abs=1e-6)
        assert row["heads"][best.layer][best.head] == row["best"]["accuracy"]["share"]


def test_a_file_is_sent_and_texts_without_chains_are_refused(client, tmp_path):
    with pytest.raises(Told, match="No text has a chain of two mentions"):
        endpoint("demo/finetuned", "demo/sentences", 10)
    file = tmp_path / "mine.jsonl"
    lines = (ASSETS / "demo" / "pairs.jsonl").read_text(encoding="utf-8").splitlines()[:20]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    answer = client.predict("demo/finetuned", file=handle_file(str(file)), api_name="/coreference_heads")
    assert answer["texts"]["source"] == "mine.jsonl" and answer["documents"] == 20
