"""ZeroGPU: what is worth a GPU is computed in a process that has one, and elsewhere nothing changes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError

from attnflow.checkpoints.loading import Loading
from attnflow.service import on_gpu, zero_gpu
from attnflow.service.analyses import attribution, expected, heads, saliency, statistics
from attnflow.service.registry import Analysis
from tests.checkpoints import make_checkpoint
from tests.zero_gpu_scheduler import Scheduler

TOP = Path(__file__).parent.parent


class Space:
    """A Space in a process of its own."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.zero_gpu_space"],
            cwd=TOP,
            env=os.environ | {"SPACES_ZERO_GPU": "true", "SPACES_ZERO_DEVICE_API_URL": scheduler.url},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._read()

    def do(self, name: str, *arguments: object):
        """Call a function of `tests.zero_gpu_space` there."""
        self._process.stdin.write(json.dumps([name, arguments]) + "\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self):
        return json.loads(self._process.stdout.readline())

    def close(self) -> int:
        """End it; how it exits."""
        self._process.stdin.close()
        return self._process.wait(30)


@pytest.fixture(scope="module")
def scheduler():
    made = Scheduler()
    yield made
    made.close()


@pytest.fixture(scope="module")
def running(scheduler):
    """The Space, which leaves nothing behind when it ends."""
    space = Space(scheduler)
    yield space
    forked = [int(given["pid"]) for given in scheduler.asked("/allow")]
    assert space.close() == 0
    end = time.monotonic() + 10
    while (left := [pid for pid in forked if Path(f"/proc/{pid}").exists()]) and time.monotonic() < end:
        time.sleep(0.05)  # who was told to end is given a moment
    assert left == []


@pytest.fixture
def space(running, scheduler):
    """The same, where a GPU is to be had until a test says otherwise; each that was given comes back."""
    scheduler.answers = ["gpu"]
    scheduler.log.clear()
    yield running
    assert scheduler.settled()


def test_the_process_that_serves_the_page_stays_as_it_is(running, scheduler):
    assert [given for path, given in scheduler.log if path == "/startup-report"] == [{}]
    found = running.do("here")
    assert found == {
        "ready": True,
        "spaces": False,
        "cuda": "torch.cuda",
        "device": "cpu",
        "auto": "cpu",
        "pid": found["pid"],
    }


def test_a_function_runs_in_a_process_with_a_gpu_that_is_used_again(space, scheduler):
    found = []
    for name in ("one", "two"):
        found.append(space.do("ran_for", f"signed.e30.{name}", f"hf_{name}")["found"][0])
        assert scheduler.settled()
    first, second = found
    assert first["pid"] == second["pid"] != space.do("here")["pid"]
    assert [given["pid"] for given in scheduler.asked("/allow")] in ([], [str(first["pid"])])
    assert first["own"] == "torch.cuda"  # what `spaces` replaces is itself again there
    assert [given.get("token") for given in scheduler.asked("/schedule")] == ["signed.e30.one", "signed.e30.two"]
    assert {given["durationSeconds"] for given in scheduler.asked("/schedule")} == {"30"}
    for found in (first, second):  # whose token is whose is no business of that process
        assert (found["token"], found["name"]) == (None, None)


def test_what_is_told_there_is_told_here_and_arrays_stay_read_only(space):
    assert space.do("ran", "slow", 0.5, 0.25) == {"found": [0.5], "told": [["Waiting for a GPU", 0], ["slow", 0.25]]}
    assert space.do("ran", "arrays")["found"] == ["False"]


@pytest.mark.parametrize(
    ("answers", "says"),
    [
        (
            "quota",
            "ZeroGPU quota exceeded: You have exceeded your free ZeroGPU quota (30s requested vs. 12s left). Try",
        ),
        ("too_long", "ZeroGPU illegal duration: The requested GPU duration (30s) is larger than the maximum allowed"),
        ("none", "ZeroGPU client error: No GPU was available"),
        ("fails", "ZeroGPU queue timeout: No GPU was available after 60s"),
        ("broken", "RuntimeError: ZeroGPU API /schedule error: 500 (Internal Server Error)"),
    ],
)
def test_what_zero_gpu_refuses_is_one_sentence(space, scheduler, answers, says):
    scheduler.answers = [answers]
    found = space.do("ran_for", "signed.e30.somebody", "hf_own")
    assert found["error"] == "NoGpuError"
    assert found["says"].startswith(f"No GPU computes this ({says}")
    assert found["says"].endswith("what takes fewer than 300 thousand million operations needs none.")
    assert "href" not in found["says"]


def test_who_has_no_time_of_his_own_is_told_nothing_of_examples(space, scheduler):
    scheduler.answers = ["quota"]
    said = space.do("ran", "facts")["says"]
    assert "(ZeroGPU quota exceeded: Space app has reached its GPU limit). Try again later, or" in said
    assert "examples" not in said


def test_who_waits_in_the_queue_gets_a_gpu(space, scheduler):
    scheduler.answers = ["waits"]
    assert space.do("ran", "slow", 0.1)["found"] == [0.1]


@pytest.mark.parametrize(
    ("kind", "error", "says"),
    [
        ("ours", "SelectionError", "This is how a selection is refused."),
        ("memory", "NoRoomError", "The GPU has no memory left for demo/finetuned"),
        ("theirs", "ValueError", "not ours"),
        ("killed", "NoGpuError", "No GPU computes this (ZeroGPU worker error: GPU task aborted). Try again later"),
    ],
)
def test_what_fails_there_fails_here(space, kind, error, says):
    found = space.do("ran", "fails", kind)
    assert (found["error"], found["says"][: len(says)]) == (error, says)
    assert space.do("ran", "slow", 0.0)["found"] == [0.0]  # and nothing else does


def test_who_cancels_does_not_wait_and_gives_the_gpu_back(space, scheduler):
    found = space.do("cancelled", 0.5, 60)
    assert found["error"] == "CancelledError" and found["seconds"] < 5
    assert scheduler.settled()
    scheduler.answers = ["holds", "gpu"]  # in the queue, too: it gets one for nothing, and gives it back
    found = space.do("cancelled", 0.5, 60)
    assert found["error"] == "CancelledError" and found["seconds"] < 3
    found = space.do("too_long", 0.5, 60)
    assert found["error"] == "TooLongError" and "the most that this machine gives one request" in found["says"]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("saliency", {"method": "lrp"}),
        ("saliency", {"method": "integrated_gradients", "target": "supported"}),
        ("faithfulness", {}),
        ("head_importance", {"method": "gate"}),
        ("head_importance", {"method": "ablation"}),
        ("pruning_curve", {"steps": 3}),
        ("head_interactions", {"layer": 0, "head": 1}),
        ("contributions", {"wrt": "previous_layer"}),
        ("contributions", {"wrt": "input"}),
        ("entropy", {}),
    ],
)
def test_an_analysis_says_the_same_there(space, scheduler, name, values):
    found = space.do("analysed", "demo/finetuned", name, values, [(1, 0)])
    assert found.get("arrays"), found
    assert found.get("off", 1) < 1e-5, found
    assert scheduler.asked("/schedule") and scheduler.settled()
    given = len(scheduler.asked("/schedule"))
    space.do("analysed", "demo/finetuned", name, values, [(1, 0)])
    assert len(scheduler.asked("/schedule")) == given  # what is known is not computed again


def test_a_token_s_prediction_is_the_one_that_is_meant(space):
    found = space.do("analysed", "masked", "saliency", {"method": "lrp"}, [], 4)
    assert found.get("off", 1) < 1e-5, found
    found = space.do("analysed", "masked", "expected_tokens", {})
    assert found.get("off", 1) < 1e-5, found


def test_steps_come_one_by_one_and_are_kept(space, scheduler):
    assert space.do("stepped", "demo/pretrained", 8) == {"probes": [2, 4, 8], "kept": 8}
    assert len(scheduler.asked("/schedule")) == 1


def test_little_work_is_done_without_a_gpu(space, scheduler):
    assert space.do("small", "demo/finetuned")["values"] > 5
    assert scheduler.asked("/schedule") == []


def test_a_private_model_stays_with_whom_its_token_opened(space, scheduler, hub, tmp_path):
    hub.clear_faults()
    hub.add("lent/private", make_checkpoint(tmp_path / "bert", "bert"), private_to="hf_owner")
    asked = len(hub.requests)
    found = space.do("analysed", "lent/private", "saliency", {"method": "lrp"}, (), None, "hf_owner")
    assert found.get("off", 1) < 1e-5, found
    assert {request.authorization for request in hub.requests[asked:]} <= {"Bearer hf_owner", None}
    for token in ("hf_other", None):
        found = space.do("analysed", "lent/private", "saliency", {"method": "lrp"}, (), None, token)
        assert found["error"] == "CheckpointError"


def test_a_call_of_an_endpoint_takes_the_time_of_who_calls(space, scheduler):
    """The last one: from here on all that runs a model asks for a GPU."""
    headers = {"x-ip-token": "signed.e30.caller"}
    with closing(Client(space.do("serve"), verbose=False, headers=headers)) as client:
        ask = partial(client.predict, "demo/finetuned", "Anna sold a lamp.", api_name="/saliency")
        assert len(ask(method="input_gradient")["values"]) > 5
        assert {given.get("token") for given in scheduler.asked("/schedule")} == {"signed.e30.caller"}
        assert len(scheduler.asked("/schedule")) == 2  # what is recorded, and what is said of it
        scheduler.answers = ["quota"]
        with pytest.raises(AppError, match=r"No GPU computes this \(ZeroGPU quota exceeded: You have exceeded your"):
            ask(method="lrp")


def test_every_analysis_that_runs_a_model_can_be_lent_a_gpu():
    made = {
        one.name
        for module in (attribution, expected, heads, saliency, statistics)
        for one in vars(module).values()
        if isinstance(one, Analysis) and one is not attribution.AGREEMENT
    } | {table.over_texts.name for table in statistics.HEAD_TABLES.values()}
    assert made == set(on_gpu.ANALYSES)


def test_elsewhere_nothing_is_prepared(monkeypatch):
    for value in ("", "false"):
        monkeypatch.setenv("SPACES_ZERO_GPU", value)
        zero_gpu.prepare()
        assert not zero_gpu.ready()
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    monkeypatch.setattr(zero_gpu, "find_spec", lambda name: None)
    zero_gpu.prepare()
    assert not zero_gpu.ready() and not on_gpu.worth(1e30)


def test_a_gpu_that_spaces_speaks_for_is_none_of_this_process(monkeypatch):
    def spoken_for():
        return True

    spoken_for.__module__ = "spaces.zero.torch.patching"
    monkeypatch.setattr("torch.cuda.is_available", spoken_for)
    assert Loading(lambda model, n_layers: True).place().type == "cpu"
