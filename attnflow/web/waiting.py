"""Answers of endpoints that wait to be collected: as bytes, bounded in all, for a minute at most, and given once.

Gradio walks through every answer several times and keeps it until somebody comes. So it is given a short claim
instead, and the gateway puts the answer in its place while it is sent.
"""

from __future__ import annotations

import json
import re
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from attnflow import limits
from attnflow.errors import AttnflowError

_CLAIM = re.compile(rb'"attnflow-answer:([0-9a-f]{32})"')
MARK = "attnflow.gateway"
"""Entry of the scope of a request that the gateway let through: its answer may wait here."""
SECONDS = 60.0
"""How long an answer waits."""


class ForgottenError(AttnflowError):
    """An answer was not collected in time."""


class WaitingAnswers:
    """The answers that are ready.

    Args:
        most: Bytes of all of them; what has waited longest is forgotten first.
        clock: Seconds that never go back.
    """

    def __init__(self, most: int = limits.WAITING_BYTES, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._clock = clock
        self._kept: OrderedDict[bytes, tuple[float, bytes]] = OrderedDict()
        self._lock = threading.Lock()
        self.nbytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    def keep(self, answer: Any) -> str:
        """Write an answer down as JSON, and return the claim to it, which nobody can guess.

        Raises:
            AttnflowError: If the answer alone is more than may wait, or has a number that JSON cannot write.
        """
        try:
            text = json.dumps(answer, separators=(",", ":"), allow_nan=False).encode()
        except ValueError as error:
            raise AttnflowError(
                "The answer has a number that is not finite, which JSON cannot write; choose another text or model."
            ) from error
        if len(text) > self._most:
            raise AttnflowError(
                f"The answer has {len(text) / 1e6:,.0f} MB; this machine keeps at most {self._most / 1e6:,.0f} MB. "
                "Please shorten the text, or raise the threshold tau."
            )
        name = secrets.token_hex(16)
        with self._lock:
            self._kept[name.encode()] = (self._clock(), text)
            self.nbytes += len(text)
            while self.nbytes > self._most:
                self._drop(next(iter(self._kept)))
        return f"attnflow-answer:{name}"

    def filled(self, sent: bytes) -> bytes:
        """What is sent, with the answers in the place of their claims; they are forgotten by it.

        Raises:
            ForgottenError: If a claim is older than its answer was kept.
        """
        return _CLAIM.sub(lambda claim: self._collect(claim.group(1)), sent)

    def _collect(self, name: bytes) -> bytes:
        with self._lock:
            if name not in self._kept:
                raise ForgottenError(
                    f"This answer was not collected within {SECONDS:.0f} seconds, or made room for others; ask again."
                )
            return self._drop(name)

    def sweep(self) -> None:
        """Forget the answers that have waited too long."""
        with self._lock:
            while self._kept and next(iter(self._kept.values()))[0] <= self._clock() - SECONDS:
                self._drop(next(iter(self._kept)))

    def _drop(self, name: bytes) -> bytes:
        _, text = self._kept.pop(name)
        self.nbytes -= len(text)
        return text


answers = WaitingAnswers()
"""Those of this process."""
