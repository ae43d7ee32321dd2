"""Loads a checkpoint from the Hub, from the bundled pair or from a folder, and says what it is."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from transformers.modeling_utils import PreTrainedModel
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    MODEL_FOR_MASKED_LM_MAPPING,
    MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING,
    MODEL_MAPPING,
)

from attnflow import limits
from attnflow.bundled import ASSETS
from attnflow.cache import BoundedCache
from attnflow.checkpoints import config_rules, hub, moments, repository_files, sentence_transformer
from attnflow.checkpoints.architectures import architecture, encoder_decoders, refusal
from attnflow.checkpoints.compat import n_entries, supports_attention_interface
from attnflow.checkpoints.encoder_decoders import check_one_stack, find_stacks, languages_note
from attnflow.checkpoints.hub_find import find
from attnflow.checkpoints.input_bounds import longest_input, special_notes, token_types
from attnflow.checkpoints.learnt import Learnt
from attnflow.checkpoints.loading import Loading
from attnflow.checkpoints.model_files import check_parameters, read_config, read_model
from attnflow.checkpoints.present_files import check_described, check_weights
from attnflow.checkpoints.reading import Reading, Tokens, find_reading, usual_tokens
from attnflow.checkpoints.references import parse_reference
from attnflow.checkpoints.task_head import TaskHead
from attnflow.checkpoints.tokenizer_process import read_apart
from attnflow.checkpoints.tokenizer_reader import TokenizerReader, read_here
from attnflow.errors import CheckpointError, UnsupportedArchitectureError, brief
from attnflow.records.stacks import Stacks
from attnflow.records.trace import Head

BUNDLED = ("demo/pretrained", "demo/finetuned")
"""References of the two small checkpoints that come with attnflow."""

_TEXT_TASKS = (MODEL_FOR_MASKED_LM_MAPPING, MODEL_FOR_CAUSAL_LM_MAPPING, MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING)


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A loaded model with its tokenizer; shared between requests, so nothing may change it."""

    name: str
    """Repository id, bundled reference or folder name."""
    sha: str
    """Commit of the Hub, or for local files a hash of their contents; 40 hexadecimal digits."""
    model: PreTrainedModel
    tokenizer: TokenizerReader
    architecture: str
    """Class of the model in transformers, such as `BertForSequenceClassification`."""
    n_layers: int
    n_heads: int
    width: int
    n_parameters: int
    head: TaskHead
    reading: Reading
    """The tokens whose last embeddings the score of a whole text reads, found by its gradient; without such a head,
    what a task would read: the first (`[CLS]`) or, in causal models, the last."""
    max_tokens: int | None
    """Most pieces of one pair, by the model's position embeddings and its tokenizer; None if neither has a bound."""
    steerable: bool
    """Whether a forward pass can begin at a later layer."""
    encoder_alone: bool = False
    """Whether the model is the encoder of an encoder-decoder, whose decoder is left out."""
    stacks: Stacks | None = None
    """Of an encoder-decoder that is read whole, how its two stacks are one model."""
    starts_with: int | None = None
    """The token that its decoder begins each target with; None where that is the token that ends a target."""
    n_token_types: int | None = None
    """How many kinds of sentences it has embeddings for; None if it does not tell sentences apart by them."""
    pruned: frozenset[Head] = frozenset()
    """Heads that its file was saved without; they are switched off in every run."""
    notes: tuple[str, ...] = ()
    """What a reader must know of how its files were read, in sentences, such as which weights are left aside."""
    license: str | None = None
    """As the model card on the Hub names it."""
    left_out: tuple[str, ...] = ()
    """Entries of its files that were not read, such as `config.json: auto_map`."""
    learnt: Learnt = field(default_factory=Learnt, init=False, repr=False)
    """What has been found out about this very model by trying."""
    origin: Callable[[], Checkpoint] | None = field(default=None, init=False, repr=False)
    """Loads the same again, in whatever process; None of a checkpoint that was put together or changed by hand."""
    folder: Path | None = field(default=None, init=False, repr=False)
    """Likewise, where its files lie."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled as what it was loaded from, which is a few bytes and holds no access token."""
        if not isinstance(self.origin, partial):
            raise CheckpointError(
                f"{self.name} was put together or changed after it was loaded, so another process cannot load the "
                "same; save it into a folder, and send what is loaded from there."
            )
        return self.origin.func, self.origin.args

    def __deepcopy__(self, memo: dict[int, Any]) -> Checkpoint:
        """One whose weights may be changed, unlike those that are shared."""
        return replace(self, model=copy.deepcopy(self.model, memo))

    @property
    def key(self) -> tuple[str, str]:
        """What tells this checkpoint from every other."""
        return self.name, self.sha

    @property
    def root(self) -> Tokens:
        """The tokens whose last embeddings the task reads."""
        return self.reading.tokens

    @property
    def reads_again(self) -> bool:
        """Whether it is an encoder-decoder whose decoder reads the text that its encoder reads, to score it."""
        return self.stacks is not None and self.head.is_about_a_text

    @property
    def heads(self) -> list[Head]:
        """All heads that there are; in the encoder's layers of an encoder-decoder there is no cross-attention."""
        every = ((layer, head) for layer in range(self.n_layers) for head in range(self.n_heads))
        return [head for head in every if self.stacks is None or self.stacks.kind(*head)]

    def check_one_stack(self, what: str) -> None:
        """Refuse what would count tokens that take no part in a layer as attending to themselves.

        Args:
            what: What cannot be had, as a sentence begins with it, in the plural.

        Raises:
            UnsupportedArchitectureError: If it is an encoder-decoder that is read whole.
        """
        check_one_stack(self.stacks, self.name, what)

    @property
    def device(self) -> torch.device:
        """Where the weights are held and everything is computed."""
        return self.model.device

    @property
    def nbytes(self) -> int:
        """Memory of its weights, its tokenizer, and what was found out about it, which grows as it is analysed."""
        weights = sum(parameter.nbytes for parameter in self.model.parameters())
        return weights + self.tokenizer.nbytes + self.learnt.nbytes

    @property
    def n_entries(self) -> int:
        """Entries of the vocabulary that it has an embedding of."""
        return n_entries(self.model)

    @property
    def padding(self) -> int | None:
        """The token that fills up a batch, as the model knows it; None if it knows none."""
        return self.model.config.get_text_config().pad_token_id


_loaded: BoundedCache[Checkpoint] = BoundedCache(limits.MODEL_CACHE_BYTES, lambda loaded: loaded.nbytes)


def bundled_part(ref: Any) -> tuple[str, str | None] | None:
    """The bundled checkpoint that a reference names, and perhaps a moment of its training; None if it names none."""
    name, _, moment = ref.strip().partition("@") if isinstance(ref, str) else ("", "", "")
    name = name.rstrip("/")
    return (name, moment or None) if name in BUNDLED else None


def open_checkpoint(
    ref: str | os.PathLike[str],
    how: Loading,
    *,
    revision: str | None = None,
    token: str | None = None,
    name: str | None = None,
) -> Checkpoint:
    """Load a checkpoint, or return it from memory if it was loaded before.

    Args:
        ref: A Hub id or an address of its pages, a bundled reference, or a local folder.
        how: Device, precision, bounds, and what makes the model ready.
        revision: Branch, tag or commit on the Hub; of a folder or what is bundled, a checkpoint along the way
            (`moments`).
        token: Hub access token for gated and private repositories. The process's own token is never used.
        name: What a folder is called; by its own name if None.

    Raises:
        CheckpointError: If it cannot be found, reached, or read safely, or is too large.
        UnsupportedArchitectureError: If it is found but cannot be analysed; before its weights are downloaded.
    """
    bundled = bundled_part(ref)
    if bundled is not None:
        own, moment = bundled[0], bundled[1] or revision
        return _load_folder(moments.folder_at(ASSETS / own, moment, own), _at(own, moment), how, _at(own, moment))
    if isinstance(ref, os.PathLike) or (isinstance(ref, str) and ref.startswith(("/", "./", "../", "~"))):
        folder = Path(ref).expanduser()
        if not folder.is_dir():
            raise CheckpointError(f"{folder} is not a folder; give the folder that holds config.json and the weights.")
        folder = folder.resolve()
        own = name or folder.name
        return _load_folder(moments.folder_at(folder, revision, own), _at(own, revision), how)
    location, notes = find(parse_reference(ref, revision), token)
    # The private part of the key keeps what one token opened away from every other request.
    key = (location.name, location.sha, location.cache_dir, how.place(), how.precision())
    return _loaded.get(key, lambda: _load_location(location, notes, how))


def _at(name: str, moment: str | None) -> str:
    return f"{name}@{moment}" if moment else name


def reopen_checkpoint(ref: str | Path, sha: str, how: Loading, name: str) -> Checkpoint:
    """Load what was loaded before, by this process or another, from the bundled pair, its folder or the Hub.

    It is opened without an access token: those are not written down, so what needs one is loaded by its name.

    Raises:
        CheckpointError: If it is not there any more, or is no longer what it was.
    """
    here = isinstance(ref, Path) or bundled_part(ref) is not None
    found = open_checkpoint(ref, how, revision=None if here else sha, name=name)
    if found.sha != sha:
        raise CheckpointError(f"The files of {found.name} have changed since it was loaded; load it anew.")
    return found


def _with_origin(checkpoint: Checkpoint, ref: str | Path, how: Loading, folder: Path) -> Checkpoint:
    how = replace(how, max_parameters=None, max_download_bytes=None)
    again = partial(reopen_checkpoint, ref, checkpoint.sha, how, checkpoint.name)
    for field_name, value in (("origin", again), ("folder", folder)):
        object.__setattr__(checkpoint, field_name, value)  # not to be given, so that no changed copy has it
    return checkpoint


def _load_location(location: hub.Location, notes: tuple[str, ...], how: Loading) -> Checkpoint:
    if location.files:
        check_described(location.files, location.name)
    config = hub.read_config(location)
    check_supported(config, location.name)
    if location.files:
        check_weights(location.files, location.name)
    if how.max_download_bytes is not None and location.wanted_bytes > how.max_download_bytes:
        raise CheckpointError(
            f"{location.name} takes {location.wanted_bytes / 1e6:,.0f} MB to download; this machine takes at most "
            f"{how.max_download_bytes / 1e6:,.0f} MB. Choose a smaller checkpoint."
        )
    check_parameters(location.parameters or 0, location.name, how)
    repository_files.check_sizes(location.files, location.name)
    with hub.downloaded(location) as folder:
        reading = partial(read_apart, folder, location.name)
        found = _noted(_read(folder, location.name, location.sha, reading, how), notes)
        found = replace(found, license=location.license)
        return _with_origin(found, location.name, how, folder)


def _load_folder(folder: Path, name: str, how: Loading, ref: str | None = None) -> Checkpoint:
    """Load what lies in a folder, which another process finds by its reference, or else by its place."""
    origin = ref or folder
    repository_files.check_links(folder, name)
    notes: tuple[str, ...] = ()
    if (folder / sentence_transformer.FILE).exists():
        parts, prompts = sentence_transformer.read_parts(folder / sentence_transformer.FILE, name), ""
        if (folder / sentence_transformer.PROMPTS).is_file():
            prompts = sentence_transformer.prompts_note(folder / sentence_transformer.PROMPTS, name)
        folder, notes = folder / parts.folder, (parts.note, prompts)
        if not folder.is_dir():
            raise CheckpointError(f"{name} lacks the folder {parts.folder} in which its modules.json places the model.")
        repository_files.check_links(folder, name)
    files = {path.name for path in folder.iterdir()}
    check_described(files, name)
    config = hub.parse_config(folder / "config.json", name)
    check_supported(config, name)
    check_weights(files, name)
    sha = repository_files.content_hash(folder)
    key = (str(folder), name, sha, how.place(), how.precision())

    def load() -> Checkpoint:
        found = _read(folder, name, sha, partial(read_here, name=name), how)
        return _with_origin(_noted(found, notes), origin, how, folder)

    return _loaded.get(key, load)


def _noted(checkpoint: Checkpoint, notes: tuple[str, ...]) -> Checkpoint:
    return replace(checkpoint, notes=(*checkpoint.notes, *filter(None, notes)))


def check_supported(config: Mapping[str, Any], name: str) -> None:
    """Refuse, by its configuration alone, what cannot be analysed.

    Raises:
        UnsupportedArchitectureError: With the reason.
    """
    kind = config.get("model_type")
    known = architecture(kind)
    reason = None
    if not isinstance(kind, str) or kind not in CONFIG_MAPPING:
        reason = (
            "it needs code of its own, which is never run here"
            if "auto_map" in config
            else f"transformers does not know its architecture {kind!r}"
        )
    elif config.get("is_encoder_decoder") and not known.stacks:
        reason = f"{kind} is an encoder-decoder; of these, {', '.join(encoder_decoders())} can be analysed"
    elif config.get("quantization_config") is not None:
        reason = "its weights are quantised; the analyses need them in full"
    elif not known.stacks and not any(CONFIG_MAPPING[kind] in tasks for tasks in _TEXT_TASKS):
        reason = f"{kind} does not read text"
    elif refusal(config):
        reason = refusal(config)
    elif not (known.watched or known.stacks or known.interface):
        model_class = MODEL_MAPPING.get(CONFIG_MAPPING[kind], None)
        model_class = model_class[0] if isinstance(model_class, tuple) else model_class
        if not supports_attention_interface(model_class):
            reason = f"the attention of {kind} cannot be recorded through transformers' attention interface"
    if reason:
        raise UnsupportedArchitectureError(f"{name} cannot be analysed: {reason}. Choose another checkpoint.")
    config_rules.allowed_config(config, name)


def _read(folder: Path, name: str, sha: str, reading: Callable[[Path], TokenizerReader], how: Loading) -> Checkpoint:
    """Read model and tokenizer from a folder whose configuration has been checked; its files may hold anything.

    Args:
        folder: The stranger's.
        name: What the checkpoint is called.
        sha: Its commit.
        reading: Reads the tokenizer from the folder that stands in for the stranger's while this lasts.
        how: Device, precision, bounds, and what makes the model ready.
    """
    try:
        with repository_files.staged(folder, name) as files:
            found = _read_files(files.folder, name, sha, reading, how)
            return replace(found, left_out=files.left_out)
    except (CheckpointError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # a panic of the tokenizers library is no Exception
        raise CheckpointError(f"{name} cannot be loaded ({brief(error)}); choose another checkpoint.") from error


def _read_files(
    folder: Path, name: str, sha: str, reading: Callable[[Path], TokenizerReader], how: Loading
) -> Checkpoint:
    described = read_config(folder, name)  # first, as the tokenizer's code reads it, too, and would be blamed for it
    tokenizer = reading(folder)
    read = read_model(folder, described, name, how, translates=tokenizer.facts.translates is not None)
    model = read.model
    config = model.config.get_text_config()
    sizes: list[Any] = [
        getattr(config, field, None) for field in ("num_hidden_layers", "num_attention_heads", "hidden_size")
    ]
    if not all(isinstance(size, int) and size > 0 for size in sizes):
        raise UnsupportedArchitectureError(f"{name} cannot be analysed: its config.json does not tell its sizes.")
    whole = read.stacks == "both"
    stacks, starts_with = find_stacks(model, sizes[0], sizes[1], name) if whole else (None, None)
    steerable, facts = how.prepare(model, stacks or sizes[0]), tokenizer.facts
    if stacks is not None and not steerable:
        raise UnsupportedArchitectureError(f"{name} cannot be analysed: the layers of its stacks cannot be told apart.")
    found = Reading("last" if stacks else usual_tokens(model, marks_start=facts.marks_start))
    if read.head.classifies_texts and stacks is None:
        apart = {facts.mask, facts.unknown, facts.pad, config.pad_token_id} - {None}
        found = find_reading(model, found.tokens, sorted(facts.special), apart)
    return Checkpoint(
        name=name,
        sha=sha,
        model=model,
        tokenizer=tokenizer,
        architecture=type(model).__name__,
        n_layers=stacks.n_layers if stacks else sizes[0],
        n_heads=2 * stacks.n_heads if stacks else sizes[1],
        width=sizes[2],
        n_parameters=model.num_parameters(),
        head=read.head,
        reading=found,
        max_tokens=longest_input(model, tokenizer),
        steerable=steerable,
        encoder_alone=read.stacks == "encoder",
        stacks=stacks,
        starts_with=starts_with,
        n_token_types=token_types(model),
        pruned=read.pruned,
        notes=(
            *read.notes,
            *languages_note(facts, config.model_type, stacks=read.stacks, writes=not read.head.is_about_a_text),
            *facts.notes,
            *special_notes(n_entries(model), tokenizer, name),
        ),
    )
