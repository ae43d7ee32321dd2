"""A small HTTP server that imitates the parts of the Hugging Face Hub that are used to load models and data sets.

Tests of the real loading code (huggingface_hub, transformers) point HF_ENDPOINT or ``endpoint=`` at it and need no
network. Known differences from the real Hub:

* Large files are served by the server itself, with no redirect to a CDN, and no Xet header is ever sent, so the client
  downloads over plain HTTP.
* The 401 for a repo that is missing or private carries ``X-Error-Code: RepoNotFound``. The real Hub leaves the code
  out, and huggingface_hub recognizes its 401 by the URL, but only if that starts with ``https://``.
* Anything but models and data sets is answered with 404, such as /api/agent-harnesses, which huggingface_hub requests
  once in a process from HF_ENDPOINT.
* Every token is taken for a valid account, except those in ``HubServer.invalid_tokens``.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import re
import socket
import struct
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Literal
from urllib.parse import parse_qs, quote, unquote, urlsplit

Gated = Literal[False, "auto", "manual"]

_LFS_SUFFIXES = (".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".h5", ".msgpack", ".onnx", ".gguf", ".model", ".zip")
_LFS_SIZE = 10 * 1024 * 1024
_LFS_POINTER_SIZE = 134
_API_VERBS = ("revision", "refs", "commits", "tree", "auth-check", "paths-info")
_DATA_SETS = "datasets/"
"""What the ids of data sets begin with here; those of models begin with nothing."""
_JSON = "application/json; charset=utf-8"
_TEXT = "text/plain; charset=utf-8"


@dataclass(frozen=True)
class Request:
    """One request that the server received.

    Attributes:
        method: "GET", "HEAD" or "POST".
        path: Path as sent, with the query string.
        authorization: The Authorization header, or None.
        range: The Range header, or None.
    """

    method: str
    path: str
    authorization: str | None
    range: str | None = None


@dataclass(frozen=True)
class _File:
    data: bytes
    blob_id: str
    sha256: str | None  # of LFS files only

    @classmethod
    def read(cls, path: Path) -> _File:
        data = path.read_bytes()
        lfs = path.name.endswith(_LFS_SUFFIXES) or len(data) > _LFS_SIZE
        return cls(
            data=data,
            blob_id=hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest(),
            sha256=hashlib.sha256(data).hexdigest() if lfs else None,
        )


@dataclass(frozen=True)
class _Commit:
    sha: str
    files: dict[str, _File]
    date: str


@dataclass
class _Repo:
    id: str
    branches: dict[str, _Commit] = field(default_factory=dict)
    commits: dict[str, _Commit] = field(default_factory=dict)
    private_to: str | None = None
    gated: Gated = False
    allowed_tokens: tuple[str, ...] = ()
    pipeline_tag: str | None = None
    license: str | None = None
    parameters: dict[str, int] | None = None
    downloads: int = 0


@dataclass
class _Fault:
    repo_id: str
    path: str | None
    method: str | None
    status: int | None
    headers: dict[str, str]
    cut_after: int | None
    delay: float | None
    corrupt: bool
    left: float  # requests that it is still to hit

    def matches(self, method: str, route: _Route) -> bool:
        if self.left <= 0 or self.repo_id not in ("*", route.repo_id) or self.method not in (None, method):
            return False
        if self.status is None and self.delay is None and method == "HEAD":
            return False  # cut and corrupt need a body
        if self.path is None:
            return True
        if self.path.startswith("/"):
            return route.kind.startswith(self.path)
        return route.kind == "/resolve" and route.path == self.path


@dataclass(frozen=True)
class _Route:
    """What a request asks for; kind is /api/list, /api/info, /api/tree, /api/paths, /api/refs, /api/commits, /api/auth,
    /resolve or /unknown."""

    kind: str
    repo_id: str = ""
    revision: str = "main"
    path: str = ""

    @classmethod
    def parse(cls, path: str) -> _Route:
        parts = [unquote(part) for part in path.strip("/").split("/")]
        if parts[:2] in (["api", "models"], ["api", "datasets"]):
            rest = parts[2:]
            if not rest:
                return cls("/api/list")
            end = 2 if len(rest) > 1 and rest[1] not in _API_VERBS else 1
            repo_id, rest = "/".join(rest[:end]), rest[end:]
            repo_id = (_DATA_SETS if parts[1] == "datasets" else "") + repo_id
            if not rest:
                return cls("/api/info", repo_id)
            if rest[0] == "revision" and len(rest) == 2:
                return cls("/api/info", repo_id, rest[1])
            if rest == ["refs"]:
                return cls("/api/refs", repo_id)
            if rest[0] == "commits" and len(rest) == 2:
                return cls("/api/commits", repo_id, rest[1])
            if rest == ["auth-check"]:
                return cls("/api/auth", repo_id)
            if rest[0] == "tree" and len(rest) >= 2:
                return cls("/api/tree", repo_id, rest[1], "/".join(rest[2:]))
            if rest[0] == "paths-info" and len(rest) == 2:
                return cls("/api/paths", repo_id, rest[1])
            return cls("/unknown", repo_id)
        start = 1 if parts[0] == "datasets" else 0
        for end in (start + 1, start + 2):
            if len(parts) > end + 2 and parts[end] == "resolve":
                return cls("/resolve", "/".join(parts[:end]), parts[end + 1], "/".join(parts[end + 2 :]))
        return cls("/unknown")


@dataclass
class _Reply:
    status: int
    body: bytes
    headers: dict[str, str]
    is_file: bool = False

    @classmethod
    def json(cls, value: object) -> _Reply:
        return cls(200, json.dumps(value).encode(), {"Content-Type": _JSON})

    def corrupt(self) -> None:
        """Flips the bits of the byte in the middle."""
        if self.body:
            middle = len(self.body) // 2
            self.body = self.body[:middle] + bytes([self.body[middle] ^ 0xFF]) + self.body[middle + 1 :]

    def select_range(self, header: str) -> None:
        """Turns the reply with a whole file into the 206 or 416 for a Range header."""
        match = re.fullmatch(r"bytes=(\d*)-(\d*)", header.replace(" ", ""))
        if match is None or match.groups() == ("", ""):
            return
        size = len(self.body)
        first, last = match.groups()
        start = int(first) if first else max(size - int(last), 0)
        end = min(int(last) + 1, size) if first and last else size
        if start >= end:
            self.status, self.body = 416, b""
            self.headers["Content-Range"] = f"bytes */{size}"
        else:
            self.status, self.body = 206, self.body[start:end]
            self.headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"


class _Refused(Exception):
    """Stops the handling of a request and answers with an error."""

    def __init__(self, status: int, code: str | None, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.reply = _Reply(
            status,
            json.dumps({"error": message}).encode(),
            {
                "Content-Type": _JSON,
                **({"X-Error-Code": code} if code else {}),
                "X-Error-Message": message,
                **(headers or {}),
            },
        )


class HubServer:
    """A Hugging Face Hub on 127.0.0.1 that serves the models and data sets a test adds to it.

    It is a context manager; ``start`` and ``stop`` do the same by hand. After ``stop`` connections are refused, and
    another ``start`` serves the same models at the same URL.

    Attributes:
        invalid_tokens: Tokens that the Hub answers with 401 and "Invalid credentials in Authorization header", as it
            does for expired ones, for public repos too.
    """

    def __init__(self, port: int = 0) -> None:
        """Prepares a server.

        Args:
            port: Port to listen on; 0 for a free one.
        """
        self.invalid_tokens: set[str] = set()
        self._port = port
        self._lock = threading.RLock()
        self._requests: list[Request] = []
        self._repos: dict[str, _Repo] = {}
        self._renamed: dict[str, str] = {}
        self._faults: list[_Fault] = []
        self._commits_made = 0
        self._stopping = threading.Event()
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> HubServer:
        """Starts the server."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stops the server."""
        self.stop()

    @property
    def url(self) -> str:
        """Address of the server, without a slash at the end, to be used as HF_ENDPOINT."""
        if not self._port:
            raise RuntimeError("The server was not started yet.")
        return f"http://127.0.0.1:{self._port}"

    @property
    def requests(self) -> list[Request]:
        """The requests received so far, as a new list."""
        with self._lock:
            return list(self._requests)

    def start(self) -> None:
        """Starts to serve, in threads of their own."""
        if self._server is not None:
            raise RuntimeError("The server runs already.")
        self._stopping.clear()
        self._server = _Server(("127.0.0.1", self._port), self)
        self._port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stops serving and closes the open connections; does nothing if the server does not run."""
        if self._server is None or self._thread is None:
            return
        self._stopping.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._server.close_connections()
        self._server = self._thread = None

    def add(
        self,
        repo_id: str,
        folder: str | os.PathLike[str],
        *,
        branch: str = "main",
        private_to: str | None = None,
        gated: Gated = False,
        allowed_tokens: Sequence[str] = (),
        pipeline_tag: str | None = None,
        license: str | None = None,
        parameters: int | Mapping[str, int] | None = None,
        downloads: int = 0,
    ) -> str:
        """Publishes the files of a folder as a commit on a branch of a repo, which is made if it is new.

        The files are copied, so a later change of the folder changes nothing here. Earlier commits stay available by
        their sha. The settings of the repo (all arguments after branch) become those of this call.

        Args:
            repo_id: "namespace/name" or "name" of a model, "datasets/namespace/name" of a data set; so everywhere here.
            folder: Folder with the files, which may lie in subfolders.
            branch: Branch that then points to the commit.
            private_to: The one token that may see the repo; None makes the repo public.
            gated: Whether the files of the repo need a token in allowed_tokens; the metadata do not, as on the Hub.
            allowed_tokens: Tokens that may download from a gated repo.
            pipeline_tag: Task, such as "text-generation".
            license: License in the metadata of the model card.
            parameters: Parameters by dtype, or the number of F32 ones; None counts those in the .safetensors files.
            downloads: Number of downloads.

        Returns:
            The sha of the commit, which depends on the repo id and the contents only.
        """
        root = Path(folder)
        paths = sorted(path for path in root.rglob("*") if path.is_file())
        if not paths:
            raise ValueError(f"No files in {root}.")
        files = {path.relative_to(root).as_posix(): _File.read(path) for path in paths}
        listing = repo_id + "".join(f"\n{file.blob_id} {name}" for name, file in files.items())
        sha = hashlib.sha1(listing.encode()).hexdigest()
        if isinstance(parameters, int):
            parameters = {"F32": parameters}
        with self._lock:
            self._renamed.pop(repo_id, None)
            repo = self._repos.setdefault(repo_id, _Repo(repo_id))
            day, hour = divmod(self._commits_made, 24)
            self._commits_made += 1
            date = f"2024-{1 + day // 28 % 12:02}-{1 + day % 28:02}T{hour:02}:00:00.000Z"
            repo.branches[branch] = repo.commits.setdefault(sha, _Commit(sha, files, date))
            repo.private_to = private_to
            repo.gated = gated
            repo.allowed_tokens = tuple(allowed_tokens)
            repo.pipeline_tag = pipeline_tag
            repo.license = license
            repo.parameters = None if parameters is None else dict(parameters)
            repo.downloads = downloads
        return sha

    def rename(self, old: str, new: str) -> None:
        """Renames a repo; requests for the old id are redirected to the new one."""
        with self._lock:
            if new in self._repos:
                raise ValueError(f"{new} exists already.")
            repo = self._repos.pop(old)
            repo.id = new
            self._repos[new] = repo
            self._renamed.pop(new, None)
            self._renamed[old] = new

    def remove(self, repo_id: str) -> None:
        """Deletes a repo; requests for it are answered as for one that never was."""
        with self._lock:
            del self._repos[repo_id]

    def fail(
        self,
        repo_id: str,
        *,
        path: str | None = None,
        method: str | None = None,
        status: int | None = None,
        headers: Mapping[str, str] | None = None,
        cut_after: int | None = None,
        delay: float | None = None,
        corrupt: bool = False,
        times: int | None = None,
    ) -> None:
        """Makes requests fail. Of the faults that match a request and are not used up, the earliest added applies.

        Args:
            repo_id: Repo as in the request; "*" for every request, searches included.
            path: A file of the repo, for the requests for its contents; or "/api", "/api/info", "/api/tree",
                "/api/auth", "/api/list" or "/resolve" for requests of that kind; None for all.
            method: "GET" or "HEAD"; None for both.
            status: Status to answer.
            headers: Headers of the answer with that status, such as Retry-After or RateLimit.
            cut_after: Close the connection after this many bytes of the body, of which the whole length was announced.
                Does not match HEAD requests, unless with status or delay.
            delay: Seconds to wait before the answer.
            corrupt: Flip the byte in the middle of the body, or of the file. Matches as cut_after does.
            times: Number of requests that fail; None for all.
        """
        if status is None and cut_after is None and delay is None and not corrupt:
            raise ValueError("Give one of status, cut_after, delay and corrupt.")
        left = math.inf if times is None else times
        fault = _Fault(repo_id, path, method, status, dict(headers or {}), cut_after, delay, corrupt, left)
        with self._lock:
            self._faults.append(fault)

    def clear_faults(self) -> None:
        """Ends all faults."""
        with self._lock:
            self._faults.clear()

    def _take_fault(self, method: str, route: _Route) -> _Fault | None:
        with self._lock:
            for fault in self._faults:
                if fault.matches(method, route):
                    fault.left -= 1
                    return fault
        return None

    def _reply(self, route: _Route, target: str, token: str | None, paths: Sequence[str] = ()) -> _Reply:
        """Answers a request that no fault keeps from an answer; a POST names the paths that it is about."""
        query = parse_qs(urlsplit(target).query)
        with self._lock:
            try:
                if token in self.invalid_tokens:
                    raise _Refused(401, None, "Invalid credentials in Authorization header")
                if route.kind == "/api/list":
                    return self._list(query, token)
                if route.kind == "/unknown":
                    raise _Refused(404, None, "Sorry, we can't find the page you are looking for.")
                repo = self._find_repo(route, target, token)
                if route.kind in ("/resolve", "/api/auth"):
                    self._check_gate(repo, token)
                if route.kind == "/api/auth":
                    return _Reply.json({})
                if route.kind == "/api/refs":
                    return _Reply.json(_refs(repo))
                commit = repo.commits.get(route.revision) or repo.branches.get(route.revision)
                if commit is None:
                    raise _Refused(404, "RevisionNotFound", f"Invalid rev id: {route.revision}")
                if route.kind == "/api/info":
                    return _Reply.json(_info(repo, commit, query))
                if route.kind == "/api/commits":
                    return _Reply.json([{"id": commit.sha, "title": "Upload", "date": commit.date, "authors": []}])
                if route.kind == "/api/paths":
                    return _Reply.json(_paths(commit, paths))
                if route.kind == "/api/tree":
                    return _Reply.json(_tree(commit, route.path, query.get("recursive") == ["true"]))
                return _download(commit, route.path)
            except _Refused as refusal:
                return refusal.reply

    def _find_repo(self, route: _Route, target: str, token: str | None) -> _Repo:
        repo_id = route.repo_id
        while repo_id not in self._repos and repo_id in self._renamed:
            repo_id = self._renamed[repo_id]
        repo = self._repos.get(repo_id)
        if repo is None or repo.private_to not in (None, token):
            if token is None:
                raise _Refused(401, "RepoNotFound", "Invalid username or password.")
            raise _Refused(404, "RepoNotFound", "Repository not found")
        if repo_id != route.repo_id:
            prefix, old, new = "/", route.repo_id, repo_id
            if route.kind.startswith("/api"):
                prefix = "/api/" if old.startswith(_DATA_SETS) else "/api/models/"
            location = prefix + quote(new) + target[len(prefix + quote(old)) :]
            raise _Refused(307, None, f"Temporary Redirect. Redirecting to {location}", {"Location": location})
        return repo

    def _check_gate(self, repo: _Repo, token: str | None) -> None:
        if not repo.gated or token in repo.allowed_tokens:
            return
        noun = "dataset" if repo.id.startswith(_DATA_SETS) else "model"
        message = f"Access to {noun} {repo.id.removeprefix(_DATA_SETS)} is restricted"
        if token is None:
            message += ". You must have access to it and be authenticated to access it. Please log in."
            raise _Refused(401, "GatedRepo", message)
        message += f" and you are not in the authorized list. Visit https://huggingface.co/{repo.id} to ask for access."
        raise _Refused(403, "GatedRepo", message)

    def _list(self, query: dict[str, list[str]], token: str | None) -> _Reply:
        found = []
        for repo in self._repos.values():
            if repo.id.startswith(_DATA_SETS):
                continue
            commit = repo.branches.get("main") or next(iter(repo.branches.values()))
            info = _info(repo, commit, {})
            shown = (
                repo.private_to in (None, token)
                and all(text.lower() in repo.id.lower() for text in query.get("search", []))
                and all(info["author"] == author for author in query.get("author", []))
                and all(repo.pipeline_tag == tag for tag in query.get("pipeline_tag", []))
                and all(tag in info["tags"] for tag in query.get("filter", []))
            )
            if shown:
                found.append(info)
        sort = query.get("sort", ["downloads"])[0]
        found.sort(key=lambda info: info.get(sort) or 0, reverse=True)
        del found[int(query.get("limit", ["1000"])[0]) :]

        keys = ["_id", "modelId", "likes", "private", "downloads", "tags", "pipeline_tag", "library_name", "createdAt"]
        if "full" in query:
            keys += ["author", "sha", "lastModified", "gated", "disabled", "siblings"]
        keys += [key for key in ("cardData", "config") if key in query]
        keys = ["id", *query.get("expand", keys)]
        return _Reply.json([{key: info[key] for key in keys if key in info} for info in found])


def _info(repo: _Repo, commit: _Commit, query: dict[str, list[str]]) -> dict[str, Any]:
    """Gives the body of /api/models/{repo} or /api/datasets/{repo}."""
    repo_id = repo.id.removeprefix(_DATA_SETS)
    config = _read_config(commit)
    parameters = repo.parameters or _count_parameters(commit)
    tags = ["transformers"] + (["safetensors"] if any(name.endswith(".safetensors") for name in commit.files) else [])
    tags += [str(config["model_type"])] if "model_type" in config else []
    tags += [repo.pipeline_tag] if repo.pipeline_tag else []
    tags += [f"license:{repo.license}"] if repo.license else []
    info: dict[str, Any] = {
        "_id": hashlib.sha1(repo.id.encode()).hexdigest()[:24],
        "id": repo_id,
        "modelId": repo_id,
        "author": repo_id.split("/")[0] if "/" in repo_id else None,
        "sha": commit.sha,
        "private": repo.private_to is not None,
        "gated": repo.gated,
        "disabled": False,
        "downloads": repo.downloads,
        "likes": 0,
        "library_name": "transformers",
        "tags": tags,
        "createdAt": next(iter(repo.commits.values())).date,
        "lastModified": commit.date,
        "config": {key: config[key] for key in ("architectures", "model_type") if key in config},
        "siblings": [_sibling(name, file, query.get("blobs") == ["true"]) for name, file in commit.files.items()],
        "spaces": [],
        "usedStorage": sum(len(file.data) for file in commit.files.values()),
    }
    if repo.pipeline_tag:
        info["pipeline_tag"] = repo.pipeline_tag
    if repo.license:
        info["cardData"] = {"license": repo.license}
    if parameters:
        info["safetensors"] = {"parameters": parameters, "total": sum(parameters.values())}
    if "expand" in query:
        info = {key: info[key] for key in ("_id", "id", *query["expand"]) if key in info}
    return info


def _refs(repo: _Repo) -> dict[str, Any]:
    """Gives the body of /api/models/{repo}/refs."""
    branches = [
        {"name": name, "ref": f"refs/heads/{name}", "targetCommit": one.sha} for name, one in repo.branches.items()
    ]
    return {"branches": branches, "tags": [], "converts": []}


def _sibling(name: str, file: _File, blobs: bool) -> dict[str, Any]:
    sibling: dict[str, Any] = {"rfilename": name}
    if blobs:
        sibling |= {"size": len(file.data), "blobId": file.blob_id}
        if file.sha256:
            sibling["lfs"] = {"sha256": file.sha256, "size": len(file.data), "pointerSize": _LFS_POINTER_SIZE}
    return sibling


def _tree(commit: _Commit, path: str, recursive: bool) -> list[dict[str, Any]]:
    """Gives the body of /api/models/{repo}/tree/{revision}/{path}."""
    prefix = f"{path}/" if path else ""
    entries: dict[str, dict[str, Any]] = {}
    for name, file in commit.files.items():
        if not name.startswith(prefix):
            continue
        parts = name[len(prefix) :].split("/")
        for depth in range(1, len(parts)):
            folder = prefix + "/".join(parts[:depth])
            if depth == 1 or recursive:
                oid = hashlib.sha1(f"{commit.sha} {folder}".encode()).hexdigest()
                entries[folder] = {"type": "directory", "oid": oid, "size": 0, "path": folder}
        if len(parts) == 1 or recursive:
            entry: dict[str, Any] = {"type": "file", "oid": file.blob_id, "size": len(file.data), "path": name}
            if file.sha256:
                entry["lfs"] = {"oid": file.sha256, "size": len(file.data), "pointerSize": _LFS_POINTER_SIZE}
            entries[name] = entry
    if not entries:
        raise _Refused(404, "EntryNotFound", f"{path} does not exist on {commit.sha}")
    return list(entries.values())


def _paths(commit: _Commit, paths: Sequence[str]) -> list[dict[str, Any]]:
    """Gives the body of /api/datasets/{repo}/paths-info/{revision}: what is known of those paths that there are."""
    known = {entry["path"]: entry for entry in _tree(commit, "", recursive=True)}
    return [known[path] for path in paths if path in known]


def _download(commit: _Commit, path: str) -> _Reply:
    """Gives the answer of /{repo}/resolve/{revision}/{path}."""
    headers = {"X-Repo-Commit": commit.sha, "Accept-Ranges": "bytes"}
    file = commit.files.get(path)
    if file is None:
        raise _Refused(404, "EntryNotFound", "Entry not found", headers)
    headers["Content-Type"] = "application/octet-stream" if file.sha256 else _TEXT
    headers["ETag"] = f'"{file.sha256 or file.blob_id}"'
    if file.sha256:
        headers["X-Linked-Size"] = str(len(file.data))
        headers["X-Linked-ETag"] = headers["ETag"]
    return _Reply(200, file.data, headers, is_file=True)


def _read_config(commit: _Commit) -> dict[str, Any]:
    try:
        config = json.loads(commit.files["config.json"].data)
    except (KeyError, ValueError):
        return {}
    return config if isinstance(config, dict) else {}


def _count_parameters(commit: _Commit) -> dict[str, int]:
    """Counts the parameters by dtype from the headers of the .safetensors files; a broken file counts nothing."""
    counts: dict[str, int] = {}
    for name, file in commit.files.items():
        if not name.endswith(".safetensors"):
            continue
        try:
            (size,) = struct.unpack_from("<Q", file.data)
            tensors = json.loads(file.data[8 : 8 + size])
            for key, tensor in tensors.items():
                if key != "__metadata__":
                    counts[tensor["dtype"]] = counts.get(tensor["dtype"], 0) + math.prod(tensor["shape"])
        except (struct.error, ValueError, KeyError, TypeError, AttributeError):
            continue
    return counts


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], hub: HubServer) -> None:
        self.hub = hub
        self._connections: set[socket.socket] = set()
        self._connections_lock = threading.Lock()
        super().__init__(address, _Handler)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        with self._connections_lock:
            self._connections.add(connection)
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        with self._connections_lock:
            self._connections.discard(request)
        super().shutdown_request(request)

    def close_connections(self) -> None:
        with self._connections_lock:
            for connection in self._connections:
                with contextlib.suppress(OSError):  # the client closed it first
                    connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], OSError):  # a client that went away is no error
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        hub = self.server.hub
        authorization = self.headers.get("Authorization")
        token = authorization.removeprefix("Bearer ") if authorization else None
        with hub._lock:
            hub._requests.append(Request(self.command, self.path, authorization, self.headers.get("Range")))
        route = _Route.parse(urlsplit(self.path).path)
        fault = hub._take_fault(self.command, route)
        if fault is not None and fault.delay is not None and hub._stopping.wait(fault.delay):
            self.close_connection = True
            return
        if fault is not None and fault.status is not None:
            reply = _Refused(fault.status, None, self._phrase(fault.status), fault.headers).reply
        else:
            reply = hub._reply(route, self.path, token, self._paths())
        if fault is not None and fault.corrupt:
            reply.corrupt()
        if reply.is_file and self.command == "GET" and "Range" in self.headers:
            reply.select_range(self.headers["Range"])
        self._send(reply, fault.cut_after if fault is not None else None)

    do_HEAD = do_GET
    do_POST = do_GET

    def _paths(self) -> list[str]:
        """The paths in the body of a request, which is JSON or a form."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        if "json" in self.headers.get("Content-Type", ""):
            return list(json.loads(body).get("paths", []))
        return parse_qs(body).get("paths", [])

    def log_message(self, format: str, *args: object) -> None:
        """Keeps the output of the tests clean."""

    def _phrase(self, status: int) -> str:
        if status == 401:
            return "Invalid credentials in Authorization header"
        return self.responses.get(status, ("Error", ""))[0]

    def _send(self, reply: _Reply, cut_after: int | None) -> None:
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body)))
        if "X-Amzn-Trace-Id" in self.headers:
            self.send_header("X-Request-Id", self.headers["X-Amzn-Trace-Id"])
        self.end_headers()
        if self.command == "HEAD":
            return
        if cut_after is not None:
            self.close_connection = True
        self.wfile.write(reply.body[:cut_after])
