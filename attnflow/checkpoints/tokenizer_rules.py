"""What of a stranger's tokenizer files reaches transformers: plain settings and tokens, never the name of a file.

Many tokenizer classes take their vocabulary as an argument and open it as a file if it is a text, and transformers
passes every entry of these files on as an argument; so only entries that are named here are passed on, each of the kind
that it must have. What is left out is told.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from typing import Any

from transformers.models.auto.tokenization_auto import tokenizer_class_from_name
from transformers.models.m2m_100.tokenization_m2m_100 import M2M100Tokenizer
from transformers.models.marian.tokenization_marian import MarianTokenizer
from transformers.tokenization_utils_tokenizers import TokenizersBackend

from attnflow import limits
from attnflow.checkpoints.plain_json import kind_of, shown

_SWITCHES = frozenset(
    "add_prefix_space add_bos_token add_eos_token clean_text clean_up_tokenization_spaces "
    "clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output do_basic_tokenize do_lower_case "
    "keep_accents legacy legacy_behaviour only_label_first_subword predict_timestamps remove_space split_by_punct "
    "split_special_tokens strip_accents tokenize_chinese_chars trim_offsets use_default_system_prompt "
    "separate_vocabs fix_mistral_regex token_type_ids_include_special_tokens".split()
)
_NUMBERS = {
    **dict.fromkeys(("extra_ids", "offset", "num_madeup_words"), 10_000),  # so many tokens are made
    **dict.fromkeys(("unk_id", "pad_token_type_id", "pad_token_label"), 10**7),
    **dict.fromkeys(("max_depth", "max_width", "pad_width", "max_entity_length", "max_mention_length"), 10_000),
    **dict.fromkeys(("max_length", "stride", "pad_to_multiple_of"), 10**9),
    **dict.fromkeys(("model_max_length", "max_len"), 10**40),  # transformers writes 10**30 for no bound
}
_TEXTS = {
    "padding_side": r"left|right",
    "truncation_side": r"left|right",
    "truncation_strategy": r"[a-z_]{1,40}",
    "errors": r"replace|strict|ignore|backslashreplace",
    "language_codes": r"m2m100|wmt21",
    "src_lang": r"\w{1,20}",
    "tgt_lang": r"\w{1,20}",
    **dict.fromkeys(("source_lang", "target_lang"), r"[\w+-]{1,60}"),
    "language": r"\w{1,20}",
    "task": r"\w{1,40}",
    "token_type_ids_pattern": r"\w{1,40}",
    "special_tokens_pattern": r"\w{1,40}",
    "wordpieces_prefix": r"[#\w]{1,10}",
    "tokenizer_class": r"[A-Za-z]\w{0,79}",
}
_BOXES = frozenset("cls_token_box sep_token_box pad_token_box".split())
_TOKEN = re.compile(r"[a-z]\w{0,60}_token|mask_token_sent")
_TOKEN_SWITCHES = frozenset("lstrip rstrip single_word normalized special".split())
_LONGEST_TOKEN, _MOST_TOKENS = 1_000, 100_000
LONGEST_TEMPLATE = 64_000
"""Characters, or bytes of a file, of a chat template; long ones of well-known models have 20,000."""
_READ = (TokenizersBackend, MarianTokenizer, M2M100Tokenizer)
"""Classes of tokenizers that can be read: fast ones, and two in Python whose pieces SentencePiece places."""
_TYPES = {"WordPiece", "WordLevel", "BPE", "Unigram"}


def allowed_settings(found: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return what may be read of a `tokenizer_config.json`, and the keys that were left out.

    Raises:
        ValueError: If an entry has a value that it cannot have, with the reason.
    """
    return _allowed(found, _setting)


def allowed_special_tokens(found: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The same of a `special_tokens_map.json`, which holds nothing but tokens.

    Raises:
        ValueError: If a token is none.
    """
    return _allowed(found, _tokens)


def allowed_added_tokens(found: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The same of an `added_tokens.json`, which has a number for each token.

    Raises:
        ValueError: If an entry is no token with its number.
    """
    if len(found) > _MOST_TOKENS:
        raise ValueError(f"adds {len(found):,} tokens; at most {_MOST_TOKENS:,} can be read")
    return {_text(token, "a token"): _index(index, token) for token, index in found.items()}, []


def allowed_template(found: Any) -> str | None:
    """The text of a chat template, of several the one named `default`; None if it is none that is read.

    It is a program, so it is only passed on, as a text; see `chat_template` for where it is run.
    """
    if isinstance(found, list):
        named = {str(one.get("name")): one.get("template") for one in found if isinstance(one, dict)}
        found = named.get("default")
    return found if isinstance(found, str) and 0 < len(found) <= LONGEST_TEMPLATE else None


def check_tokenizer_json(found: Mapping[str, Any]) -> None:
    """Refuse a `tokenizer.json` whose vocabulary is anything but entries.

    Raises:
        ValueError: With the reason.
    """
    model = found.get("model")
    if not isinstance(model, dict):
        raise ValueError(f"gives model as {shown(model)}, where an object is due")
    if model.get("type", "BPE") not in _TYPES:
        raise ValueError(f"gives model.type as {shown(model['type'])}; known are {', '.join(sorted(_TYPES))}")
    check_vocabulary(model.get("vocab"), "model.vocab")
    merges = model.get("merges", [])
    if not isinstance(merges, list) or not all(
        isinstance(merge, str)
        or (isinstance(merge, list) and len(merge) == 2 and all(isinstance(p, str) for p in merge))
        for merge in merges
    ):
        raise ValueError(f"gives model.merges as {kind_of(merges)} that is not one of pairs")
    added = found.get("added_tokens") or []
    if not isinstance(added, list) or len(added) > _MOST_TOKENS:
        raise ValueError(f"gives added_tokens as {kind_of(added)}, where a list of at most {_MOST_TOKENS:,} is due")
    for token in added:
        _token("added_tokens", token)


def check_vocabulary(vocabulary: Any, key: str) -> None:
    """Refuse a vocabulary that is not a number for each text, or a list of texts with scores.

    Raises:
        ValueError: With the reason.
    """
    if not isinstance(vocabulary, dict | list):
        raise ValueError(f"gives {key} as {shown(vocabulary)}, {kind_of(vocabulary)}, where its entries are due")
    if len(vocabulary) > limits.MAX_VOCABULARY:
        raise ValueError(f"has {len(vocabulary):,} entries; at most {limits.MAX_VOCABULARY:,} can be read")
    if isinstance(vocabulary, dict):
        wrong = next((entry for entry, index in vocabulary.items() if type(index) is not int), None)
    else:
        wrong = next((entry for entry in vocabulary if not _is_scored(entry)), None)
    if wrong is not None:
        raise ValueError(f"has an entry that cannot be read, {shown(wrong)}")


def _is_scored(entry: Any) -> bool:
    return (
        isinstance(entry, list) and len(entry) == 2 and isinstance(entry[0], str) and isinstance(entry[1], int | float)
    )


def check_class(name: Any) -> None:
    """Refuse the name of a class of transformers that is no fast tokenizer; one that it does not know says nothing.

    transformers calls `from_pretrained` of whatever it has under that name, a model or a tokenizer that runs a program.

    Raises:
        ValueError: With the reason.
    """
    if name is None:
        return
    name = _checked_text("tokenizer_class", name)
    library = sys.modules["transformers"]
    for known in (name, name.removesuffix("Fast")):
        # All that it exports, without loading it; its own `dir` takes longer than all else of loading a small model.
        if known in library.__all__ or hasattr(type(library), known) or known in vars(library):
            found = tokenizer_class_from_name(known) if known.endswith(("Tokenizer", "Fast", "Backend")) else None
            if not isinstance(found, type) or not issubclass(found, _READ):
                raise ValueError(f"names {name} as tokenizer_class, which is no fast tokenizer of transformers")
            return


def _allowed(found: Mapping[str, Any], rule: Callable[[str, Any], Any]) -> tuple[dict[str, Any], list[str]]:
    kept, left_out = {}, []
    for key, value in found.items():
        if key == "tokenizer_class":
            check_class(value)
        allowed = rule(key, value)
        if allowed is _LEFT_OUT:
            left_out.append(key)
        else:
            kept[key] = allowed
    return kept, left_out


_LEFT_OUT = object()


def _setting(key: str, value: Any) -> Any:
    if value is None and (key in _SWITCHES or key in _NUMBERS or key in _TEXTS):
        return value
    if key in _SWITCHES:
        return _due(key, value, isinstance(value, bool), "true or false")
    if key in _NUMBERS:
        fits = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _NUMBERS[key]
        return _due(key, value, fits, "a number, and no larger one")
    if key in _TEXTS:
        return _checked_text(key, value)
    if key == "chat_template":
        return allowed_template(value) or _LEFT_OUT
    if key in _BOXES:
        fits = isinstance(value, list) and len(value) == 4 and all(type(number) is int for number in value)
        return _due(key, value, fits, "a list of four numbers")
    if key == "model_input_names":
        fits = isinstance(value, list) and len(value) < 20 and all(re.fullmatch(r"\w{1,40}", str(n)) for n in value)
        return _due(key, value, fits, "a list of names")
    if key == "added_tokens_decoder":
        fits = isinstance(value, dict) and len(value) <= _MOST_TOKENS
        tokens: dict[Any, Any] = _due(key, value, fits, "an object of tokens")
        return {str(_index(index, key)): _token(key, token) for index, token in tokens.items()}
    return _tokens(key, value)


def _tokens(key: str, value: Any) -> Any:
    if key in ("additional_special_tokens", "extra_special_tokens", "model_specific_special_tokens"):
        if value is None:
            return value
        _due(key, value, isinstance(value, list | dict) and len(value) <= _MOST_TOKENS, "a list of tokens")
        if isinstance(value, dict):
            return {_text(name, key): _token(key, token) for name, token in value.items()}
        return [_token(key, token) for token in value]
    if _TOKEN.fullmatch(key):
        return value if value is None or isinstance(value, bool) else _token(key, value)
    return _LEFT_OUT


def _token(key: str, value: Any) -> Any:
    """A token, as a text or as an object that says how it is found in a text."""
    if not isinstance(value, dict):
        return _text(value, key)
    _text(value.get("content"), key)
    for part, found in value.items():
        if part == "id":
            _index(found, str(value["content"]))
            continue
        known = part == "content" or (part == "__type" and found == "AddedToken")
        if not known and not (part in _TOKEN_SWITCHES and isinstance(found, bool)):
            raise ValueError(f"gives {key} as a token with {shown(part)} {shown(found)}, which no token has")
    return dict(value)


def _text(value: Any, key: str) -> str:
    return _due(key, value, isinstance(value, str) and len(value) <= _LONGEST_TOKEN, "a token")


def _index(index: Any, token: str) -> int:
    number = int(index) if isinstance(index, str) and index.isdecimal() and len(index) < 10 else index
    fits = type(number) is int and 0 <= number < 2 * limits.MAX_VOCABULARY
    _due(f"the number of {shown(token)}", index, fits, "a place in the vocabulary")
    return int(number)


def _checked_text(key: str, value: Any) -> str:
    fits = isinstance(value, str) and re.fullmatch(_TEXTS[key], value) is not None
    return _due(key, value, fits, "one of the words it can be")


def _due(key: str, value: Any, fits: bool, expected: str) -> Any:
    if not fits:
        raise ValueError(f"gives {key} as {shown(value)}, {kind_of(value)}, where {expected} is due")
    return value
