"""A small random translation model as those of the Hub are: two SentencePiece models, and no tokenizer.json."""

from __future__ import annotations

import io
import json
from functools import cache
from pathlib import Path

from sentencepiece import SentencePieceProcessor, SentencePieceTrainer

from tests.checkpoints import TEXT, make_checkpoint

GERMAN = [
    "Anna gab ihrem Bruder das alte Buch, weil er es lesen wollte.",
    "Der Zug an die Küste ist nicht spät; er verließ den Bahnhof heute um 9.45 Uhr.",
    "Niemand weiß, ob das Café am Hafen bekannte Kuchen verkauft.",
    "Er lieh sich zwanzig Münzen von einem Freund und kaufte Brot, Salz und Milch.",
]
_SETTINGS = {"source_lang": "en", "target_lang": "de"}  # all that most of them have
_OLD_CONFIG = {
    "_name_or_path": "/tmp/Helsinki-NLP/opus-mt-en-de",
    "_num_labels": 3,
    "add_bias_logits": False,
    "add_final_layer_norm": False,
    "bad_words_ids": [[7]],
    "classif_dropout": 0.0,
    "extra_pos_embeddings": 8,
    "force_bos_token_to_be_generated": False,
    "forced_eos_token_id": 0,
    "gradient_checkpointing": False,
    "max_length": 512,
    "normalize_before": False,
    "normalize_embedding": False,
    "num_beams": 6,
    "static_position_embeddings": True,
}
"""What configurations of the Hub say besides, as versions of transformers wrote it that are no longer used."""


@cache
def trained(target: bool, kind: str = "unigram") -> bytes:
    """A SentencePiece model of a few sentences."""
    made = io.BytesIO()
    SentencePieceTrainer.train(
        sentence_iterator=iter((GERMAN if target else TEXT) * 2),
        model_writer=made,
        vocab_size=90,
        model_type=kind,
        hard_vocab_limit=False,
        num_threads=1,
        minloglevel=2,
    )
    return made.getvalue()


def write_tokenizer(folder: Path, languages: tuple[str, ...] = (), kind: str = "unigram") -> dict[str, int]:
    """Write a tokenizer of Marian, and return its vocabulary: of both models, with padding last."""
    pieces: dict[str, None] = {}
    for target, file in enumerate(("source.spm", "target.spm")):
        data = trained(bool(target), kind)
        (folder / file).write_bytes(data)
        model = SentencePieceProcessor(model_proto=data)
        own = [model.id_to_piece(index) for index in range(model.get_piece_size()) if not model.is_control(index)]
        pieces |= dict.fromkeys(piece for piece in own[1:] if piece != "k")  # each lacks some of the models' pieces
    entries = ["</s>", "<unk>", *sorted(pieces), *(f">>{language}<<" for language in languages), "<pad>"]
    vocabulary = {entry: index for index, entry in enumerate(entries)}
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "tokenizer_config.json").write_text(json.dumps(_SETTINGS))
    return vocabulary


def make_marian(folder: Path, languages: tuple[str, ...] = (), kind: str = "unigram") -> Path:
    """Write a random checkpoint as `Helsinki-NLP/opus-mt-en-de` is laid out."""
    folder.mkdir(parents=True)
    vocabulary = write_tokenizer(folder, languages, kind)
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    pad, size = vocabulary["<pad>"], len(vocabulary)
    make_checkpoint(
        folder,
        "marian",
        task="seq2seq-lm",
        vocab_size=size,
        decoder_vocab_size=size,
        pad_token_id=pad,
        decoder_start_token_id=pad,
        eos_token_id=0,
        bos_token_id=0,
    )
    for path in [*folder.glob("*token*"), *folder.glob("vocab*"), *folder.glob("generation*")]:
        path.unlink()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | _OLD_CONFIG))
    return folder
