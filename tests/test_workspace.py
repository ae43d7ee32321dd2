"""The workspace: each analysis once, within its limits of work and time, and only while somebody waits for it."""

from __future__ import annotations

import pickle
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from attnflow import CheckpointError, SelectionError, capture, encode, load_checkpoint, progress
from attnflow.cache import BoundedCache
from attnflow.errors import GoneError, TextError, TooLongError, UnsupportedArchitectureError
from attnflow.methods.saliency.methods import METHODS
from attnflow.service import visitors
from attnflow.service.analyses import attribution, heads, saliency
from attnflow.service.analyses.work import forward
from attnflow.service.bounds import encode_bounded, reading
from attnflow.service.case import Case, ModelCard
from attnflow.service.places import Places
from attnflow.service.registry import Analysis, Parameter
from attnflow.service.workspace import Workspace, _size
from tests.checkpoints import make_checkpoint

PAIR = ("Anna lent Paul a book.", "Paul borrowed a book from Anna.")


def make(**options):
    """A workspace of its own."""
    settings = {"case_bytes": 10**8, "result_bytes": 10**7, "most_operations": 1e13, "most_seconds": 60.0}
    return Workspace(places=Places(2, 1, 20, 20), **settings | options)


@pytest.fixture(scope="module")
def case():
    return make().case("demo/finetuned", *PAIR)


def counted(calls, **options):
    """An analysis that remembers its calls and gives what it was asked."""

    def compute(case, number):
        calls.append(number)
        return np.array([number])

    parameter = Parameter("number", int, 1, "A number.")
    return Analysis("counted", "Counts.", compute, (parameter,), **{"work": lambda case, number: 1.0} | options)


def at_size_of_bert(case, *, n_tokens):
    """The case as if it were one of BERT-base; for what is told before anything runs."""
    card = replace(case.card, n_layers=12, n_heads=12, width=768, n_parameters=109_000_000, n_embedded=24_000_000)

    class Sized(Case):
        @property
        def n_tokens(self):
            return n_tokens

    return Sized(card, case.encoding, case.trace, workspace=case.workspace)


def test_a_checkpoint_that_left_the_memory_is_loaded_before_it_takes_the_place_of_others(monkeypatch):
    workspace, working = make(), []
    case = workspace.case("demo/finetuned", "Anna met Paul.")
    found = case.checkpoint
    gone = replace(case, loaded=None)

    def load(ref):
        working.append(len(workspace.places._working))
        return found

    monkeypatch.setattr("attnflow.service.case.open_checkpoint", load)
    assert workspace.get(heads.IMPORTANCE, gone, method="gate") is not None
    assert working and not any(working), "whoever waits for a place would wait for the Hub"


# ---- once, and kept


def test_an_analysis_is_computed_once_for_each_of_its_values(case):
    calls, workspace = [], make()
    analysis = counted(calls)
    assert workspace.get(analysis, case) is workspace.get(analysis, case, number=1)
    workspace.get(analysis, case, number=2)
    assert calls == [1, 2]
    workspace.get(analysis, case, number=True)  # equal to 1, but another question
    assert calls == [1, 2, True]
    with pytest.raises(TypeError, match="counted has no parameter wrong"):
        workspace.get(analysis, case, wrong=1)


def test_what_is_of_a_checkpoint_serves_all_its_texts_but_not_with_other_heads_off():
    calls, workspace = [], make()
    cases = [workspace.case("demo/finetuned", text) for text in ("Anna met Paul.", "Paul met Anna.")]
    cases.append(workspace.without(cases[0], [(0, 0)]))
    for case in cases:
        workspace.get(counted(calls, of_checkpoint=True), case)
    assert calls == [1, 1]
    for case in cases:
        workspace.get(counted(calls), case)
    assert len(calls) == 5


def test_a_case_is_what_the_library_computes_and_comes_from_memory():
    workspace = make()
    case = workspace.case("demo/finetuned", *PAIR, pruned=[(1, 2)])
    trace = capture(case.checkpoint, encode(case.checkpoint, *PAIR), pruned=[(1, 2)])
    np.testing.assert_array_equal(case.trace.attention, trace.attention)
    assert case.pruned == {(1, 2)} and workspace.recall(case.key) is case
    assert workspace.case("demo/finetuned", *PAIR, pruned=[(1, 2)]) is case
    assert workspace.without(case, [(1, 2)]) is case
    assert workspace.without(case, []).pruned == frozenset()


def test_a_card_knows_what_a_pass_looks_up_instead_of_multiplying(case):
    embeddings = case.checkpoint.model.get_input_embeddings().weight.numel()
    assert embeddings <= case.card.n_embedded < case.card.n_parameters
    assert ModelCard.of(case.checkpoint) == case.card


def test_steps_are_kept_under_the_values_they_are_of(case):
    workspace = make()
    found = list(workspace.steps(attribution.CONTRIBUTIONS, case, probes=8))
    assert [one.probes for one in found] == [2, 4, 8]
    assert workspace.get(attribution.CONTRIBUTIONS, case, probes=4) is found[1]
    assert list(workspace.steps(attribution.CONTRIBUTIONS, case, probes=8)) == [found[-1]]


def test_a_result_counts_with_all_its_arrays_however_it_is_put_together(case):
    mean = case.ask(heads.IMPORTANCE, method="gate")
    assert _size(mean) == mean.values.nbytes > 0
    report = case.ask(saliency.REPORT)
    answers = sum(one.values.nbytes for one in report.answers)
    assert _size(report) - _size(replace(report, answers=())) >= answers > 0
    workspace = make(result_bytes=mean.values.nbytes // 2)
    workspace.get(heads.IMPORTANCE, case, method="gate")
    assert len(workspace._results) == 0, "it alone is more than the memory for results"


# ---- how much


def test_too_much_work_is_refused_before_it_begins_with_what_to_ask_for_instead(case):
    calls = []
    costly = counted(calls, work=lambda case, number: 1e12 * number, remedy=lambda case, most, number: "give number=5")
    workspace = make(most_operations=5e12)
    workspace.get(costly, case, number=5)
    with pytest.raises(SelectionError, match=r"counted takes about 6\.0 million million .* Please give number=5\."):
        workspace.get(costly, case, number=6)
    assert calls == [5]


def test_the_greedy_curve_of_a_long_text_is_refused_and_its_remedy_is_affordable(case):
    long = at_size_of_bert(case, n_tokens=122)
    workspace = make(most_operations=20e12)
    with pytest.raises(SelectionError, match=r"Please give steps=(\d+) or fewer") as refused:
        workspace.affordable(heads.CURVE, long, order="greedy", steps=64)
    steps = int(str(refused.value).rsplit("steps=", 1)[1].split()[0])
    assert workspace.affordable(heads.CURVE, long, order="greedy", steps=steps) <= 20e12
    with pytest.raises(SelectionError):
        workspace.affordable(heads.CURVE, long, order="greedy", steps=steps + 1)
    assert workspace.affordable(heads.CURVE, long, order="taylor", steps=64) < 20e12


@pytest.mark.parametrize("analysis", [heads.IMPORTANCE, heads.INTERACTIONS, saliency.REPORT, saliency.SALIENCY])
def test_every_analysis_of_bert_at_the_longest_text_is_affordable_and_grows_with_it(case, analysis):
    short, long = (at_size_of_bert(case, n_tokens=size) for size in (16, 128))
    workspace = make(most_operations=20e12)
    assert workspace.affordable(analysis, short) < workspace.affordable(analysis, long) < 20e12


def test_a_pass_takes_about_two_operations_for_each_parameter_and_token(case):
    bert = at_size_of_bert(case, n_tokens=128)
    assert forward(bert) == pytest.approx(2 * 85e6 * 128 + 4 * 12 * 128**2 * 768)


def test_the_costliest_methods_are_left_out_where_all_would_be_too_much(case, monkeypatch):
    case = replace(case, workspace=make(most_operations=20e12))
    assert saliency.affordable_methods(case) == tuple(METHODS)
    large = at_size_of_bert(case, n_tokens=128)
    large = replace(large, card=replace(large.card, n_parameters=340_000_000, n_layers=24, width=1024))
    left = saliency.affordable_methods(large)
    assert "integrated_gradients" not in left and "lrp" in left
    found = saliency.REPORT.compute(case, target="", against="")
    assert found.left_out == ()
    monkeypatch.setattr(saliency, "affordable_methods", lambda case: ("lrp", "influence"))
    found = saliency.REPORT.compute(case, target="", against="")
    assert [one.method.name for one in found.answers] == ["influence", "lrp"] and "Occlusion" in found.left_out
    assert "Too long for this text and checkpoint:" in found.verdict and "Occlusion" in found.verdict
    assert found.absent(METHODS["occlusion"]) == "Occlusion would take too long for this text and checkpoint."
    monkeypatch.undo()
    huge = replace(large, card=replace(large.card, n_parameters=10**12))
    assert len(saliency.affordable_methods(huge)) == 1, "what is asked for is refused as a whole, not left empty"
    less = replace(case, workspace=make(most_operations=4 * forward(case)))
    assert len(saliency.affordable_methods(less)) == 1, "the limit is that of its workspace"
    with pytest.raises(SelectionError, match="million million operations"):
        make().affordable(saliency.REPORT, huge)


# ---- how long, and for whom


def passes(calls, n):
    """An analysis of so many forward passes."""

    def compute(case):
        for _ in range(n):
            capture(case.checkpoint, case.encoding)
            calls.append(1)
        return np.zeros(1)

    return Analysis("passes", "Runs.", compute, work=lambda case: 1.0)


def test_what_takes_too_long_is_ended_with_a_sentence_and_leaves_nothing(case):
    calls, workspace = [], make(most_seconds=0.3)
    before = {name: value.clone() for name, value in case.checkpoint.model.state_dict().items()}
    with pytest.raises(TooLongError, match=r"longer than 0\.3 seconds"):
        workspace.get(passes(calls, 100_000), case)
    assert 0 < len(calls) < 100_000 and len(workspace._results) == 0
    assert all(value.equal(before[name]) for name, value in case.checkpoint.model.state_dict().items())
    workspace.get(passes(calls, 1), case)


@pytest.mark.parametrize("name", ["bert", "deberta-v2", "bloom"])  # by the attention interface, and watched
def test_every_attention_layer_asks_whether_to_go_on(tmp_path, name):
    checkpoint, asked = load_checkpoint(make_checkpoint(tmp_path / name, name)), []

    def end():
        asked.append(1)
        if len(asked) == 2:
            raise TooLongError("ended in the second layer")

    encoding = encode(checkpoint, *PAIR)
    with progress.ending(end), pytest.raises(TooLongError, match="second layer"):
        capture(checkpoint, encoding)
    assert len(asked) == 2
    capture(checkpoint, encoding)


def test_a_long_download_takes_nothing_of_the_time_of_a_request(monkeypatch):
    def slowly(ref):
        time.sleep(0.6)
        return load_checkpoint(ref)

    monkeypatch.setattr("attnflow.service.workspace.open_checkpoint", slowly)
    assert make(most_seconds=0.5).case("demo/finetuned", "Anna met Paul.").n_tokens == 6


@pytest.mark.parametrize(
    "analysis", [heads.IMPORTANCE, heads.CURVE, heads.INTERACTIONS, saliency.REPORT, attribution.CONTRIBUTIONS]
)
def test_every_analysis_that_runs_a_model_can_be_ended(case, analysis):
    with pytest.raises(TooLongError):
        make(most_seconds=-1.0).get(analysis, case)


def test_nothing_more_is_computed_for_a_visitor_who_left(case):
    gone, calls = threading.Event(), []
    workspace = make()

    def ask():
        with visitors.serving(visitors.Visitor("a", left=gone.is_set)):
            workspace.get(passes(calls, 100_000), case)

    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ask)
        while not calls:
            threading.Event().wait(0.01)
        gone.set()
        with pytest.raises(GoneError):
            asked.result(20)
    done = len(calls)
    assert done < 100_000


def test_who_waits_for_what_another_left_computes_it_himself():
    """One flight serves both until its pilot goes."""
    cache, started, leave, made = BoundedCache(10**6, lambda value: 1), threading.Event(), threading.Event(), []

    def first():
        started.set()
        assert leave.wait(10)
        raise GoneError("left")

    def second():
        made.append(1)
        return "found"

    with ThreadPoolExecutor(2) as pool:
        gone = pool.submit(cache.get, "key", first)
        assert started.wait(10)
        stays = pool.submit(cache.get, "key", second)
        threading.Event().wait(0.1)
        leave.set()
        assert stays.result(10) == "found" and made == [1]
        with pytest.raises(GoneError):
            gone.result(10)


def test_a_fault_of_an_analysis_is_one_sentence_and_is_not_kept(case):
    def broken(case):
        raise RuntimeError("no such operation")

    workspace = make()
    for _ in range(2):
        with pytest.raises(UnsupportedArchitectureError, match="cannot follow how BertForSequenceClassification"):
            workspace.get(Analysis("broken", "Fails.", broken, work=lambda case: 1.0), case)


def test_a_case_whose_model_left_the_memory_loads_it_for_the_visitor_who_asks(case, monkeypatch):
    lost = replace(case, loaded=None)
    assert lost.checkpoint.key == case.checkpoint.key
    monkeypatch.setattr(
        "attnflow.service.case.load_bounded", lambda *_, **__: (_ for _ in ()).throw(CheckpointError("refused"))
    )
    with pytest.raises(CheckpointError, match="refused"):
        _ = lost.checkpoint


def test_a_text_that_is_too_long_says_how_it_is_cut_and_survives_a_pickle():
    checkpoint = load_checkpoint("demo/finetuned")
    with pytest.raises(TextError, match=r"cut \(truncate=True\)\.$") as refused:
        encode(checkpoint, "Anna met Paul.", max_tokens=4)
    assert str(pickle.loads(pickle.dumps(refused.value))) == str(refused.value)
    with reading(way="tick a box"), pytest.raises(TextError, match=r"or tick a box\.$"):
        encode_bounded(checkpoint, "word " * 400, None)
