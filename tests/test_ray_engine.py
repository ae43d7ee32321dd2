"""Ray gives what this process gives, bit for bit, also when a worker or the driver is killed in the middle."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from attnflow import SelectionError, corpus_statistics, open_corpus, open_texts
from attnflow.corpus import ray_engine
from attnflow.errors import EndedError
from attnflow.records.texts import Text
from tests.test_corpus_statistics import assert_same

TOP = Path(__file__).parent.parent
NAMES = ["surface", "head_distances", "agreement", "importance"]
SETTINGS = {"part_size": 8, "probes": 8}


@pytest.fixture(scope="module")
def ray():
    """A Ray with two processors, which no other process can join."""
    before = dict(os.environ)
    os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32), "RAY_USAGE_STATS_ENABLED": "0"}
    import ray

    ray.init(address="local", num_cpus=2, object_store_memory=10**8, include_dashboard=False, log_to_driver=False)
    yield ray
    ray.shutdown()
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="module")
def texts():
    return open_texts("demo/pairs", rows=32)


@pytest.fixture(scope="module")
def expected(texts):
    """What this process makes of them, on one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield corpus_statistics("demo/finetuned", texts, NAMES, **SETTINGS)
    torch.set_num_threads(threads)


def ancestors(process: int) -> list[int]:
    found = []
    while process > 1:
        found.append(process)
        try:
            process = int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            break
    return found


def workers_of(driver: int) -> list[int]:
    """Processes that hold a model for a driver."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            title = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if title.startswith(b"ray::PartWorker") and driver in ancestors(int(folder.name)):
            found.append(int(folder.name))
    return found


def test_a_worker_that_is_killed_in_the_middle_changes_nothing(ray, texts, expected, tmp_path):
    killed = []

    def kill(what, share):
        if share > 0.1 and not killed:
            killed.extend(workers_of(os.getpid())[:1])
            assert killed, "no worker to kill"
            os.kill(killed[0], signal.SIGKILL)

    found = corpus_statistics(
        "demo/finetuned", texts, NAMES, engine="ray", workers=2, out=tmp_path, progress=kill, **SETTINGS
    )
    assert killed and killed[0] not in workers_of(os.getpid())
    assert_same(found, expected)


def test_what_a_worker_cannot_do_is_told_and_ends_the_run(ray, texts, tmp_path):
    """By its sentence, not by Ray's report; afterwards no worker is left."""

    def remove(what, share):
        shutil.rmtree(tmp_path / "found")

    with pytest.raises(SelectionError, match=r"part-.* cannot be written .*No such file"):
        corpus_statistics(
            "demo/finetuned",
            texts,
            ["surface"],
            engine="ray",
            workers=1,
            out=tmp_path / "found",
            progress=remove,
            **SETTINGS,
        )

    deadline = time.monotonic() + 30
    while workers_of(os.getpid()) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not workers_of(os.getpid())


def test_without_a_folder_workers_send_what_they_found(ray, texts):
    names, options = ["surface"], {"engine": "ray", "workers": 1}
    found, here = (corpus_statistics("demo/finetuned", texts, names, **more) for more in (options, {}))
    assert_same(found, here)


def test_a_part_that_ends_its_worker_again_and_again_is_named():
    class Died(Exception):
        pass

    def get(result):
        raise Died("The actor died unexpectedly")

    pool = object.__new__(ray_engine._Pool)
    pool._ray = SimpleNamespace(exceptions=SimpleNamespace(RayTaskError=KeyError, RayActorError=Died), get=get)
    pool._run = SimpleNamespace(task=lambda number: SimpleNamespace(texts=[Text("t8", "He read it.")]))
    with pytest.raises(EndedError, match=r"The 1 texts from 't8' ended the process that read them 4 times.*is kept"):
        pool._content(1, None)


def test_a_driver_that_is_killed_leaves_what_is_done_and_another_goes_on(texts, expected, tmp_path):
    out = tmp_path / "found"
    words = [
        "corpus",
        "demo/finetuned",
        "demo/pairs",
        "--rows",
        "32",
        "--part",
        "8",
        "--probes",
        "8",
        "--out",
        str(out),
    ]
    command = [sys.executable, "-m", "attnflow", *words, "--statistics", *NAMES]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, cwd=TOP, env=environment, stderr=subprocess.DEVNULL) as driver:
        deadline = time.monotonic() + 120
        while not list(out.glob("part-*")) and time.monotonic() < deadline and driver.poll() is None:
            time.sleep(0.05)
        driver.kill()
    kept = {path.name: path.stat().st_mtime_ns for path in out.glob("part-*")}
    assert 0 < len(kept) < 4 and not (out / "corpus.json").exists()
    shares = []
    found = corpus_statistics(
        "demo/finetuned", texts, NAMES, out=out, progress=lambda what, share: shares.append(share), **SETTINGS
    )
    assert_same(found, expected)
    assert_same(open_corpus(out), expected)
    assert shares[0] >= 8 / 32  # it begins with what was kept
