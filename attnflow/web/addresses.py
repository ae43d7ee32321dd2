"""Who asks: the address of a visitor, of which only what a trusted proxy wrote is believed."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterable

from attnflow.errors import AttnflowError

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_OWN_NETWORK = 64
"""Bits of an IPv6 address that name a household or a machine; it may choose the others as it likes."""


def trusted_proxies() -> int | None:
    """How many proxies stand before the app (`ATTNFLOW_TRUSTED_PROXIES`); None if unset on a Space.

    Raises:
        AttnflowError: If the setting is no whole number.
    """
    text = os.environ.get("ATTNFLOW_TRUSTED_PROXIES", "")
    if text and not text.isdecimal():
        raise AttnflowError(
            f"The environment variable ATTNFLOW_TRUSTED_PROXIES is {text!r}; it must be the number of proxies before "
            "the app, 0 if there is none."
        )
    if text:
        return int(text)
    return None if os.environ.get("SPACE_ID") else 0


def visitor_address(peer: str, forwarded: Iterable[str] = ()) -> str:
    """The name under which a visitor is counted: his address, or for IPv6 the network of his household.

    Each proxy appends the address that it was asked from to `X-Forwarded-For`; what stands further left was written by
    the visitor. So with n trusted proxies the n-th entry from the right is his. On a Space, where the number of
    proxies is not told, they have private addresses: there the last public one is his.

    Args:
        peer: Address at the other end of the connection.
        forwarded: The lines of `X-Forwarded-For`, in their order.
    """
    n_proxies = trusted_proxies()
    entries = [] if n_proxies == 0 else [entry for line in forwarded for entry in line.split(",")]
    if n_proxies is None:
        found = next((at for at in map(_parsed, reversed(entries)) if at is not None and at.is_global), None)
    else:
        found = _parsed(entries[-n_proxies]) if 0 < n_proxies <= len(entries) else None
    at = found or _parsed(peer)
    if at is None:
        return "nobody"
    if isinstance(at, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((at, _OWN_NETWORK), strict=False))
    return str(at)


def _parsed(entry: str) -> _Address | None:
    """An address that may have a port, brackets or a zone; None for anything else."""
    text = entry.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        at = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(at, "ipv4_mapped", None) or at
