"""What attnflow asks of a checkpoint's tokenizer: facts, and texts to pieces, as plain data wherever it runs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar, cast

from transformers.tokenization_utils_base import BatchEncoding, PreTrainedTokenizerBase

from attnflow.checkpoints import sentence_transformer, tokenizer_languages, tokenizer_notes
from attnflow.checkpoints.chat_template import Conversation, converse
from attnflow.checkpoints.sentencepiece_model import Original, originals
from attnflow.checkpoints.sentencepiece_places import read_in_python
from attnflow.checkpoints.tokenizer_files import read_tokenizer
from attnflow.checkpoints.tokenizer_m2m import ManyLanguages, cut_source, has_many_languages
from attnflow.checkpoints.tokenizer_marian import TwoModels, cut, has_two_models
from attnflow.checkpoints.tokenizer_pieces import PairPieces
from attnflow.errors import CheckpointError, brief

ENTRY_BYTES = 500
"""Memory of one entry of a vocabulary and what belongs to it, measured over BPE, WordPiece and Unigram of 30,000."""

T = TypeVar("T")


@dataclass(frozen=True)
class TokenizerFacts:
    """What does not depend on a text."""

    size: int
    """Above the number of every piece."""
    longest: int
    """Most pieces it was made for; 10^30 if it does not say."""
    special: frozenset[int]
    """The pieces that stand for no text."""
    mask: int | None
    mask_token: str | None
    pad: int | None
    unknown: int | None
    marks_start: bool
    """Whether it writes a special token before a text."""
    truncation_side: Literal["left", "right"]
    """Where it takes pieces away from a text that is too long."""
    has_chat_template: bool
    """Whether its files say how a conversation is written."""
    languages: tuple[str, ...] = ()
    """Pieces such as `>>deu<<`, with one of which a source begins where a model translates into several languages; or
    such as `ron_Latn`, with which a source or a target may begin that is in another language than `translates`."""
    translates: tuple[str, str] | None = None
    """The pieces that it writes beside a source and a target for their languages, such as `en_XX` and `ro_RO`."""
    unnumbered: tuple[str, ...] = ()
    """Special tokens to which no file gives a number."""
    notes: tuple[str, ...] = ()
    """What a reader must know of how its files were read, in sentences."""


class TokenizerReader(Protocol):
    """A checkpoint's tokenizer, in this process or in another; each call raises CheckpointError where it fails."""

    @property
    def facts(self) -> TokenizerFacts:
        """What does not depend on a text."""
        ...

    @property
    def nbytes(self) -> int:
        """Memory that it takes."""
        ...

    def pair(self, text_a: str, text_b: str | None, most: int | None) -> PairPieces:
        """A sentence pair with its special tokens.

        It is counted only if it has more than `most` pieces, or more than can be told at once.
        """
        ...

    def target(self, text: str, most: int | None) -> PairPieces:
        """A text as an encoder-decoder writes it, with its special tokens; counted only, as a pair is."""
        ...

    def chat(self, text_a: str, text_b: str | None, most: int | None, goes_on: bool) -> PairPieces:
        """A pair as a conversation in the chat template, which must be there; see `chat_template.converse`."""
        ...

    def ids(self, text: str) -> list[int]:
        """The pieces of a text without special tokens; of an encoder-decoder those of a target."""
        ...

    def pieces(self, ids: Iterable[int]) -> list[str | None]:
        """What pieces are called; None for a number that is none."""
        ...

    def id_of(self, piece: str) -> int | None:
        """The number of a piece, if it is one."""
        ...

    def text(self, ids: Iterable[int]) -> str:
        """What pieces say, special tokens left out; of an encoder-decoder those of a target."""
        ...


@dataclass(frozen=True, eq=False)
class LocalReader:
    """A tokenizer of transformers in this process, where it may take any time and memory."""

    tokenizer: PreTrainedTokenizerBase
    name: str
    """Of the checkpoint, for errors."""
    originals: tuple[Original, ...] = ()
    """The SentencePiece models that it was made of, with which the cut of each text is compared."""
    unnumbered: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    """Both as in its facts."""
    lowers: bool = False
    """Whether it puts texts into lower case that its SentencePiece models would read as they are."""
    facts: TokenizerFacts = field(init=False)
    _turn: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)
    """Marian's changes from one language to the other and back while it reads a target."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "facts", self._guarded(self._facts, "cannot be loaded"))

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_turn"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _turn=threading.Lock())  # another process has its own

    @property
    def nbytes(self) -> int:
        """Memory that it takes, by the size of its vocabulary."""
        return self.facts.size * ENTRY_BYTES

    def pair(self, text_a: str, text_b: str | None, most: int | None) -> PairPieces:
        """A sentence pair with its special tokens; counted only, if it has more than `most` pieces."""
        self._compare(text_a, text_b or "")
        return self._guarded(lambda: self._pair(text_a, text_b, most))

    def target(self, text: str, most: int | None) -> PairPieces:
        """A text as an encoder-decoder writes it; counted only, if it has more than `most` pieces."""
        self._compare(text)
        return self._guarded(lambda: self._pair(text, None, most, target=True))

    def chat(self, text_a: str, text_b: str | None, most: int | None, goes_on: bool) -> PairPieces:
        """A conversation in the chat template; counted only, if it has more than `most` pieces."""
        written = converse(self.tokenizer, self.name, text_a, text_b, goes_on=goes_on)
        self._compare(written.text)
        return self._guarded(lambda: self._chat(written, most))

    def ids(self, text: str) -> list[int]:
        """The pieces of a text without special tokens; of an encoder-decoder those of a target."""
        self._compare(text)
        return self._guarded(lambda: self._ids(text))

    def pieces(self, ids: Iterable[int]) -> list[str | None]:
        """What pieces are called; None for a number that is none."""
        # Of one number it gives one name, and None where it has none.
        name = cast("Callable[[int], str | None]", self.tokenizer.convert_ids_to_tokens)
        return self._guarded(lambda: [name(index) for index in ids])

    def id_of(self, piece: str) -> int | None:
        """The number of a piece, if it is one."""
        return self._guarded(lambda: self.tokenizer.get_vocab().get(piece))

    def _compare(self, *texts: str) -> None:
        """Refuse a text that SentencePiece would cut otherwise: where both differ is not known before it is tried."""
        for original in self.originals:
            for text in texts:
                text = text.lower() if self.lowers else text
                if not self._guarded(lambda original=original, text=text: original.agrees(self.tokenizer, text)):
                    raise CheckpointError(
                        f"The tokenizer of {self.name}, made of its {original.file.name} alone, does not cut this text "
                        "as that model does; leave out what is unusual in it, such as several spaces in a row, or "
                        "choose a checkpoint with a tokenizer.json."
                    )

    def text(self, ids: Iterable[int]) -> str:
        """What pieces say, special tokens left out."""
        how = {"use_source_tokenizer": False} if isinstance(self.tokenizer, TwoModels) else {}
        how |= {"skip_special_tokens": True, "clean_up_tokenization_spaces": False}
        return self._guarded(lambda: str(self.tokenizer.decode(list(ids), **how)), "cannot write what pieces say")

    def _guarded(self, call: Callable[[], T], what: str = "fails on this text") -> T:
        try:
            with self._turn:
                return call()
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # a panic of the tokenizers library is no Exception
            raise CheckpointError(f"The tokenizer of {self.name} {what} ({brief(error)}).") from error

    def _facts(self) -> TokenizerFacts:
        made: Any = self.tokenizer  # its special tokens are attributes of no certain type
        start, languages, translates = made("a")["input_ids"], (), None
        if isinstance(self.tokenizer, TwoModels):
            languages = tuple(made.supported_language_codes)
        elif (translates := tokenizer_languages.translates(made, self._fast("a", None))) is not None:
            languages = tokenizer_languages.beginnings(made, self._fast("a", None), translates[0])
        return TokenizerFacts(
            size=max(made.get_vocab().values(), default=-1) + 1,
            longest=int(made.model_max_length),
            special=frozenset(made.all_special_ids),
            mask=made.mask_token_id,
            mask_token=made.mask_token,
            pad=made.pad_token_id,
            unknown=made.unk_token_id,
            marks_start=bool(start) and start[0] in {*made.all_special_ids} - {made.unk_token_id},
            truncation_side="left" if made.truncation_side == "left" else "right",
            has_chat_template=bool(made.chat_template),
            languages=languages,
            translates=translates,
            unnumbered=self.unnumbered,
            notes=self.notes,
        )

    def _ids(self, text: str) -> list[int]:
        if isinstance(self.tokenizer, TwoModels):
            return list(self.tokenizer(text_target=text, add_special_tokens=False)["input_ids"])
        return list(self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])

    def _pair(self, text_a: str, text_b: str | None, most: int | None, *, target: bool = False) -> PairPieces:
        made = self._cut(text_a, text_b, target=target)
        place = next((at for at, two in enumerate(pairwise(made.sentence), start=1) if two == (0, 1)), None)
        separator, ids = (None, []) if place is None else self._separator()
        count = made.count + len(ids)
        if most is not None and count > most:
            return PairPieces(count)
        if place is not None:
            made.sentence[place:place] = [None] * len(ids)
            made.offsets[place:place] = [(0, 0)] * len(ids)
            made.pieces[place:place] = self._called(ids)
            for name, values in made.inputs.items():
                values[place:place] = ids if name == "input_ids" else [values[place - 1]] * len(ids)
        return replace(made, count=count, separator=separator)

    def _cut(self, text_a: str, text_b: str | None, *, target: bool) -> PairPieces:
        """What the tokenizer itself makes of a pair."""
        if isinstance(self.tokenizer, TwoModels):
            return cut(self.tokenizer, text_a, text_b, target=target)
        if self.facts.translates is None:
            return self._fast(text_a, text_b)
        written, rest = tokenizer_languages.begun(text_a, self.facts.languages)
        source, code = self.facts.translates[0], written or self.facts.translates[target]
        number = cast("Callable[[str], int]", self.tokenizer.convert_tokens_to_ids)  # as of one piece
        made, before = self._fast(rest, text_b), len(text_a) - len(rest)
        return tokenizer_languages.in_language(made, source, code, number(code), before, is_written=bool(written))

    def _fast(self, text_a: str, text_b: str | None) -> PairPieces:
        if isinstance(self.tokenizer, ManyLanguages):
            return cut_source(self.tokenizer, text_a, text_b)
        made = self.tokenizer(
            text_a, text_b, return_offsets_mapping=True, return_attention_mask=True, truncation=False, verbose=False
        )
        ids, sentence = list(made["input_ids"]), list(made.sequence_ids())
        return PairPieces(len(sentence), _inputs(made), self._called(ids), sentence, list(made["offset_mapping"]))

    def _chat(self, written: Conversation, most: int | None) -> PairPieces:
        made = self.tokenizer(
            written.text,
            add_special_tokens=False,  # the template writes them
            return_offsets_mapping=True,
            return_attention_mask=True,
            truncation=False,
            verbose=False,
        )
        found = [written.find(*span) for span in made["offset_mapping"]]
        if most is not None and len(found) > most:
            return PairPieces(len(found))
        inputs = _inputs(made)
        sentence, offsets = [part for part, _ in found], [span for _, span in found]
        return PairPieces(len(found), inputs, self._called(inputs["input_ids"]), sentence, offsets)

    def _called(self, ids: list[int]) -> list[str]:
        """The entries of the vocabulary, or the number of what has no entry."""
        names = self.tokenizer.convert_ids_to_tokens(ids)
        return [str(index) if name is None else name for index, name in zip(ids, names, strict=True)]

    def _separator(self) -> tuple[str | None, list[int]]:
        """What goes between two sentences, for a reader and as entries of the vocabulary."""
        made: Any = self.tokenizer
        for token, index in ((made.sep_token, made.sep_token_id), (made.eos_token, made.eos_token_id)):
            if index is not None:
                return str(token), [index]
        ids = made("\n", add_special_tokens=False)["input_ids"]
        return ("line break", ids) if ids else ("", [])


def _inputs(made: BatchEncoding) -> dict[str, list[int]]:
    return {name: list(made[name]) for name in ("input_ids", "attention_mask", "token_type_ids") if name in made}


def read_here(folder: Path, name: str, *, chats: bool = True) -> LocalReader:
    """Read a tokenizer in this process: of the bundled pair, or of a folder of the person whose machine this is.

    Args:
        folder: Where its files are.
        name: What the checkpoint is called, for errors.
        chats: Whether its chat template, which is a program, may be run in this process.

    Raises:
        CheckpointError: If there is none, or one that cannot be trusted.
    """
    placed = TwoModels if has_two_models(folder) else ManyLanguages if has_many_languages(folder) else None
    tokenizer = read_tokenizer(folder, name) if placed is None else read_in_python(placed, folder, name)
    if not chats:
        tokenizer.chat_template = None
    if placed is not None:
        return LocalReader(tokenizer, name)  # which compares each text by itself
    notes = (tokenizer_notes.without_basic_cut(folder, tokenizer), *tokenizer_notes.marks_note(folder, tokenizer))
    lacking = tokenizer_notes.unnumbered(folder, tokenizer)
    lowers, done = sentence_transformer.follow(folder, tokenizer)
    return LocalReader(tokenizer, name, tuple(originals(folder)), lacking, (*filter(None, notes), *done), lowers)
