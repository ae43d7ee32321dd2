"""The demo tokenizer: lower-cased WordPiece, trained on generated text."""

import string
from collections import Counter
from collections.abc import Collection, Iterable

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers.models.bert.tokenization_bert import BertTokenizer

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
MAX_LENGTH = 128
LONGEST_PART = 4
"""Letters of the longest word part."""
SPLIT_WEIGHT = 4
"""How much more the words to split count when word parts are chosen."""
RARE_SHARE = 3e-5
"""Words below this share of all words are split into parts."""


def _base_pieces() -> list[str]:
    """Every letter and digit as a first and as a later piece, and all punctuation: any typed English is encodable."""
    characters = string.ascii_lowercase + string.digits
    return [*string.punctuation, *characters, *("##" + character for character in characters)]


def _with_text_steps(model: models.WordPiece) -> Tokenizer:
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    return tokenizer


def _word_parts(words: Iterable[str]) -> list[str]:
    """Return beginnings and later parts of words, those first that spare most pieces over all the words.

    The trainer of the tokenizers library breaks its many ties here in a different way on each run, hence this count.

    Example:
        >>> _word_parts(["painted", "waited"])[:2]
        ['##ted', '##aint']
    """
    spared: Counter[str] = Counter()
    for word in words:
        for start in range(len(word)):
            for end in range(start + 2, min(len(word), start + LONGEST_PART) + 1):
                if end - start < len(word):
                    spared["##" * (start > 0) + word[start:end]] += end - start - 1
    return sorted(spared, key=lambda part: (-spared[part], part))


def train_tokenizer(texts: Iterable[str], size: int, split: Collection[str] = ()) -> BertTokenizer:
    """Return a fast tokenizer with at most `size` pieces that writes pairs as `[CLS] A [SEP] B [SEP]`.

    Words of the texts are pieces of their own, except the rarest and those to `split`. Word parts chosen on all the
    different words fill the rest, and what is no piece is written with them.
    """
    splitter = _with_text_steps(models.WordPiece(unk_token="[UNK]"))
    counts = Counter(
        word
        for text in texts
        for word, _ in splitter.pre_tokenizer.pre_tokenize_str(splitter.normalizer.normalize_str(text))
    )
    kept_apart = {word.lower() for word in split}
    least = RARE_SHARE * counts.total()
    frequent = sorted(word for word, count in counts.items() if count >= least and word not in kept_apart)
    pieces = list(
        dict.fromkeys(
            [*SPECIAL, *_base_pieces(), *frequent, *_word_parts([*counts, *SPLIT_WEIGHT * sorted(kept_apart)])]
        )
    )[:size]
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    return BertTokenizer(vocab=vocabulary, do_lower_case=True, model_max_length=MAX_LENGTH)
