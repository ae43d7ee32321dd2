"""Loads a checkpoint from the Hub, from the bundled pair or from a folder, and says what it is."""

from __future__ import annotations

import copy
import hashlib
import os
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
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
    PreTrainedTokenizerBase,
)

from attnflow import limits
from attnflow.cache import BoundedCache
from attnflow.checkpoints import hub
from attnflow.checkpoints.architectures import ATTENTION, architecture, encoders, refusal
from attnflow.checkpoints.learnt import Learnt
from attnflow.checkpoints.loading import Loading
from attnflow.checkpoints.task_head import HeadKind, TaskHead, head_kind
from attnflow.checkpoints.tokenizer_files import read_tokenizer
from attnflow.errors import CheckpointError, UnsupportedArchitectureError, brief

BUNDLED = ("demo/pretrained", "demo/finetuned")
"""References of the two small checkpoints that come with attnflow."""
ASSETS = Path(__file__).parents[2] / "assets"

_LOADERS: dict[HeadKind, tuple[Mapping[type, Any], Any]] = {
    "sequence-classification": (MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING, AutoModelForSequenceClassification),
    "masked-lm": (MODEL_FOR_MASKED_LM_MAPPING, AutoModelForMaskedLM),
    "causal-lm": (MODEL_FOR_CAUSAL_LM_MAPPING, AutoModelForCausalLM),
    "token-classification": (MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING, AutoModelForTokenClassification),
}
_MOST_LAYERS = 200
_UNBOUNDED = 10**9
"""A bound of that many tokens is none, as transformers' own number for a tokenizer without one."""
_TEXT_TASKS = (MODEL_FOR_MASKED_LM_MAPPING, MODEL_FOR_CAUSAL_LM_MAPPING, MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING)


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A loaded model with its tokenizer; shared between requests, so nothing may change it."""

    name: str
    """Repository id, bundled reference or folder name."""
    sha: str
    """Commit of the Hub, or for local files a hash of their contents; 40 hexadecimal digits."""
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    architecture: str
    """Class of the model in transformers, such as `BertForSequenceClassification`."""
    n_layers: int
    n_heads: int
    width: int
    n_parameters: int
    head: TaskHead
    root: Literal["first", "last"]
    """The token whose last embedding the task reads: the first (`[CLS]`) or, in causal models, the last."""
    max_tokens: int | None
    """Most pieces of one pair, by the model's position embeddings and its tokenizer; None if neither has a bound."""
    steerable: bool
    """Whether a forward pass can begin at a later layer."""
    encoder_alone: bool = False
    """Whether the model is the encoder of an encoder-decoder, whose decoder is left out."""
    license: str | None = None
    """As the model card on the Hub names it."""
    learnt: Learnt = field(default_factory=Learnt, init=False, repr=False)
    """What has been found out about this very model by trying."""
    origin: Callable[[], Checkpoint] | None = field(default=None, init=False, repr=False)
    """Loads the same again, in whatever process; None of a checkpoint that was put together or changed by hand."""

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
        return replace(self, model=copy.deepcopy(self.model, memo), tokenizer=copy.deepcopy(self.tokenizer, memo))

    @property
    def key(self) -> tuple[str, str]:
        """What tells this checkpoint from every other."""
        return self.name, self.sha

    @property
    def device(self) -> torch.device:
        """Where the weights are held and everything is computed."""
        return self.model.device

    @property
    def nbytes(self) -> int:
        """Memory of the weights in bytes."""
        return sum(parameter.nbytes for parameter in self.model.parameters())

    @property
    def padding(self) -> int | None:
        """The token that fills up a batch, as the model knows it; None if it knows none."""
        return self.model.config.get_text_config().pad_token_id


_loaded: BoundedCache[Checkpoint] = BoundedCache(limits.MODEL_CACHE_BYTES, lambda loaded: loaded.nbytes)


def open_checkpoint(
    ref: str | os.PathLike[str], how: Loading, *, revision: str | None = None, token: str | None = None
) -> Checkpoint:
    """Load a checkpoint, or return it from memory if it was loaded before.

    Args:
        ref: A Hub id, a bundled reference, or a local folder.
        how: Device, precision, bounds, and what makes the model ready.
        revision: Branch, tag or commit on the Hub.
        token: Hub access token for gated and private repositories. The process's own token is never used.

    Raises:
        CheckpointError: If it cannot be found, reached, or read safely, or is too large.
        UnsupportedArchitectureError: If it is found but cannot be analysed; before its weights are downloaded.
    """
    if isinstance(ref, str) and ref in BUNDLED:
        return _load_folder(ASSETS / ref, ref, how, ref)
    if isinstance(ref, os.PathLike) or (isinstance(ref, str) and ref.startswith(("/", "./", "../", "~"))):
        folder = Path(ref).expanduser()
        if not folder.is_dir():
            raise CheckpointError(f"{folder} is not a folder; give the folder that holds config.json and the weights.")
        return _load_folder(folder.resolve(), folder.resolve().name, how, folder.resolve())
    location = hub.locate(ref, revision, token)
    # The private part of the key keeps what one token opened away from every other request.
    key = (location.repo_id, location.sha, location.cache_dir, how.place(), how.precision())
    return _loaded.get(key, lambda: _load_location(location, how))


def reopen_checkpoint(ref: str | Path, sha: str, how: Loading) -> Checkpoint:
    """Load what was loaded before, by this process or another, from the bundled pair, its folder or the Hub.

    It is opened without an access token: those are not written down, so what needs one is loaded by its name.

    Raises:
        CheckpointError: If it is not there any more, or is no longer what it was.
    """
    found = open_checkpoint(ref, how, revision=None if isinstance(ref, Path) or ref in BUNDLED else sha)
    if found.sha != sha:
        raise CheckpointError(f"The files of {found.name} have changed since it was loaded; load it anew.")
    return found


def _with_origin(checkpoint: Checkpoint, ref: str | Path, how: Loading) -> Checkpoint:
    again = partial(reopen_checkpoint, ref, checkpoint.sha, replace(how, max_parameters=None, max_download_bytes=None))
    object.__setattr__(checkpoint, "origin", again)  # not a field to be given, so that no changed copy has it
    return checkpoint


def _load_location(location: hub.Location, how: Loading) -> Checkpoint:
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
    if how.max_download_bytes is not None and location.wanted_bytes > how.max_download_bytes:
        raise CheckpointError(
            f"{location.repo_id} takes {location.wanted_bytes / 1e6:,.0f} MB to download; this machine takes at most "
            f"{how.max_download_bytes / 1e6:,.0f} MB. Choose a smaller checkpoint."
        )
    _check_size(location.parameters or 0, location.repo_id, how)
    with hub.downloaded(location) as folder:
        found = replace(_read(folder, location.repo_id, location.sha, how), license=location.license)
        return _with_origin(found, location.repo_id, how)


def _load_folder(folder: Path, name: str, how: Loading, ref: str | Path) -> Checkpoint:
    config = hub.parse_config(folder / "config.json", name)
    check_supported(config, name)
    sha = _content_hash(folder)
    key = (str(folder), sha, how.place(), how.precision())
    return _loaded.get(key, lambda: _with_origin(_read(folder, name, sha, how), ref, how))


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
    known = architecture(kind)
    reason = None
    if not isinstance(kind, str) or kind not in CONFIG_MAPPING:
        reason = (
            "it needs code of its own, which is never run here"
            if "auto_map" in config
            else f"transformers does not know its architecture {kind!r}"
        )
    elif config.get("is_encoder_decoder") and not known.encoder_alone:
        reason = f"{kind} is an encoder-decoder; of these, the encoders of {', '.join(encoders())} can be analysed"
    elif "quantization_config" in config:
        reason = "its weights are quantised; the analyses need them in full"
    elif not any(CONFIG_MAPPING[kind] in tasks for tasks in _TEXT_TASKS):
        reason = f"{kind} does not read text"
    elif not 0 < _layers(config) <= _MOST_LAYERS:
        reason = f"its config.json asks for {_layers(config)} layers; from 1 to {_MOST_LAYERS} can be analysed"
    elif refusal(config):
        reason = refusal(config)
    elif not (known.watched or known.encoder_alone or known.interface):
        model_class = MODEL_MAPPING.get(CONFIG_MAPPING[kind], None)
        model_class = model_class[0] if isinstance(model_class, tuple) else model_class
        if model_class is None or not getattr(model_class, "_supports_attention_backend", False):
            reason = f"the attention of {kind} cannot be recorded through transformers' attention interface"
    if reason:
        raise UnsupportedArchitectureError(f"{name} cannot be analysed: {reason}. Choose another checkpoint.")


def _layers(config: Mapping[str, Any]) -> int:
    """Number of layers; 1 where the configuration leaves it to the architecture's default."""
    for name in ("num_hidden_layers", "n_layer", "n_layers", "num_layers"):
        if name in config:
            return config[name] if isinstance(config[name], int) else 0
    return 1


def _read(folder: Path, name: str, sha: str, how: Loading) -> Checkpoint:
    """Read model and tokenizer from a folder whose configuration has been checked; its files may hold anything."""
    try:
        return _read_files(folder, name, sha, how)
    except (CheckpointError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # a panic of the tokenizers library is no Exception
        raise CheckpointError(f"{name} cannot be loaded ({brief(error)}); choose another checkpoint.") from error


def _read_files(folder: Path, name: str, sha: str, how: Loading) -> Checkpoint:
    tokenizer = read_tokenizer(folder, name)
    model, head = _read_model(folder, name, how)
    config, encoder_alone = model.config.get_text_config(), architecture(model.config.model_type).encoder_alone
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
        max_tokens=_longest_input(model, tokenizer),
        steerable=how.prepare(model, sizes[0]),
        encoder_alone=encoder_alone,
    )


def _root(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> Literal["first", "last"]:
    """Where the task reads: in T5's encoder, which has no token for it, the token that ends the text stands in."""
    known = architecture(model.config.model_type)
    if known.encoder_alone:
        return "first" if tokenizer("a").input_ids[0] in tokenizer.all_special_ids else "last"
    causal = any(getattr(module, "is_causal", False) for module in model.modules())
    return known.reads or ("last" if causal else "first")


def _read_model(folder: Path, name: str, how: Loading) -> tuple[PreTrainedModel, TaskHead]:
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        if hasattr(config, "use_cache"):
            config.use_cache = False  # a cache of keys and values serves generation only
        kind = head_kind(config.architectures or [])
        known, loader = _LOADERS.get(kind, ({}, AutoModel))
        if type(config) not in known:
            loader = AutoModel
        known = architecture(config.model_type)
        if known.encoder_alone:
            kind, loader = "none", AutoModelForTextEncoding if _has_encoder_class(config) else AutoModel
        implementation = "eager" if known.watched else ATTENTION
        # What the configuration asks for is allocated whatever the file holds, so that is what must be small enough.
        with torch.device("meta"):
            parameters = loader.from_config(config, attn_implementation=implementation).num_parameters()
    except Exception as error:  # a configuration may hold anything
        raise CheckpointError(f"The config.json of {name} describes no model ({brief(error)}).") from error
    _check_size(parameters, name, how)
    device = how.place()
    try:
        model, report = loader.from_pretrained(
            folder,
            config=config,
            dtype=how.precision(),
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
    missing = set(report["missing_keys"])
    prefix = model.base_model_prefix + "."
    has_head = loader not in (AutoModel, AutoModelForTextEncoding)
    of_head = {key for key in missing if "pooler" in key or (has_head and not key.startswith(prefix))}
    if missing - of_head:
        raise CheckpointError(f"{name} lacks weights of its own model, {min(missing - of_head)} among them.")
    model.to(device).eval().requires_grad_(False)
    if known.encoder_alone:
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


def _check_size(parameters: int, name: str, how: Loading) -> None:
    if how.max_parameters is not None and parameters > how.max_parameters:
        raise CheckpointError(
            f"{name} has {parameters / 1e6:,.0f} million parameters; this machine takes at most "
            f"{how.max_parameters / 1e6:,.0f} million. Choose a smaller checkpoint."
        )


def _longest_input(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> int | None:
    """Most pieces that the position embeddings and the tokenizer allow; None if any number."""
    positions = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    if not isinstance(positions, int) or positions <= 0:  # relative positions have no bound
        positions = _UNBOUNDED
    for name, module in model.named_modules():
        # RoBERTa and its kin count positions from padding_idx + 1, so that many embeddings are never used.
        if name.endswith("position_embeddings") and getattr(module, "padding_idx", None) is not None:
            positions -= module.padding_idx + 1
    longest = min(positions, tokenizer.model_max_length)
    return None if longest >= _UNBOUNDED else int(longest)
