"""What is found out about a checkpoint by trying, kept with it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

import torch

T = TypeVar("T")


class Learnt:
    """Answers by name, each found once: who asks while another thread finds it waits for it."""

    def __init__(self) -> None:
        self._answers: dict[Hashable, Any] = {}
        self._storages: dict[int, int] = {}
        """Bytes of each piece of memory that the tensors of answers keep, by its address."""
        self._lock = threading.RLock()  # finding one thing may ask for another

    def get(self, name: Hashable, find: Callable[[], T]) -> T:
        """Return the answer of a name, finding it if nobody has; what finding raises is not kept."""
        if name not in self._answers:
            with self._lock:
                if name not in self._answers:
                    found = find()
                    storages = [tensor.untyped_storage() for tensor in _tensors(found)]
                    self._storages |= {one.data_ptr(): one.nbytes() for one in storages}
                    self._answers[name] = found
        return self._answers[name]

    def known(self, name: Hashable) -> Any | None:
        """The answer of a name if somebody has found it."""
        return self._answers.get(name)

    @property
    def nbytes(self) -> int:
        """Memory of all that was found; views share it."""
        return sum(list(self._storages.values()))


def _tensors(found: Any) -> Iterator[torch.Tensor]:
    """All tensors in an answer, however it is put together."""
    if isinstance(found, torch.Tensor):
        yield found
    elif isinstance(found, Mapping):
        yield from _tensors(list(found.values()))
    elif isinstance(found, list | tuple):
        for one in found:
            yield from _tensors(one)
    elif is_dataclass(found) and not isinstance(found, type):
        yield from _tensors([getattr(found, field.name) for field in fields(found)])
