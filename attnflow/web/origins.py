"""For whom the app may be asked: under its own names only, and by other web sites only for what is public."""

from __future__ import annotations

import ipaddress
import os
from urllib.parse import urlsplit

from starlette.datastructures import Headers

from attnflow.web.addresses import trusted_proxies


def on_space() -> bool:
    """Whether this is a public Space, whose endpoints programs of other web sites may call."""
    return bool(os.environ.get("SPACE_ID"))


def _own_names() -> set[str]:
    named = [os.environ.get(name, "") for name in ("ATTNFLOW_HOSTS", "SPACE_HOST", "GRADIO_SERVER_NAME")]
    return {name.strip().lower() for name in ",".join(named).split(",") if name.strip()}


def host_is_ours(host: str) -> bool:
    """Whether a `Host` names this app: an address, localhost, a name of the Space, or one of `ATTNFLOW_HOSTS`.

    A foreign site can make its own name point here (DNS rebinding) and would then be taken by browsers for this app;
    but it cannot do so under an address.
    """
    name = (urlsplit(f"//{host}").hostname or "") if not set(host) & set("/?#@ ") else host
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return name == "localhost" or name in _own_names() or (on_space() and name.endswith(".hf.space"))
    return True


def from_another_site(headers: Headers) -> bool:
    """Whether a browser sends this for another web site; programs name no origin."""
    origin = headers.get("origin")
    if origin is None:
        return headers.get("sec-fetch-site") in ("cross-site", "same-site")
    own = [headers.get("host", "")]
    if trusted_proxies() != 0:
        own.append(headers.get("x-forwarded-host", ""))
    at = origin.partition("://")[2]
    return at not in filter(None, own) and at.lower() not in _own_names()
