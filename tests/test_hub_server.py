"""Tests of the imitated Hub through the functions of huggingface_hub that load models."""

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import numpy as np
import pytest
from huggingface_hub import HfApi, constants, hf_hub_download, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    IncompleteSnapshotError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import _detect_agent, close_session
from safetensors.numpy import load_file, save_file

from tests.hub_server import HubServer

REPO = "team/model"
CONFIG = {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "vocab_size": 7}
WEIGHTS = {"a": np.arange(12, dtype=np.float32).reshape(3, 4), "b": np.ones(5, dtype=np.float16)}
OWNER, OTHER = "hf_owner", "hf_other"


@pytest.fixture(autouse=True)
def direct_connection(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Gives huggingface_hub a new client that uses no proxy for the local server, and leaves none behind."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    # It would ask the real Hub once for this list, as that is no call with endpoint=.
    monkeypatch.setattr(_detect_agent, "_registry", _detect_agent._EMPTY_REGISTRY)
    close_session()
    yield
    close_session()


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Replaces the waits of the client between retries; returns the seconds it wanted to wait."""
    seconds: list[float] = []
    monkeypatch.setattr(time, "sleep", seconds.append)
    return seconds


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with HubServer() as server:
        yield server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    (path / "extra").mkdir(parents=True)
    (path / "config.json").write_text(json.dumps(CONFIG))
    (path / "extra" / "a note.txt").write_text("hello")
    save_file(WEIGHTS, path / "model.safetensors")
    return path


class Client:
    """Calls huggingface_hub with the endpoint, a cache and a token of the test."""

    def __init__(self, hub: HubServer, cache: Path) -> None:
        self.hub = hub
        self.cache = cache

    def api(self, token: str | bool = False) -> HfApi:
        return HfApi(endpoint=self.hub.url, token=token)

    def snapshot(
        self,
        repo: str = REPO,
        token: str | bool = False,
        revision: str | None = None,
        allow_patterns: str | None = None,
        local_files_only: bool = False,
    ) -> Path:
        return Path(
            snapshot_download(
                repo,
                revision=revision,
                allow_patterns=allow_patterns,
                local_files_only=local_files_only,
                token=token,
                endpoint=self.hub.url,
                cache_dir=self.cache,
            )
        )

    def file(
        self,
        name: str = "config.json",
        repo: str = REPO,
        token: str | bool = False,
        revision: str | None = None,
        etag_timeout: float = 10,
    ) -> Path:
        return Path(
            hf_hub_download(
                repo,
                name,
                revision=revision,
                token=token,
                endpoint=self.hub.url,
                cache_dir=self.cache,
                etag_timeout=etag_timeout,
            )
        )

    def wrong_files(self) -> list[str]:
        check = self.api().verify_repo_checksums(REPO, cache_dir=self.cache)
        assert check.checked_count == 3
        assert not check.missing_paths
        assert not check.extra_paths
        return [mismatch["path"] for mismatch in check.mismatches]

    def partial_files(self) -> list[Path]:
        return list(self.cache.rglob("*.incomplete"))


@pytest.fixture
def client(hub: HubServer, tmp_path: Path) -> Client:
    return Client(hub, tmp_path / "cache")


def read_all(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# Models that load


@pytest.mark.parametrize("repo", [REPO, "model", "api/a", "revision/model"])
def test_snapshot_has_the_published_files(hub: HubServer, client: Client, folder: Path, repo: str) -> None:
    sha = hub.add(repo, folder)
    snapshot = client.snapshot(repo)
    assert snapshot.name == sha
    assert len(sha) == 40
    assert read_all(snapshot) == read_all(folder)
    np.testing.assert_array_equal(load_file(snapshot / "model.safetensors")["a"], WEIGHTS["a"])
    assert client.file(repo=repo).read_bytes() == (folder / "config.json").read_bytes()


def test_allow_patterns_downloads_only_what_matches(hub: HubServer, client: Client, folder: Path) -> None:
    hub.add(REPO, folder)
    assert set(read_all(client.snapshot(allow_patterns="*.json"))) == {"config.json"}
    assert not any("safetensors" in request.path for request in hub.requests)


def test_model_info(hub: HubServer, client: Client, folder: Path) -> None:
    sha = hub.add(REPO, folder, pipeline_tag="text-generation", license="mit", downloads=3)
    info = client.api().model_info(REPO, files_metadata=True)
    assert (info.id, info.author, info.sha, info.private, info.gated) == (REPO, "team", sha, False, False)
    assert (info.pipeline_tag, info.downloads, info.card_data.license) == ("text-generation", 3, "mit")
    assert info.config == {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"]}
    assert {"transformers", "safetensors", "gpt2", "text-generation", "license:mit"} <= set(info.tags)
    assert info.safetensors.parameters == {"F32": 12, "F16": 5}
    assert info.safetensors.total == 17
    assert info.last_modified.year == 2024
    siblings = {sibling.rfilename: sibling for sibling in info.siblings}
    assert {name: sibling.size for name, sibling in siblings.items()} == {
        name: len(data) for name, data in read_all(folder).items()
    }
    weights = siblings["model.safetensors"]
    assert weights.lfs.size == weights.size
    assert client.file(weights.rfilename).resolve().name == weights.lfs.sha256
    assert siblings["config.json"].lfs is None
    assert client.file().resolve().name == siblings["config.json"].blob_id
    client.snapshot()
    assert client.wrong_files() == []


def test_model_info_without_metadata_of_files(hub: HubServer, client: Client, folder: Path) -> None:
    hub.add(REPO, folder, parameters=10**9)
    info = client.api().model_info(REPO)
    assert [sibling.size for sibling in info.siblings] == [None] * 3
    assert info.safetensors.total == 10**9
    assert (info.card_data, info.pipeline_tag) == (None, None)
    expanded = client.api().model_info(REPO, expand=["gated", "safetensors"])
    assert (expanded.safetensors.total, expanded.gated, expanded.siblings) == (10**9, False, None)


def test_tree(hub: HubServer, client: Client, folder: Path) -> None:
    hub.add(REPO, folder)
    api = client.api()
    sizes = {name: len(data) for name, data in read_all(folder).items()}
    tree = list(api.list_repo_tree(REPO, recursive=True))
    assert {entry.path: entry.size for entry in tree if hasattr(entry, "size")} == sizes
    assert {entry.path for entry in tree} == {*sizes, "extra"}
    assert {entry.path for entry in api.list_repo_tree(REPO)} == {"config.json", "model.safetensors", "extra"}
    assert [entry.path for entry in api.list_repo_tree(REPO, "extra")] == ["extra/a note.txt"]
    with pytest.raises(RemoteEntryNotFoundError):
        list(api.list_repo_tree(REPO, "nothing"))


def test_search(hub: HubServer, client: Client, folder: Path) -> None:
    hub.add("team/Tiny-GPT", folder, downloads=1, pipeline_tag="text-generation")
    hub.add("else/gpt-big", folder, downloads=9)
    hub.add("team/bert", folder, downloads=5)
    hub.add("team/gpt-secret", folder, private_to=OWNER)

    def found(token: str | bool = False, **query: object) -> list[str]:
        return [info.id for info in client.api(token).list_models(**query)]

    assert found(search="gpt") == ["else/gpt-big", "team/Tiny-GPT"]
    assert found(search="gpt", limit=1) == ["else/gpt-big"]
    assert found(search="gpt", author="team") == ["team/Tiny-GPT"]
    assert found(search="gpt", token=OWNER) == ["else/gpt-big", "team/Tiny-GPT", "team/gpt-secret"]
    assert found(pipeline_tag="text-generation") == ["team/Tiny-GPT"]
    assert found(search="nothing like it") == []
    short, full = (next(iter(client.api().list_models(search="bert", full=full))) for full in (False, True))
    assert (short.siblings, short.gated) == (None, None)
    assert (len(full.siblings), full.gated) == (3, False)


# Revisions


def test_a_new_commit_leaves_the_old_one(hub: HubServer, client: Client, folder: Path) -> None:
    old = hub.add(REPO, folder)
    assert client.snapshot().name == old
    (folder / "config.json").write_text("{}")
    new = hub.add(REPO, folder)
    assert old != new == hub.add(REPO, folder)
    snapshot = client.snapshot()
    assert (snapshot.name, (snapshot / "config.json").read_text()) == (new, "{}")
    elsewhere = Client(hub, client.cache / "other")
    assert json.loads((elsewhere.snapshot(revision=old) / "config.json").read_text()) == CONFIG
    assert json.loads(elsewhere.file(revision=old).read_text()) == CONFIG
    assert client.api().model_info(REPO, revision=old).sha == old


def test_branches(hub: HubServer, client: Client, folder: Path) -> None:
    main = hub.add(REPO, folder)
    (folder / "config.json").write_text("{}")
    branch = hub.add(REPO, folder, branch="refs/pr/1")
    assert client.snapshot().name == main
    assert client.snapshot(revision="refs/pr/1").name == branch
    assert client.file(revision="refs/pr/1").read_text() == "{}"
    assert client.api().model_info(REPO).sha == main


@pytest.mark.parametrize("revision", ["nothing", "0" * 40])
def test_missing_revision(hub: HubServer, client: Client, folder: Path, revision: str) -> None:
    hub.add(REPO, folder)
    with pytest.raises(RevisionNotFoundError):
        client.api().model_info(REPO, revision=revision)
    with pytest.raises(RevisionNotFoundError):
        client.snapshot(revision=revision)
    with pytest.raises(RevisionNotFoundError):
        client.file(revision=revision)


def test_missing_file(hub: HubServer, client: Client, folder: Path) -> None:
    sha = hub.add(REPO, folder)
    with pytest.raises(RemoteEntryNotFoundError):
        client.file("nothing.json")
    assert (client.cache / "models--team--model" / ".no_exist" / sha / "nothing.json").exists()


@pytest.mark.parametrize("names", [("model", "team/new-name"), (REPO, "new-name"), ("a", "b")])
def test_renamed(hub: HubServer, client: Client, folder: Path, names: tuple[str, str]) -> None:
    old, new = names
    sha = hub.add(old, folder)
    hub.rename(old, new)
    assert client.api().model_info(old).id == new
    assert read_all(client.snapshot(old)) == read_all(folder)
    assert client.file("extra/a note.txt", old, revision=sha).read_text() == "hello"
    assert httpx2.get(f"{hub.url}/api/models/{old}/tree/main?recursive=true", trust_env=False).status_code == 307
    hub.remove(new)
    with pytest.raises(RepositoryNotFoundError):
        client.api().model_info(old)


# Access


@pytest.mark.parametrize(("token", "status"), [(False, 401), (OTHER, 404)])
@pytest.mark.parametrize("exists", [True, False])
def test_missing_and_private_look_the_same(
    hub: HubServer, client: Client, folder: Path, exists: bool, token: str | bool, status: int
) -> None:
    if exists:
        hub.add(REPO, folder, private_to=OWNER)
    for call in (client.snapshot, client.file):
        with pytest.raises(RepositoryNotFoundError) as caught:
            call(token=token)
        assert not isinstance(caught.value, GatedRepoError)
    with pytest.raises(RepositoryNotFoundError) as caught:
        client.api(token).model_info(REPO)
    assert caught.value.response.status_code == status


def test_private_with_its_token(hub: HubServer, client: Client, folder: Path) -> None:
    hub.add(REPO, folder, private_to=OWNER)
    assert client.api(OWNER).model_info(REPO).private is True
    assert read_all(client.snapshot(token=OWNER)) == read_all(folder)
    assert {request.authorization for request in hub.requests} == {f"Bearer {OWNER}"}


@pytest.mark.parametrize(("token", "status"), [(False, 401), (OTHER, 403)])
def test_gated(hub: HubServer, client: Client, folder: Path, token: str | bool, status: int) -> None:
    hub.add(REPO, folder, gated="manual", allowed_tokens=[OWNER])
    info = client.api(token).model_info(REPO)
    assert info.gated == "manual"
    assert len(info.siblings) == 3
    for call in (client.snapshot, client.file):
        with pytest.raises(GatedRepoError) as caught:
            call(token=token)
        assert caught.value.response.status_code == status
    assert read_all(client.snapshot(token=OWNER)) == read_all(folder)


def test_invalid_token_is_refused_for_public_repos(hub: HubServer, client: Client, folder: Path) -> None:
    hub.add(REPO, folder)
    hub.invalid_tokens.add("hf_expired")
    for call in (client.api("hf_expired").model_info, lambda repo: client.snapshot(repo, "hf_expired")):
        with pytest.raises(HfHubHTTPError) as caught:
            call(REPO)
        assert caught.value.response.status_code == 401
        assert not isinstance(caught.value, RepositoryNotFoundError)


@pytest.mark.parametrize("change", ["private", "gated", "removed"])
def test_the_client_falls_back_to_its_cache_when_access_is_refused(
    hub: HubServer, client: Client, folder: Path, change: str
) -> None:
    """States what huggingface_hub does: whoever may read the cache gets the files, whatever the Hub says."""
    sha = hub.add(REPO, folder)
    client.snapshot()
    if change == "removed":
        hub.remove(REPO)
    else:
        hub.add(REPO, folder, private_to=OWNER if change == "private" else None, gated=change == "gated" and "auto")
    with pytest.raises(RepositoryNotFoundError):
        Client(hub, client.cache / "empty").snapshot()
    assert read_all(client.snapshot()) == read_all(folder)
    assert client.file().exists()
    count = len(hub.requests)
    assert read_all(client.snapshot(revision=sha)) == read_all(folder)
    assert len(hub.requests) == count  # a known sha does not even ask


# Faults


@pytest.mark.parametrize("status", [429, 500, 503])
def test_status(hub: HubServer, client: Client, folder: Path, status: int, waits: list[float]) -> None:
    hub.add(REPO, folder)
    hub.fail(REPO, status=status)
    with pytest.raises(HfHubHTTPError) as caught:
        client.api().model_info(REPO)
    assert caught.value.response.status_code == status
    with pytest.raises(LocalEntryNotFoundError) as missing:
        client.snapshot()
    assert isinstance(missing.value.__cause__, HfHubHTTPError)
    assert waits == []
    with pytest.raises(LocalEntryNotFoundError):
        client.file()
    assert waits == [1, 2, 4, 8, 8]
    hub.clear_faults()
    assert read_all(client.snapshot()) == read_all(folder)


def test_status_of_one_file(hub: HubServer, client: Client, folder: Path) -> None:
    hub.add(REPO, folder)
    hub.fail(REPO, path="model.safetensors", method="GET", status=503)
    with pytest.raises(HfHubHTTPError, match=r"model\.safetensors"):
        client.snapshot()
    assert client.file().exists()
    with pytest.raises(IncompleteSnapshotError, match=r"model\.safetensors"):
        client.snapshot(local_files_only=True)


def test_times_and_headers(hub: HubServer, client: Client, folder: Path, waits: list[float]) -> None:
    hub.add(REPO, folder)
    hub.fail(REPO, path="/resolve", status=429, headers={"RateLimit": '"resolvers";r=0;t=30'}, times=2)
    assert client.file().exists()
    assert waits == [31]
    assert [request.method for request in hub.requests] == ["HEAD", "HEAD", "HEAD", "GET"]


def test_faults_of_kinds_of_requests(hub: HubServer, client: Client, folder: Path, waits: list[float]) -> None:
    hub.add(REPO, folder)
    hub.add("team/second", folder)
    hub.fail(REPO, path="/api/tree", status=500)
    assert client.api().model_info(REPO)
    assert client.file().exists()
    with pytest.raises(LocalEntryNotFoundError):
        Client(hub, client.cache / "empty").snapshot()
    assert client.snapshot("team/second").exists()
    hub.fail("*", path="/api/list", status=500)
    with pytest.raises(HfHubHTTPError):
        list(client.api().list_models(search="team"))
    hub.clear_faults()
    assert len(list(client.api().list_models(search="team"))) == 2


def test_a_cut_download_resumes(
    hub: HubServer, client: Client, folder: Path, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 10)  # the client keeps whole chunks only, of 10 MiB
    hub.add(REPO, folder)
    hub.fail(REPO, path="model.safetensors", cut_after=25, times=2)
    path = client.file("model.safetensors")
    assert path.read_bytes() == (folder / "model.safetensors").read_bytes()
    assert [request.range for request in hub.requests] == [None, None, "bytes=20-", "bytes=40-"]
    assert waits == [1, 1]


def test_a_cut_download_starts_again(hub: HubServer, client: Client, folder: Path, waits: list[float]) -> None:
    hub.add(REPO, folder)
    hub.fail(REPO, path="model.safetensors", cut_after=25, times=1)
    assert read_all(client.snapshot()) == read_all(folder)
    assert {request.range for request in hub.requests} == {None}
    assert waits == [1]


def test_a_download_that_is_always_cut_raises(hub: HubServer, client: Client, folder: Path, waits: list[float]) -> None:
    hub.add(REPO, folder)
    hub.fail(REPO, path="model.safetensors", cut_after=25)
    with pytest.raises(httpx2.RemoteProtocolError):
        client.snapshot()
    assert len(waits) == 5
    assert client.partial_files() == []
    with pytest.raises(IncompleteSnapshotError):
        client.snapshot(local_files_only=True)


def test_a_cut_answer_of_the_api_raises(hub: HubServer, client: Client, folder: Path) -> None:
    hub.add(REPO, folder)
    hub.fail(REPO, path="/api", cut_after=5)
    with pytest.raises(httpx2.RemoteProtocolError):
        client.api().model_info(REPO)
    with pytest.raises(httpx2.RemoteProtocolError):
        client.snapshot()


@pytest.mark.parametrize(
    ("header", "status", "expected", "content_range"),
    [
        ("bytes=2-3", 206, b"ll", "bytes 2-3/5"),
        ("bytes=3-", 206, b"lo", "bytes 3-4/5"),
        ("bytes=-1", 206, b"o", "bytes 4-4/5"),
        ("bytes=1-99", 206, b"ello", "bytes 1-4/5"),
        ("bytes=5-", 416, b"", "bytes */5"),
        ("lines=1-2", 200, b"hello", None),
    ],
)
def test_ranges(
    hub: HubServer, folder: Path, header: str, status: int, expected: bytes, content_range: str | None
) -> None:
    hub.add(REPO, folder)
    url = f"{hub.url}/{REPO}/resolve/main/extra/a%20note.txt"
    reply = httpx2.get(url, headers={"Range": header}, trust_env=False)
    assert (reply.status_code, reply.content, reply.headers.get("Content-Range")) == (status, expected, content_range)


def test_a_corrupt_download_is_not_noticed_by_the_client(hub: HubServer, client: Client, folder: Path) -> None:
    """States what huggingface_hub does: over plain HTTP it compares sizes, not hashes."""
    hub.add(REPO, folder)
    hub.fail(REPO, path="model.safetensors", corrupt=True, times=1)
    received = (client.snapshot() / "model.safetensors").read_bytes()
    published = (folder / "model.safetensors").read_bytes()
    assert [a ^ b for a, b in zip(received, published, strict=True) if a != b] == [0xFF]
    assert client.wrong_files() == ["model.safetensors"]
    assert Client(hub, client.cache / "again").file("model.safetensors").read_bytes() == published


def test_a_corrupt_answer_of_the_api_raises(hub: HubServer, client: Client, folder: Path) -> None:
    hub.add(REPO, folder)
    hub.fail(REPO, corrupt=True, times=1)
    with pytest.raises(ValueError, match=r"decode|Expecting|Invalid"):
        client.api().model_info(REPO)
    assert client.api().model_info(REPO).id == REPO


def test_delay(hub: HubServer, client: Client, folder: Path) -> None:
    hub.add(REPO, folder)
    hub.fail(REPO, delay=0.3, times=2)
    with pytest.raises(httpx2.ReadTimeout):
        client.api().model_info(REPO, timeout=0.05)
    start = time.perf_counter()
    assert client.api().model_info(REPO).id == REPO
    assert time.perf_counter() - start >= 0.3


def test_a_delay_ends_when_the_server_stops(hub: HubServer, client: Client, folder: Path) -> None:
    hub.add(REPO, folder)
    hub.fail(REPO, delay=60)
    timer = threading.Timer(0.1, hub.stop)
    timer.start()
    start = time.perf_counter()
    with pytest.raises((httpx2.NetworkError, httpx2.RemoteProtocolError)):
        client.api().model_info(REPO, timeout=30)
    timer.join()
    assert time.perf_counter() - start < 10


# Without a connection


def test_stopped_and_started_again(hub: HubServer, client: Client, folder: Path, waits: list[float]) -> None:
    sha, url = hub.add(REPO, folder), hub.url
    client.snapshot()
    hub.stop()
    empty = Client(hub, client.cache / "empty")
    with pytest.raises(httpx2.ConnectError):
        client.api().model_info(REPO)
    with pytest.raises(LocalEntryNotFoundError):
        empty.snapshot()
    assert client.snapshot().name == sha
    assert client.file().exists()
    hub.start()
    assert hub.url == url
    assert empty.snapshot().name == sha


def test_offline(hub: HubServer, client: Client, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.add(REPO, folder)
    client.snapshot()
    count = len(hub.requests)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(OfflineModeIsEnabled):
        client.api().model_info(REPO)
    with pytest.raises(LocalEntryNotFoundError):
        Client(hub, client.cache / "empty").snapshot()
    assert read_all(client.snapshot()) == read_all(folder)
    assert len(hub.requests) == count


# The server itself


def test_requests_are_recorded_from_many_threads(hub: HubServer, client: Client, folder: Path) -> None:
    hub.add(REPO, folder)
    api = client.api(OTHER)
    threads = [threading.Thread(target=api.model_info, args=(REPO,)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [(r.method, r.path, r.authorization) for r in hub.requests] == [
        ("GET", f"/api/models/{REPO}", f"Bearer {OTHER}")
    ] * 20


def test_the_sha_depends_on_repo_and_contents_only(folder: Path) -> None:
    first, second = HubServer(), HubServer()
    second.add(REPO, folder / "extra")
    assert first.add(REPO, folder) == second.add(REPO, folder)
    assert first.add(REPO, folder) not in (first.add("other", folder), first.add(REPO, folder / "extra"))


def test_wrong_use() -> None:
    server = HubServer()
    with pytest.raises(RuntimeError):
        _ = server.url
    with pytest.raises(ValueError, match="Give one of"):
        server.fail(REPO)
    with server, pytest.raises(RuntimeError):
        server.start()
    server.stop()


def test_a_folder_without_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="No files"):
        HubServer().add(REPO, tmp_path)
