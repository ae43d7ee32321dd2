"""Loads a checkpoint once more, in another process and on another device, from the files that it was loaded from."""

from __future__ import annotations

import pickle
from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

from attnflow.checkpoints import repository_files
from attnflow.checkpoints.checkpoint import Checkpoint
from attnflow.checkpoints.loading import Loading
from attnflow.checkpoints.model_files import read_config, read_model
from attnflow.checkpoints.tokenizer_reader import PairPieces, TokenizerFacts, TokenizerReader
from attnflow.errors import CheckpointError, brief
from attnflow.lazy import lazy


@dataclass(eq=False)
class LaterReader:
    """A tokenizer that is read when it is first asked for something: most analyses ask for nothing but its facts."""

    facts: TokenizerFacts
    pickled: bytes = field(repr=False)
    """The reader that it stands for."""
    nbytes: int = 0

    @lazy
    def _reader(self) -> TokenizerReader:
        return pickle.loads(self.pickled)

    def pair(self, text_a: str, text_b: str | None, most: int | None) -> PairPieces:
        """A sentence pair with its special tokens."""
        return self._reader.pair(text_a, text_b, most)

    def target(self, text: str, most: int | None) -> PairPieces:
        """A text as an encoder-decoder writes it."""
        return self._reader.target(text, most)

    def chat(self, text_a: str, text_b: str | None, most: int | None, goes_on: bool) -> PairPieces:
        """A conversation in the chat template."""
        return self._reader.chat(text_a, text_b, most, goes_on)

    def ids(self, text: str) -> list[int]:
        """The pieces of a text without special tokens."""
        return self._reader.ids(text)

    def text(self, ids: Iterable[int]) -> str:
        """What pieces say."""
        return self._reader.text(ids)

    def pieces(self, ids: Iterable[int]) -> list[str | None]:
        """What pieces are called; None for a number that is none."""
        return self._reader.pieces(ids)

    def id_of(self, piece: str) -> int | None:
        """The number of a piece, if it is one."""
        return self._reader.id_of(piece)


@dataclass(frozen=True)
class OnDisk:
    """All that another process of this machine needs to load the same checkpoint.

    It holds no access token and asks the Hub for nothing, so it is for whoever may read the checkpoint already.
    """

    folder: Path
    """Where the files lie; those that one visitor's token opened are in a folder of his."""
    how: Loading
    known: dict[str, Any] = field(repr=False)
    """What was found out when it was loaded: all fields of a `Checkpoint` but model and tokenizer."""
    tokenizer: LaterReader = field(repr=False)

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> OnDisk | None:
        """Of a loaded checkpoint; None if its files are no longer there, or it was changed after it was loaded."""
        folder, origin = checkpoint.folder, checkpoint.origin
        if folder is None or not isinstance(origin, partial) or not (folder / repository_files.CONFIG).exists():
            return None
        _, _, how, _ = origin.args
        apart = ("model", "tokenizer")
        known = {one.name: getattr(checkpoint, one.name) for one in fields(checkpoint) if one.init}
        tokenizer = LaterReader(checkpoint.tokenizer.facts, pickle.dumps(checkpoint.tokenizer))
        return cls(folder, how, {name: value for name, value in known.items() if name not in apart}, tokenizer)

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What tells it from every other, and what one visitor may read from what another may."""
        return str(self.folder), self.known["name"], self.known["sha"], str(self.how.precision())

    def load(self, device: str) -> Checkpoint:
        """Read the weights to a device.

        Raises:
            CheckpointError: If the files are gone or have changed, or if there is no such device.
        """
        name, sha, how = self.known["name"], self.known["sha"], replace(self.how, device=device)
        if sha not in self.folder.parts and repository_files.content_hash(self.folder) != sha:
            raise CheckpointError(f"The files of {name} have changed since it was loaded; load it anew.")
        try:
            with repository_files.staged(self.folder, name) as files:
                config, translates = read_config(files.folder, name), self.tokenizer.facts.translates is not None
                model = read_model(files.folder, config, name, how, translates=translates).model
        except OSError as error:
            gone = f"The files of {name} cannot be read any more ({brief(error)}); try again."
            raise CheckpointError(gone) from error
        how.prepare(model, self.known["stacks"] or self.known["n_layers"])
        return Checkpoint(model=model, tokenizer=self.tokenizer, **self.known)
