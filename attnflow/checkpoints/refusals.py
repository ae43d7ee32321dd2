"""What a refusal of the Hub means, in one sentence for the person who asked."""

from __future__ import annotations

import httpx2  # the HTTP library of huggingface_hub, whose errors reach us
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from attnflow.checkpoints.references import CHECKPOINT, Kind
from attnflow.errors import AttnflowError

UNREACHABLE = (httpx2.TransportError, OfflineModeIsEnabled, ConnectionError, TimeoutError)
"""What huggingface_hub raises if there is no answer."""


def refusing(error: BaseException) -> HfHubHTTPError | None:
    """The refusal of the Hub that huggingface_hub tells as "not in the cache either", if it was one."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, HfHubHTTPError):
        cause = cause.__cause__
    return cause


def keeps_from_everyone(error: HfHubHTTPError, token: str | None) -> bool:
    """Whether a refusal tells that not everyone may read the repository (any more)."""
    return isinstance(error, RepositoryNotFoundError) or (not token and _status(error) in (401, 403))


def explained(
    repo_id: str, revision: str | None, error: HfHubHTTPError, token: str | None, kind: Kind = CHECKPOINT
) -> AttnflowError:
    """The sentence for a refusal.

    Args:
        repo_id: What was asked for.
        revision: Its branch, tag or commit.
        error: As huggingface_hub raises it.
        token: Access token of the person who asked.
        kind: What was asked for.
    """
    status = _status(error)
    if isinstance(error, GatedRepoError):
        return kind.error(
            f"{repo_id} is gated: its authors give access on request; ask for it on its Hub page and sign in, "
            f"or choose an open {kind.noun}."
        )
    if isinstance(error, RevisionNotFoundError):
        return kind.error(f"{repo_id} has no revision {revision!r}; leave the revision empty for the newest one.")
    if token and status == 401 and not isinstance(error, RepositoryNotFoundError):
        return kind.error(
            f"The Hub does not accept your sign-in, which may have ended; sign in again to load {repo_id}."
        )
    if isinstance(error, RepositoryNotFoundError) or status in (401, 403, 404):
        if token:
            return kind.error(
                f"There is no {kind.noun} {repo_id} on the Hub that you may read; check the spelling, and whether your "
                "account has access."
            )
        return kind.error(
            f"There is no public {kind.noun} {repo_id} on the Hub; check the spelling, or sign in if it is private."
        )
    if status == 429:
        return kind.error(f"The Hub asks for fewer requests at the moment; wait a minute, then load {repo_id}.")
    return kind.error(
        f"The Hub answered with an error ({status or type(error).__name__}) for {repo_id}; try again in a minute."
    )


def _status(error: HfHubHTTPError) -> int:
    return error.response.status_code if getattr(error, "response", None) is not None else 0
