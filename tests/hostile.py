"""Tiny repositories as an attacker would publish them, made on the spot from an honest one.

Each is a function that changes a copy of a small checkpoint; `READING` ones try to have a file of the machine opened
or something run, `SIZES` ones try to take its memory. Add yours to the list it belongs to.
"""

from __future__ import annotations

import inspect
import json
import os
import shutil
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers.models.auto.tokenization_auto import TOKENIZER_MAPPING_NAMES, tokenizer_class_from_name

SECRET = "correct-horse-battery-staple"
"""What is written in the files that must not be read."""

TAKEN_AS_A_PATH = ("vocab", "merges", "entity_vocab", "tags_dict")
"""Arguments of tokenizers that may be the name of a file, besides those that say so."""


@dataclass(frozen=True)
class Canary:
    """Files of the machine, outside of every repository."""

    folder: Path

    @property
    def words(self) -> str:
        """A text, one word a line, as a vocabulary is."""
        return str(self.folder / "secret.txt")

    @property
    def vocabulary(self) -> str:
        """A JSON object, as another kind of vocabulary is."""
        return str(self.folder / "secret.json")

    @property
    def checkpoint(self) -> Path:
        """A whole checkpoint of somebody else; its files are named as transformers would look for them."""
        return self.folder / "private"

    @classmethod
    def make(cls, folder: Path, honest: Path) -> Canary:
        """Write them into a folder; the private checkpoint is a copy of an honest one."""
        folder.mkdir()
        canary = cls(folder)
        words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", SECRET, "password", "token"]
        Path(canary.words).write_text("\n".join(words) + "\n")
        Path(canary.vocabulary).write_text(json.dumps({word: index for index, word in enumerate(words)}))
        shutil.copytree(honest, canary.checkpoint)
        for name, copy in (("config.json", "config.0.1.0.json"), ("tokenizer.json", "tokenizer.0.1.0.json")):
            shutil.copy(honest / name, canary.folder / copy)
        (canary.folder / "model.safetensors").write_bytes((honest / "model.safetensors").read_bytes())
        (canary.folder / "chat_template.jinja").write_text(SECRET)
        return canary


@dataclass(frozen=True)
class Hostile:
    """One attack."""

    name: str
    change: Callable[[Path, Canary], None]
    """Changes a copy of the honest repository."""
    refused: str | None = None
    """Pattern of the sentence that refuses it; None if it is loaded and does no harm."""
    model_type: str = "bert"
    """Of the honest repository that it is made of."""

    def make(self, honest: Path, target: Path, canary: Canary) -> Path:
        """Write it into a folder."""
        shutil.copytree(honest, target)
        self.change(target, canary)
        return target


def edit(folder: Path, file: str, **entries: Any) -> None:
    """Change entries of a JSON file of a repository."""
    path = folder / file
    found = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(found | entries))


def leave_vocabulary_out(folder: Path, *, instead: bool = False) -> None:
    """Take the tokenizer's file away, and perhaps put a plain vocabulary there, so that its class matters."""
    vocabulary = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
    (folder / "tokenizer.json").unlink()
    if instead:
        (folder / "vocab.txt").write_text("\n".join(vocabulary))


def arguments_that_take_a_path() -> dict[str, list[str]]:
    """All tokenizer classes of transformers, with those of their arguments that may be the name of a file."""
    found = {}
    for name in sorted({name for name in TOKENIZER_MAPPING_NAMES.values() if name}):
        tokenizer_class = tokenizer_class_from_name(name)
        if tokenizer_class is not None:
            arguments = set(inspect.signature(tokenizer_class.__init__).parameters)
            arguments |= {"vocab", "vocab_file", "tokenizer_file"} | set(
                getattr(tokenizer_class, "vocab_files_names", ())
            )
            found[name] = sorted(a for a in arguments if a.endswith("_file") or a in TAKEN_AS_A_PATH)
    return found


# ---- files that name other files


def _settings(*, instead: bool = False, **entries: Any) -> Callable[[Path, Canary], None]:
    """Entries of tokenizer_config.json; `{words}` and the like stand for a path of the canary."""

    def change(folder: Path, canary: Canary) -> None:
        leave_vocabulary_out(folder, instead=instead)
        (folder / "tokenizer_config.json").unlink()
        edit(folder, "tokenizer_config.json", **{"tokenizer_class": "BertTokenizer", **_filled(entries, canary)})

    return change


def _with_file(file: str, *, keep: bool = False, **entries: Any) -> Callable[[Path, Canary], None]:
    """Entries of another JSON file, beside a tokenizer without a vocabulary of its own, or an honest one."""

    def change(folder: Path, canary: Canary) -> None:
        if not keep:
            leave_vocabulary_out(folder)
            (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "BertTokenizer"}))
        edit(folder, file, **_filled(entries, canary))

    return change


def _filled(value: Any, canary: Canary) -> Any:
    if isinstance(value, str):
        return (
            value.replace("{words}", canary.words)
            .replace("{vocabulary}", canary.vocabulary)
            .replace("{folder}", str(canary.folder))
        )
    if isinstance(value, dict):
        return {key: _filled(item, canary) for key, item in value.items()}
    return [_filled(item, canary) for item in value] if isinstance(value, list) else value


def _of_model(**entries: Any) -> Callable[[Path, Canary], None]:
    """Entries of the model in tokenizer.json."""

    def change(folder: Path, canary: Canary) -> None:
        found = json.loads((folder / "tokenizer.json").read_text())
        found["model"] |= _filled(entries, canary)
        (folder / "tokenizer.json").write_text(json.dumps(found))
        (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "BertTokenizer"}))

    return change


def _link(name: str, to: str) -> Callable[[Path, Canary], None]:
    def change(folder: Path, canary: Canary) -> None:
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(_filled(to, canary))

    return change


def _index(shard: str) -> Callable[[Path, Canary], None]:
    """Sharded weights whose index names a file elsewhere."""

    def change(folder: Path, canary: Canary) -> None:
        (folder / "model.safetensors").unlink()
        edit(folder, "model.safetensors.index.json", metadata={}, weight_map={"a": _filled(shard, canary)})

    return change


def _files(**contents: str) -> Callable[[Path, Canary], None]:
    """Other files; `__` in a name stands for a dot and `_in_` for a folder."""

    def change(folder: Path, canary: Canary) -> None:
        for name, text in contents.items():
            path = folder / name.replace("_in_", "/").replace("__", ".")
            path.parent.mkdir(exist_ok=True)
            path.write_text(_filled(text, canary))

    return change


def _many(*changes: Callable[[Path, Canary], None]) -> Callable[[Path, Canary], None]:
    def change(folder: Path, canary: Canary) -> None:
        for one in changes:
            one(folder, canary)

    return change


NO_VOCABULARY, ELSEWHERE = "tokenizer of .* cannot be loaded", "no file of its own folder but leads elsewhere"
_CODE = "import pathlib; pathlib.Path('{folder}/ran').write_text('x')"
_PEFT = '{"base_model_name_or_path": "{folder}/private", "peft_type": "LORA", "auto_mapping": {"parent_library": "os"}}'

READING = [
    Hostile("vocab", _settings(vocab="{words}"), NO_VOCABULARY),
    Hostile("vocab-beside-own", _settings(vocab="{words}", instead=True)),
    Hostile("vocab-as-list", _settings(vocab=["{words}"]), NO_VOCABULARY),
    Hostile("positional", _settings(init_inputs=["{words}"]), NO_VOCABULARY),
    Hostile(
        "positional-merges",
        _settings(init_inputs=["{vocabulary}", "{words}"], tokenizer_class="GPT2Tokenizer"),
        NO_VOCABULARY,
    ),
    Hostile("vocab-file", _settings(vocab_file="{words}"), NO_VOCABULARY),
    Hostile("tokenizer-file", _settings(tokenizer_file="{folder}/private/tokenizer.json"), NO_VOCABULARY),
    Hostile("versioned-file", _settings(fast_tokenizer_files=["{folder}/tokenizer.0.1.0.json"]), NO_VOCABULARY),
    Hostile("gguf", _settings(gguf_file="secret.txt", name_or_path="{folder}"), NO_VOCABULARY),
    Hostile(
        "sentencepiece-argument",
        _settings(tokenizer_class="SiglipTokenizer", sp_model_kwargs={"model_file": "{words}"}),
        "no fast tokenizer",
    ),
    Hostile("special-tokens-vocab", _with_file("special_tokens_map.json", vocab="{words}"), NO_VOCABULARY),
    Hostile("special-tokens-file", _with_file("special_tokens_map.json", vocab_file="{words}"), NO_VOCABULARY),
    Hostile(
        "special-tokens-whole",
        _with_file("special_tokens_map.json", tokenizer_file="{folder}/private/tokenizer.json"),
        NO_VOCABULARY,
    ),
    Hostile(
        "special-tokens-object",
        _with_file("special_tokens_map.json", keep=True, cls_token={"content": "[CLS]", "path": "{words}"}),
        "no token has",
    ),
    Hostile("added-tokens", _with_file("added_tokens.json", keep=True, extra="{words}"), NO_VOCABULARY),
    Hostile(
        "vocab-in-tokenizer-json", _of_model(vocab="{words}"), "model.vocab as .*a text, where its entries are due"
    ),
    Hostile("merges-in-tokenizer-json", _of_model(type="BPE", merges="{words}"), "model.merges as a text"),
    Hostile("class-model", _settings(tokenizer_class="BertModel"), "no fast tokenizer"),
    Hostile("class-auto", _settings(tokenizer_class="AutoTokenizer"), "no fast tokenizer"),
    Hostile("class-function", _settings(tokenizer_class="pipeline"), "no fast tokenizer"),
    Hostile("class-runs-a-program", _settings(tokenizer_class="Wav2Vec2PhonemeCTCTokenizer"), "no fast tokenizer"),
    Hostile(
        "class-of-config",
        _many(_settings(tokenizer_class=None), _with_file("config.json", keep=True, tokenizer_class="BertModel")),
        "names BertModel as tokenizer_class",
    ),
    Hostile("template", _with_file("tokenizer_config.json", keep=True, chat_template="{% include '{words}' %}")),
    Hostile(
        "template-file",
        _files(chat_template__jinja="{% include '{words}' %}", additional_chat_templates_in_x__jinja="x"),
    ),
    Hostile("template-link", _link("chat_template.jinja", "{folder}/chat_template.jinja"), ELSEWHERE),
    Hostile(
        "own-code-tokenizer",
        _many(
            _with_file("tokenizer_config.json", keep=True, auto_map={"AutoTokenizer": ["own.Own", "own.Own"]}),
            _files(own__py=_CODE),
        ),
    ),
    Hostile(
        "own-code-model",
        _many(
            _with_file("config.json", keep=True, auto_map={"AutoConfig": "own.Own", "AutoModel": "own.Own"}),
            _files(own__py=_CODE),
        ),
    ),
    Hostile(
        "own-code-generate",
        _files(custom_generate_in_generate__py=_CODE, custom_generate_in_requirements__txt="{words}"),
    ),
    Hostile("adapter", _files(adapter_config__json=_PEFT), "lies beside its weights, which is not applied here"),
    Hostile(
        "adapter-link", _many(_files(adapter_config__json=_PEFT), _link("adapter_model.bin", "{words}")), ELSEWHERE
    ),
    Hostile(
        "generation",
        _files(generation_config__json='{"transformers_version": "{words}", "cache_config": {"x": "{words}"}}'),
    ),
    Hostile(
        "processor",
        _files(
            processor_config__json='{"auto_map": {"AutoProcessor": "own.Own"}}',
            preprocessor_config__json='{"tokenizer_file": "{words}"}',
        ),
    ),
    Hostile("index-up", _index("../secret.txt"), "lacks weights of its own model"),
    Hostile("index-absolute", _index("{words}"), "lacks weights of its own model"),
    Hostile("index-object", _index({"file": "{words}"}), "is no index|lacks weights"),  # type: ignore[arg-type]
    Hostile(
        "index-link",
        _many(
            _index("model-00001-of-00001.safetensors"),
            _link("model-00001-of-00001.safetensors", "{folder}/model.safetensors"),
        ),
        ELSEWHERE,
    ),
    Hostile("index-config", _index("config.json"), "cannot be read: model.safetensors.index.json names"),
    *(
        Hostile(f"link-{name}", _link(name, to), ELSEWHERE)
        for name, to in (
            ("config.json", "{folder}/private/config.json"),
            ("tokenizer.json", "{folder}/private/tokenizer.json"),
            ("tokenizer_config.json", "{vocabulary}"),
            ("special_tokens_map.json", "{vocabulary}"),
            ("vocab.txt", "{words}"),
            ("spm.model", "{words}"),
            ("source.spm", "{words}"),
            ("target_vocab.json", "{vocabulary}"),
            ("model.safetensors", "{folder}/model.safetensors"),
            ("pytorch_model.bin", "{words}"),
            ("tokenizer.model", "/dev/zero"),
            ("merges.txt", "../../../../../../../../etc/passwd"),
        )
    ),
    *(
        Hostile(f"config-{name}", _with_file("config.json", keep=True, **entries), refused)
        for name, entries, refused in (
            ("versions", {"configuration_files": ["{folder}/config.0.1.0.json"]}, None),
            ("weights", {"transformers_weights": "{folder}/model.safetensors"}, "names another file for its weights"),
            (
                "kernel",
                {
                    "_attn_implementation": "evil/kernel",
                    "attn_implementation": "evil/kernel",
                    "experts_implementation": "evil/k",
                    "kernel_config": {"a": "evil/k"},
                },
                None,
            ),
            (
                "internal",
                {
                    "_attn_implementation_internal": "evil/kernel",
                    "attribute_map": {"hidden_size": "vocab_size"},
                    "_auto_class": "x",
                    "extra_files": ["{words}"],
                },
                None,
            ),
            ("fusion", {"fusion_config": {"patch_embeddings": True}}, "other modules than its architecture has"),
            ("quantised", {"quantization_config": {"quant_method": "gguf", "file": "{words}"}}, "quantised"),
            (
                "backbone",
                {
                    "backbone": "evil/model",
                    "use_timm_backbone": True,
                    "backbone_config": {"model_type": "timm_backbone"},
                    "pretrained_cfg": {},
                },
                None,
            ),
            ("name", {"_name_or_path": "{folder}/private", "name_or_path": "{folder}/private"}, None),
            (
                "files",
                {
                    "vocab_file": "{words}",
                    "tokenizer_file": "{words}",
                    "device_map": "auto",
                    "distributed_config": {"tp_size": 2},
                },
                None,
            ),
            ("activation", {"hidden_act": "{words}"}, "looks like the name of a file"),
            ("tokenizer-path", {"tokenizer_class": "{words}"}, "looks like the name of a file"),
            ("dtype", {"dtype": "load", "torch_dtype": "hub"}, None),
            (
                "layers-one-by-one",
                {"per_layer_config": {"0": {"skip": ["attention"], "vocab_file": "{words}"}}},
                "leaves out parts",
            ),
            ("layer-path", {"per_layer_config": {"0": {"hidden_act": "{words}"}}}, "looks like the name of a file"),
            (
                "rotary",
                {"rope_scaling": {"type": "{words}"}, "rope_parameters": {"rope_type": "../x"}},
                "looks like the name of a file",
            ),
        )
    ),
    Hostile(
        "nested",
        _with_file(
            "config.json", keep=True, attn_config={"attn_impl": "{words}", "auto_map": {"AutoConfig": "own.Own"}}
        ),
        "looks like the name of a file",
        "mpt",
    ),
]


# ---- files that ask for memory


def _config(model_type: str = "bert", **entries: Any) -> tuple[Callable[[Path, Canary], None], str]:
    return _with_file("config.json", keep=True, **entries), model_type


def _bytes(file: str, size: int, text: bytes) -> Callable[[Path, Canary], None]:
    def change(folder: Path, canary: Canary) -> None:
        (folder / file).write_bytes(text * (size // len(text)))

    return change


def _packed(folder: Path, canary: Canary) -> None:
    """Weights as an archive of a thousandth of their size."""
    (folder / "model.safetensors").unlink()
    with zipfile.ZipFile(folder / "pytorch_model.bin", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data/0", bytes(20 * 10**6))


def _sparse(file: str, size: int) -> Callable[[Path, Canary], None]:
    """A file that is large and takes no room."""

    def change(folder: Path, canary: Canary) -> None:
        with (folder / file).open("r+b" if (folder / file).exists() else "wb") as out:
            os.truncate(out.fileno(), size)

    return change


def _mixture(folder: Path, canary: Canary) -> None:
    edit(folder, "config.json", model_type="mixtral", num_local_experts=1_000, num_hidden_layers=100)


def _configs() -> Iterator[Hostile]:
    huge = 2 * 10**8
    for name, (change, model_type), refused in (
        ("labels", _config(num_labels=10**8, id2label=None), "asks for 100,000,000 labels"),
        ("label-names", _config(id2label={str(i): "x" for i in range(10_001)}), "10,001 labels; at most 10,000"),
        ("label-numbers", _config(label2id={"x": 10**9}), "labels"),
        ("layers", _config(num_hidden_layers=10**6), "asks for 1,000,000 layers"),
        ("layers-of-distilbert", _config("distilbert", n_layers=huge), "layers"),
        ("layers-of-bart", _config("bart", encoder_layers=huge), "layers"),
        ("decoder-layers", _config("t5", num_decoder_layers=huge), "layers"),
        ("groups", _config("albert", num_hidden_groups=huge), "layers"),
        (
            "groups-of-layers",
            _config("albert", num_hidden_groups=200, inner_group_num=200),
            "each of its layers is several",
        ),
        ("experts", (_mixture, "llama"), "100,000 experts in all layers"),
        ("inner-groups", _config("albert", inner_group_num=huge), "layers"),
        ("repeats", _config("gpt_neo", attention_types=[[["global"], 10**9]]), "asks for 1,000,000,000 layers"),
        ("long-repeats", _config("gpt_neo", attention_types=[[["global"] * 5_000, 100]]), "at most 1,000 can be read"),
        ("heads", _config(num_attention_heads=10**7), "heads"),
        ("head-width", _config("qwen3", head_dim=huge), "numbers in a head"),
        ("positions", _config(max_position_embeddings=huge), "asks for 200,000,000 positions"),
        ("positions-of-gpt2", _config("gpt2", n_positions=huge), "positions"),
        ("positions-by-another-name", _config("gpt2", max_position_embeddings=huge), "positions"),
        ("positions-of-mpt", _config("mpt", max_seq_len=huge), "positions"),
        (
            "positions-of-mpt-heads",
            _config("mpt", max_seq_len=10**6, n_heads=128, d_model=1024),
            "128,000,000 heads at all positions",
        ),
        ("positions-of-deberta", _config("deberta", max_relative_positions=huge), "positions"),
        ("buckets", _config("deberta-v2", position_buckets=huge), "positions"),
        ("masks", _config("gpt_neo", max_position_embeddings=100_000), "tables of positions"),
        ("vocabulary", _config(vocab_size=2 * 10**6, hidden_size=4), "vocabulary of 2,000,000 entries"),
        ("number", _config(pad_token_id=10**15), "asks for"),
        ("digits", _config(pad_token_id=10**300), "number of many digits"),
        ("text-for-layers", _config(num_hidden_layers="3"), "num_hidden_layers as '3', a text, where a number is due"),
        ("text-for-positions", _config(max_position_embeddings="3"), "max_position_embeddings as '3', a text"),
        ("text-for-labels", _config(num_labels="3"), "num_labels as '3', a text"),
        ("list-for-width", _config(hidden_size=[32]), "hidden_size as .*a list, where a number is due"),
        ("long-text", _config(hidden_act="x" * 5_000), "looks like the name of a file"),
    ):
        yield Hostile(name, change, refused, model_type)


def _deep(depth: int) -> dict[str, Any]:
    found: dict[str, Any] = {"a": 1}
    for _ in range(depth):
        found = {"a": found}
    return found


SIZES = [
    *_configs(),
    Hostile("nested-deep", _with_file("config.json", keep=True, rope_parameters=_deep(40)), "nested more than 12 deep"),
    Hostile("tokenizer-bytes", _sparse("tokenizer.json", 60 * 10**6), "tokenizer.json of .* has 60.0 MB"),
    Hostile("tokenizer-values", _bytes("tokenizer.json", 20 * 10**6, b"[],"), "holds more than 5,000,000 values"),
    Hostile("sentencepiece-bytes", _sparse("spm.model", 40 * 10**6), "spm.model of .* has 40.0 MB"),
    Hostile("vocabulary-lines", _bytes("vocab.txt", 5 * 10**6, b"a\n"), "2,500,000 lines"),
    Hostile("settings-bytes", _sparse("tokenizer_config.json", 10**7), "10.0 MB; at most"),
    Hostile("packed-weights", _packed, "pytorch_model.bin is packed and holds 20 MB"),
    Hostile("extra-ids", _settings(tokenizer_class="T5Tokenizer", extra_ids=10**9), "extra_ids as 1,000,000,000"),
    Hostile("offset", _settings(tokenizer_class="PegasusTokenizer", offset=10**9), "offset as 1,000,000,000"),
    Hostile(
        "far-token",
        _with_file("tokenizer_config.json", keep=True, added_tokens_decoder={"999999999": {"content": "x"}}),
        "a place in the vocabulary is due",
    ),
    Hostile("far-added-token", _with_file("added_tokens.json", keep=True, x=10**9), "a place in the vocabulary is due"),
    Hostile(
        "long-token", _with_file("tokenizer_config.json", keep=True, cls_token="x" * 10**5), "where a token is due"
    ),
]
