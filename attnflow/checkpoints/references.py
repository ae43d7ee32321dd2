"""How something of the Hub is asked for: by its name, by a name with a revision, or by an address of its pages."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from attnflow.errors import AttnflowError, CheckpointError, TextsError

_REPO_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}(?:/[A-Za-z0-9][\w.-]{0,95})?")
_REVISION = re.compile(r"[\w][\w./-]{0,127}")
_FOLDERS = re.compile(r"(?:/\w[\w.-]{0,95}){0,8}")
_ADDRESS = re.compile(r"(?:https?://)?(?:www\.)?(?:huggingface\.co|hf\.co)(?P<rest>/.*)?", re.IGNORECASE)
_OTHER_PAGES = (
    *("datasets", "spaces", "papers", "collections", "docs", "blog"),
    *("models", "api", "organizations", "posts", "settings", "login", "learn"),
)
_QUOTES = "<>()\"'`"
"""What stands around a name or an address that was copied from a program or a text."""
_OF_A_FOLDER, _OF_A_FILE = ("tree", "commit"), ("blob", "resolve", "raw", "blame", "edit", "commits")


@dataclass(frozen=True)
class Kind:
    """What a repository of the Hub holds, in the words of messages."""

    noun: str
    page: str
    """What its pages are about."""
    example: str
    error: type[AttnflowError]


CHECKPOINT = Kind("checkpoint", "model", "google-bert/bert-base-uncased", CheckpointError)
DATA_SET = Kind("data set", "data set", "nyu-mll/glue", TextsError)


@dataclass(frozen=True)
class Reference:
    """What was asked for on the Hub."""

    repo_id: str
    revision: str | None = None
    """Branch, tag or commit; the default branch if None."""
    subfolder: str = ""
    """Where in the repository it is; empty for the top."""

    @property
    def name(self) -> str:
        """The repository, and the folder in it if there is one; it can be asked for by this again."""
        return f"{self.repo_id}/{self.subfolder}" if self.subfolder else self.repo_id


def check_repo_id(name: Any, kind: Kind = CHECKPOINT) -> str:
    """Return a valid repository id, stripped.

    Raises:
        AttnflowError: That of its kind, if the text is no id such as `google-bert/bert-base-uncased`; a path never is.
    """
    name = name.strip() if isinstance(name, str) else ""
    if not _REPO_ID.fullmatch(name) or ".." in name or "--" in name:
        raise kind.error(f"{name[:100]!r} is not the name of a {kind.noun}; give a Hub id such as {kind.example}.")
    return name


def check_revision(revision: Any, kind: Kind = CHECKPOINT) -> None:
    """Refuse what cannot be a branch, tag or commit; None is the default branch.

    Raises:
        AttnflowError: That of its kind, if it is none.
    """
    if revision is not None and (not isinstance(revision, str) or not _REVISION.fullmatch(revision)):
        raise kind.error(f"{str(revision)[:100]!r} is not a revision; give a branch, a tag or a commit.")


def parse_reference(text: Any, revision: str | None = None, kind: Kind = CHECKPOINT) -> Reference:
    """Understand a name, perhaps with `@revision` or a folder in the repository, or an address copied from the Hub.

    Args:
        text: As someone typed or pasted it.
        revision: What was asked for beside it.
        kind: What is looked for; the addresses of data sets begin with `datasets`.

    Raises:
        AttnflowError: That of its kind, if it is neither, or if it names another revision than the one beside it.

    Example:
        >>> parse_reference("https://huggingface.co/google-bert/bert-base-uncased/tree/main")
        Reference(repo_id='google-bert/bert-base-uncased', revision='main', subfolder='')
    """
    check_revision(revision, kind)
    typed = text.strip().strip(_QUOTES) if isinstance(text, str) else ""
    name, _, inside = typed.partition("@")
    address, inside = _ADDRESS.fullmatch(name), inside.rstrip("/")
    if address:
        name, found = _from_address(typed, (address["rest"] or "").split("?")[0].split("#")[0], kind)
    elif name.split("/")[2:3] and name.split("/")[2] in _OF_A_FOLDER + _OF_A_FILE:  # the end of an address
        name, found = _from_address(typed, f"datasets/{name}" if kind is DATA_SET else name, kind)
    else:
        name, found = name.rstrip("/") if len(name) > 1 else name, None
    # The top of a repository has at most two parts; what follows them is a folder in it.
    parts = name.split("/")
    folder = "/".join(parts[2:])
    if not _FOLDERS.fullmatch(f"/{folder}" if folder else "") or ".." in folder or "://" in name:
        check_repo_id(typed, kind)  # tells that it is none
    repo_id = check_repo_id("/".join(parts[:2]), kind)
    wanted = list(dict.fromkeys(one for one in (found, inside or None, revision) if one))
    if len(wanted) > 1:
        raise kind.error(
            f"{text[:100]!r} names the revision {wanted[0]!r}, and {wanted[1]!r} is asked for beside it; give one."
        )
    for one in wanted:
        check_revision(one, kind)
    return Reference(repo_id, wanted[0] if wanted else None, folder)


def _from_address(text: str, path: str, kind: Kind) -> tuple[str, str | None]:
    """Name, perhaps with a folder, and revision of an address of the Hub."""
    parts = [unquote(part) for part in path.split("/") if part]
    own = kind is not DATA_SET or parts[:1] == ["datasets"]
    parts = parts[1:] if kind is DATA_SET else parts
    if not parts or not own or parts[0] in _OTHER_PAGES:
        raise kind.error(
            f"{text[:100]!r} is no page of a {kind.page}; give the name of a {kind.page}, such as {kind.example}."
        )
    size = 1 if parts[1:2] and parts[1] in _OF_A_FOLDER + _OF_A_FILE else 2  # a few names have no owner
    name, page, rest = parts[:size], "".join(parts[size : size + 1]), parts[size + 1 :]
    if page == "discussions" and rest[0:1] and rest[0].isdecimal() and rest[1:] == ["files"]:
        return "/".join(name), f"refs/pr/{rest[0]}"  # what a pull request would change
    if page not in _OF_A_FOLDER + _OF_A_FILE or not rest:
        return "/".join(name), None  # the model's page, or a tab of it such as its discussions
    folders = rest[1:-1] if page in _OF_A_FILE else rest[1:]
    return "/".join([*name, *folders]), rest[0]
