"""The bound on disk: what was used longest ago goes first, never what is in use or what another program put there."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from attnflow import CheckpointError, limits, load_checkpoint
from attnflow.checkpoints import hub_storage

LIMIT = 1000


def download(cache: Path, name: str, size: int, *, age: float = 0.0, ours: bool = True) -> Path:
    """A repository on disk that was used some seconds ago."""
    folder = cache / name
    if ours:
        hub_storage.note_use(folder)
    (folder / "blobs").mkdir(parents=True)
    (folder / "blobs" / "a").write_bytes(b"x" * size)
    if ours:
        then = time.time() - age
        os.utime(folder / ".attnflow", (then, then))
    return folder


def test_what_was_used_longest_ago_goes_first(tmp_path):
    old, new = download(tmp_path, "models--a", 400, age=20), download(tmp_path, "models--b", 400, age=10)
    with hub_storage.using(tmp_path, tmp_path / "models--c", 500, LIMIT):
        assert not old.exists()
        assert new.exists()
    download(tmp_path, "models--d", 400, age=30)
    hub_storage.note_use(new)
    with hub_storage.using(tmp_path, old, 500, LIMIT):
        assert new.exists()
        assert not (tmp_path / "models--d").exists()


def test_what_fits_removes_nothing(tmp_path):
    other = download(tmp_path, "models--a", 500, age=20)
    again = download(tmp_path, "models--b", 500, age=10)
    with hub_storage.using(tmp_path, again, 500, LIMIT):  # what is there of it already is not counted twice
        assert other.exists()
        assert again.exists()


def test_what_is_in_use_stays(tmp_path):
    busy = download(tmp_path, "models--busy", 600, age=100)
    with hub_storage.using(tmp_path, busy, 600, LIMIT):
        with pytest.raises(CheckpointError, match="taken by checkpoints that are being loaded"):
            hub_storage.using(tmp_path, tmp_path / "models--new", 600, LIMIT).__enter__()
        assert busy.exists()
    with hub_storage.using(tmp_path, tmp_path / "models--new", 600, LIMIT):
        assert not busy.exists()


def test_what_is_held_stays(tmp_path):
    held = download(tmp_path, "models--held", 600, age=100)
    with hub_storage.holding(held), pytest.raises(CheckpointError, match="taken by checkpoints"):
        hub_storage.using(tmp_path, tmp_path / "models--new", 600, LIMIT).__enter__()
    assert held.exists()


def test_a_failure_frees_what_was_in_use(tmp_path):
    folder = download(tmp_path, "models--a", 600)
    with pytest.raises(RuntimeError), hub_storage.using(tmp_path, folder, 600, LIMIT):
        raise RuntimeError
    with pytest.raises(CheckpointError, match=r"takes 0 MB of disk; this machine keeps at most 0 MB"):
        hub_storage.using(tmp_path, folder, LIMIT + 1, LIMIT).__enter__()
    with hub_storage.using(tmp_path, tmp_path / "models--b", LIMIT, LIMIT):
        assert not folder.exists()


def test_downloads_of_other_programs_are_never_touched(tmp_path):
    theirs = download(tmp_path, "models--theirs", 5000, ours=False)
    hub_storage.note_use(theirs)  # using it makes it none of ours
    assert hub_storage.downloaded(tmp_path) == []
    with hub_storage.using(tmp_path, tmp_path / "models--new", LIMIT, LIMIT):
        assert theirs.exists()


def test_private_downloads_count_and_outlive_no_sign_in(tmp_path):
    ended = download(tmp_path / "private" / "one", "models--a", 10, age=30 * 3600)
    recent = download(tmp_path / "private" / "two", "models--a", 10, age=3600)
    public = download(tmp_path, "models--a", 10, age=30 * 3600)
    with hub_storage.using(tmp_path, tmp_path / "models--new", 10, LIMIT):
        assert [folder.exists() for folder in (ended, recent, public)] == [False, True, True]


def test_what_a_killed_download_left_is_swept(tmp_path):
    ours, busy = (download(tmp_path, f"models--{name}", 10) for name in ("ours", "busy"))
    private = download(tmp_path / "private" / "one", "models--a", 10)
    theirs = download(tmp_path, "models--theirs", 10, ours=False)
    left = [folder / "blobs" / "b.incomplete" for folder in (ours, private, busy, theirs)]
    for path in left:
        path.write_bytes(b"x" * 400)
        os.utime(path, (time.time() - 3600,) * 2)
    growing = ours / "blobs" / "c.incomplete"  # by another process
    growing.write_bytes(b"x")
    assert hub_storage.size(ours) > 400, "it counts until then"
    with hub_storage.holding(busy), hub_storage.using(tmp_path, tmp_path / "models--new", 10, LIMIT):
        assert [path.exists() for path in left] == [False, False, True, True]
    assert growing.exists() and (ours / "blobs" / "a").exists()


def test_threads_load_within_the_bound(tmp_path):
    wrong = []

    def work(index: int) -> None:
        for turn in range(20):
            folder = tmp_path / f"models--{(index + turn) % 6}"
            try:
                with hub_storage.using(tmp_path, folder, 200, LIMIT):
                    (folder / "file").write_bytes(b"x" * 200)
                    time.sleep(0.001)
                    if not (folder / "file").exists():
                        wrong.append(folder)
            except Exception as error:
                wrong.append(error)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.usefixtures("empty_caches")
def test_loading_checkpoints_keeps_to_the_bound(hub, folders, monkeypatch, tmp_path):
    size = sum(path.stat().st_size for path in folders["bert"].iterdir())
    monkeypatch.setattr(limits, "DISK_BYTES", int(2.5 * size))
    names = [f"disk/bert-{number}" for number in range(3)]
    for name in names:
        hub.add(name, folders["bert"])
    theirs = download(tmp_path / "hub", "models--disk--theirs", 5 * size, ours=False)
    for name in (names[0], names[1], names[0], names[2]):
        load_checkpoint(name)
    kept = {folder.name for folder in hub_storage.downloaded(tmp_path / "hub")}
    assert kept == {"models--disk--bert-0", "models--disk--bert-2"}
    assert theirs.exists()
    assert load_checkpoint(names[1]).name == names[1]  # from memory, although its files are gone
    monkeypatch.setattr(limits, "DISK_BYTES", size // 2)
    hub.add("disk/large", folders["roberta"])
    with pytest.raises(CheckpointError, match="of disk; this machine keeps at most"):
        load_checkpoint("disk/large")
