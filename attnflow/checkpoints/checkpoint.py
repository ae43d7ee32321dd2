"""Loads a checkpoint from the Hub, from the bundled pair or from a folder, and says what it is."""

from __future__ import annotations

import hashlib
import os
import pickle
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from transformers import (
    CONFIG_MAPPING,
    MODEL_FOR_CAUSAL_LM_MAPPING,
    MODEL_FOR_MASKED_LM_MAPPING,
    MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING,
    MODEL_FOR_TEXT_ENCODING_MAPPING,
    MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING,
    MODEL_MAPPING,
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    AutoModelForTextEncoding,
    AutoModelForTokenClassification,
    PreTrainedConfig,
    PreTrainedModel,
)

from attnflow import limits
from attnflow.cache import BoundedCache
from attnflow.checkpoints import config_rules, hub, repository_files
from attnflow.checkpoints.task_head import HeadKind, TaskHead, head_kind
from attnflow.checkpoints.tokenizer_process import read_apart
from attnflow.checkpoints.tokenizer_reader import TokenizerReader, read_here
from attnflow.errors import CheckpointError, UnsupportedArchitectureError, brief
from attnflow.methods.saliency import relevance
from attnflow.runtime import attention_hook, layers, watched_attention
from attnflow.runtime.compat import supports_attention_interface

BUNDLED = ("demo/pretrained", "demo/finetuned")
"""References of the two small checkpoints that come with attnflow."""
ASSETS = Path(__file__).parents[2] / "assets"

ENCODERS = ("t5", "mt5", "umt5", "bart", "mbart", "plbart", "pegasus")
"""Encoder-decoders whose encoder is analysed by itself."""
_LOADERS: dict[HeadKind, tuple[Mapping[type, Any], Any]] = {
    "sequence-classification": (MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING, AutoModelForSequenceClassification),
    "masked-lm": (MODEL_FOR_MASKED_LM_MAPPING, AutoModelForMaskedLM),
    "causal-lm": (MODEL_FOR_CAUSAL_LM_MAPPING, AutoModelForCausalLM),
    "token-classification": (MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING, AutoModelForTokenClassification),
}
_INTERFACE = ("biogpt", "stablelm")
"""Architectures that use the attention interface, although transformers does not say so of them."""
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
    root: Literal["first", "last"]
    """The token whose last embedding the task reads: the first (`[CLS]`) or, in causal models, the last."""
    max_tokens: int
    """Most pieces of one pair: the smaller of the model's own bound and `limits.MAX_TOKENS`."""
    steerable: bool
    """Whether a forward pass can begin at a later layer (`layers.steer`)."""
    encoder_alone: bool = False
    """Whether the model is the encoder of an encoder-decoder, whose decoder is left out."""
    license: str | None = None
    """As the model card on the Hub names it."""
    left_out: tuple[str, ...] = ()
    """Entries of its files that were not read, such as `config.json: auto_map`."""

    @property
    def key(self) -> tuple[str, str]:
        """What tells this checkpoint from every other."""
        return self.name, self.sha

    @property
    def nbytes(self) -> int:
        """Memory of its weights and its tokenizer."""
        return 4 * self.n_parameters + self.tokenizer.nbytes

    @property
    def padding(self) -> int | None:
        """The token that fills up a batch, as the model knows it; None if it knows none."""
        return self.model.config.get_text_config().pad_token_id


_loaded: BoundedCache[Checkpoint] = BoundedCache(limits.MODEL_CACHE_BYTES, lambda loaded: loaded.nbytes)


def load_checkpoint(
    ref: str | os.PathLike[str], *, revision: str | None = None, token: str | None = None
) -> Checkpoint:
    """Load a checkpoint, or return it from memory if it was loaded before.

    Code that comes with a checkpoint is never run: weights are read from safetensors, or from a `.bin` file by torch's
    weights-only loader, and `trust_remote_code` is off. Weights are held as float32 in evaluation mode.

    Args:
        ref: A Hub id (`google-bert/bert-base-uncased`), a bundled reference (`demo/pretrained`, `demo/finetuned`),
            or a local folder, given as a `Path` or as a text that begins with `/`, `./`, `../` or `~`.
        revision: Branch, tag or commit on the Hub.
        token: Hub access token for gated and private repositories. The process's own token is never used.

    Raises:
        CheckpointError: If it cannot be found, reached, or read safely.
        UnsupportedArchitectureError: If it is found but cannot be analysed; before its weights are downloaded.

    Example:
        >>> load_checkpoint("demo/finetuned").head.labels
        ('unsupported', 'supported')
    """
    if isinstance(ref, str) and ref in BUNDLED:
        return _load_folder(ASSETS / ref, ref)
    if isinstance(ref, os.PathLike) or (isinstance(ref, str) and ref.startswith(("/", "./", "../", "~"))):
        folder = Path(ref).expanduser()
        if not folder.is_dir():
            raise CheckpointError(f"{folder} is not a folder; give the folder that holds config.json and the weights.")
        return _load_folder(folder.resolve(), folder.resolve().name)
    location = hub.locate(ref, revision, token)
    # The private part of the key keeps what one token opened away from every other request.
    return _loaded.get((location.repo_id, location.sha, location.cache_dir), lambda: _load_location(location))


def _load_location(location: hub.Location) -> Checkpoint:
    if location.files and "config.json" not in location.files:
        lack = "no config.json, so it is no Transformer checkpoint; choose another repository"
        if "adapter_config.json" in location.files:
            lack = "an adapter (LoRA) without the model it adapts; choose a repository with merged weights"
        raise UnsupportedArchitectureError(f"{location.repo_id} has {lack}.")
    config = hub.read_config(location)
    check_supported(config, location.repo_id)
    if location.files and not location.weight_files:
        raise CheckpointError(
            f"{location.repo_id} has no weights as safetensors or PyTorch .bin; choose a repository that has."
        )
    if location.wanted_bytes > limits.MAX_DOWNLOAD_BYTES:
        raise CheckpointError(
            f"{location.repo_id} takes {location.wanted_bytes / 1e6:,.0f} MB to download; this machine takes at most "
            f"{limits.MAX_DOWNLOAD_BYTES / 1e6:,.0f} MB. Choose a smaller checkpoint."
        )
    _check_size(location.parameters or 0, location.repo_id)
    repository_files.check_sizes(location.files, location.repo_id)
    with hub.downloaded(location) as folder:
        reading = partial(read_apart, folder, location.repo_id)
        return replace(_read(folder, location.repo_id, location.sha, reading), license=location.license)


def _load_folder(folder: Path, name: str) -> Checkpoint:
    repository_files.check_links(folder, name)
    config = hub.parse_config(folder / "config.json", name)
    check_supported(config, name)
    sha = _content_hash(folder)
    return _loaded.get((str(folder), sha), lambda: _read(folder, name, sha, partial(read_here, name=name)))


def _content_hash(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.json")) + sorted(folder.glob("*.safetensors")) + sorted(folder.glob("*.bin")):
        digest.update(path.name.encode())
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:40]


def check_supported(config: Mapping[str, Any], name: str) -> None:
    """Refuse, by its configuration alone, what cannot be analysed.

    Raises:
        UnsupportedArchitectureError: With the reason.
    """
    kind = config.get("model_type")
    reason = None
    if not isinstance(kind, str) or kind not in CONFIG_MAPPING:
        reason = (
            "it needs code of its own, which is never run here"
            if "auto_map" in config
            else f"transformers does not know its architecture {kind!r}"
        )
    elif config.get("is_encoder_decoder") and kind not in ENCODERS:
        reason = f"{kind} is an encoder-decoder; of these, the encoders of {', '.join(ENCODERS)} can be analysed"
    elif "quantization_config" in config:
        reason = "its weights are quantised; the analyses need them in full"
    elif not any(CONFIG_MAPPING[kind] in tasks for tasks in _TEXT_TASKS):
        reason = f"{kind} does not read text"
    elif kind in watched_attention.MODEL_TYPES:
        reason = watched_attention.refusal(config)
    elif kind not in (*ENCODERS, *_INTERFACE):
        model_class = MODEL_MAPPING.get(CONFIG_MAPPING[kind], None)
        model_class = model_class[0] if isinstance(model_class, tuple) else model_class
        if not supports_attention_interface(model_class):
            reason = f"the attention of {kind} cannot be recorded through transformers' attention interface"
    if reason:
        raise UnsupportedArchitectureError(f"{name} cannot be analysed: {reason}. Choose another checkpoint.")
    config_rules.allowed_config(config, name)


def _read(folder: Path, name: str, sha: str, reading: Callable[[Path], TokenizerReader]) -> Checkpoint:
    """Read model and tokenizer from a folder whose configuration has been checked; its files may hold anything.

    Args:
        folder: The stranger's.
        name: What the checkpoint is called.
        sha: Its commit.
        reading: Reads the tokenizer from the folder that stands in for the stranger's while this lasts.
    """
    try:
        with repository_files.staged(folder, name) as files:
            return replace(_read_files(files.folder, name, sha, reading(files.folder)), left_out=files.left_out)
    except (CheckpointError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # a panic of the tokenizers library is no Exception
        raise CheckpointError(f"{name} cannot be loaded ({brief(error)}); choose another checkpoint.") from error


def _read_files(folder: Path, name: str, sha: str, tokenizer: TokenizerReader) -> Checkpoint:
    with _ONE_AT_A_TIME:
        model, head = _read_model(folder, name)
    relevance.install(model)
    config, encoder_alone = model.config.get_text_config(), model.config.model_type in ENCODERS
    sizes = [getattr(config, field, None) for field in ("num_hidden_layers", "num_attention_heads", "hidden_size")]
    if not all(isinstance(size, int) and size > 0 for size in sizes):
        raise UnsupportedArchitectureError(f"{name} cannot be analysed: its config.json does not tell its sizes.")
    return Checkpoint(
        name=name,
        sha=sha,
        model=model,
        tokenizer=tokenizer,
        architecture=type(model).__name__,
        n_layers=sizes[0],
        n_heads=sizes[1],
        width=sizes[2],
        n_parameters=model.num_parameters(),
        head=head,
        root=_root(model, tokenizer),
        max_tokens=min(limits.MAX_TOKENS, _longest_input(model, tokenizer)),
        steerable=layers.install(model.base_model, sizes[0]),
        encoder_alone=encoder_alone,
    )


def _root(model: PreTrainedModel, tokenizer: TokenizerReader) -> Literal["first", "last"]:
    """Where the task reads: in T5's encoder, which has no token for it, the token that ends the text stands in."""
    if model.config.model_type in ENCODERS:
        return "first" if tokenizer.facts.marks_start else "last"
    causal = any(getattr(module, "is_causal", False) for module in model.modules())
    return "last" if causal or model.config.model_type in watched_attention.READ_LAST else "first"


_ONE_AT_A_TIME = threading.Lock()
"""Held while a model is read: transformers then replaces functions of its own for the whole process, and a second
thread that reads at the same time misses weights that are tied to others, so that a trained head looks untrained."""


def _read_model(folder: Path, name: str) -> tuple[PreTrainedModel, TaskHead]:
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        if hasattr(config, "use_cache"):
            config.use_cache = False  # a cache of keys and values serves generation only
        kind = head_kind(config.architectures or [])
        known, loader = _LOADERS.get(kind, ({}, AutoModel))
        if type(config) not in known:
            loader = AutoModel
        if config.model_type in ENCODERS:
            kind, loader = "none", AutoModelForTextEncoding if _has_encoder_class(config) else AutoModel
        watched = config.model_type in watched_attention.MODEL_TYPES
        implementation = "eager" if watched else attention_hook.NAME
        # What the configuration asks for is allocated whatever the file holds, so that is what must be small enough.
        with torch.device("meta"):
            empty = loader.from_config(config, attn_implementation=implementation)
    except Exception as error:  # a configuration may hold anything
        raise CheckpointError(f"The config.json of {name} describes no model ({brief(error)}).") from error
    _check_size(empty.num_parameters(), name)
    _check_tables(empty, name)
    try:
        model, report = loader.from_pretrained(
            folder,
            config=config,
            dtype=torch.float32,
            attn_implementation=implementation,
            local_files_only=True,
            trust_remote_code=False,
            weights_only=True,
            output_loading_info=True,
        )
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"The weights of {name} are a pickle that holds more than tensors; it was refused and nothing in it was "
            "run. Choose a repository with safetensors."
        ) from error
    except Exception as error:
        raise CheckpointError(f"The weights of {name} cannot be read ({brief(error)}).") from error
    if watched:
        watched_attention.install(model)
    missing = set(report["missing_keys"])
    prefix = model.base_model_prefix + "."
    has_head = loader not in (AutoModel, AutoModelForTextEncoding)
    of_head = {key for key in missing if "pooler" in key or (has_head and not key.startswith(prefix))}
    if missing - of_head:
        raise CheckpointError(f"{name} lacks weights of its own model, {min(missing - of_head)} among them.")
    model.eval().requires_grad_(False)
    if config.model_type in ENCODERS:
        return model if _has_encoder_class(config) else model.get_encoder(), TaskHead("none", trained=False)
    if not has_head or of_head:
        return model, TaskHead(kind, trained=False)
    if not kind.endswith("classification"):
        return model, TaskHead(kind, trained=True)
    labels = tuple(str(config.id2label.get(index, index)) for index in range(config.num_labels))
    problem = {"regression": "regression", "multi_label_classification": "multi_label"}.get(
        config.problem_type or "", "single_label" if len(labels) > 1 else "regression"
    )
    return model, TaskHead(kind, trained=True, labels=labels, problem=problem)


def _has_encoder_class(config: PreTrainedConfig) -> bool:
    """Whether transformers can load the encoder without its decoder, as of T5."""
    return type(config) in MODEL_FOR_TEXT_ENCODING_MAPPING


def _check_size(parameters: int, name: str) -> None:
    if parameters > limits.MAX_PARAMETERS:
        raise CheckpointError(
            f"{name} has {parameters / 1e6:,.0f} million parameters; this machine takes at most "
            f"{limits.MAX_PARAMETERS / 1e6:,.0f} million. Choose a smaller checkpoint."
        )


def _check_tables(empty: PreTrainedModel, name: str) -> None:
    """Refuse what is not among the parameters: masks and positions as tables, and scores of a whole vocabulary."""
    size = 4 * empty.num_parameters() + sum(table.numel() * table.element_size() for table in empty.buffers())
    if size > 4 * limits.MAX_PARAMETERS:
        raise CheckpointError(
            f"{name} takes {size / 1e6:,.0f} MB with the tables of positions that its config.json asks for; this "
            f"machine takes at most {4 * limits.MAX_PARAMETERS / 1e6:,.0f} MB. Choose a smaller checkpoint."
        )
    entries = getattr(empty.config.get_text_config(), "vocab_size", 0)
    if isinstance(entries, int) and entries > limits.MAX_VOCABULARY:
        raise CheckpointError(
            f"The config.json of {name} asks for a vocabulary of {entries:,} entries; this machine takes at most "
            f"{limits.MAX_VOCABULARY:,}. Choose another checkpoint."
        )


def _longest_input(model: PreTrainedModel, tokenizer: TokenizerReader) -> int:
    """Most pieces that the position embeddings and the tokenizer allow."""
    positions = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    if not isinstance(positions, int) or positions <= 0:  # relative positions have no bound
        positions = limits.MAX_TOKENS
    for name, module in model.named_modules():
        # RoBERTa and its kin count positions from padding_idx + 1, so that many embeddings are never used.
        if name.endswith("position_embeddings") and getattr(module, "padding_idx", None) is not None:
            positions -= module.padding_idx + 1
    return min(positions, tokenizer.facts.longest)
