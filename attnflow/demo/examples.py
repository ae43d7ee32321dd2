"""Choose the example pairs for the page: held-out pairs where the two models' [CLS] read most differently."""

from collections.abc import Sequence

from numpy.typing import NDArray

from attnflow.demo.grammar import LABELS, Pair
from attnflow.demo.measuring import RootReading

TAU = 0.05
"""The threshold that the page starts with for pairs this short."""
LONGEST = 32
LONGEST_FIRST = 22
"""The first example has at most this many tokens."""
TITLES = {
    "give_receive": "Give and receive",
    "active_passive": "Who did it?",
    "located_in": "Where places lie",
    "more_less": "More and less",
    "negation": "Done or not done",
    "question_answer": "Question and answer",
    "distractor": "The other name",
    "coreference": "What a pronoun means",
}


def contrast(finetuned: RootReading, pretrained: RootReading, tau: float = TAU) -> float:
    """How much more the fine-tuned [CLS] reads a deciding word: heads above `tau`, then attention.

    Zero unless a deciding word is the top ordinary token of the fine-tuned model and not of the pre-trained one.
    """
    if not finetuned.reads_decider(tau) or pretrained.reads_decider(tau):
        return 0.0
    top = finetuned.top_token(tau)
    heads = finetuned.counts(tau)[top] - pretrained.counts(tau)[top]
    mass = finetuned.attention[:, top].mean() - pretrained.attention[:, top].mean()
    return float(max(0, heads) + mass)


def _is_the_one_word(pair: Pair, finetuned: RootReading) -> bool:
    """Tell whether the top token is (part of) the only word of B that differs between the pair and its twin."""
    in_b = finetuned.top_token(TAU) > list(finetuned.special).index(True, 1)
    return in_b and len(pair.deciding_b) == 1


def _is_split(finetuned: RootReading) -> bool:
    """Tell whether the top token is only a piece of its word."""
    top = finetuned.top_token(TAU)
    return finetuned.deciders[top] in finetuned.deciders[top - 1 : top] + finetuned.deciders[top + 1 : top + 2]


def _appeal(pair: Pair, finetuned: RootReading, pretrained: RootReading) -> float:
    """Rank a pair as an example: the contrast must hold at twice the threshold, too, and one word beats several.

    Words that the tokenizer splits make no example: a newcomer should see whole words.
    """
    if _is_split(finetuned):
        return 0.0
    least = min(contrast(finetuned, pretrained, tau) for tau in (TAU, 2 * TAU))
    return least + 1.0 if least > 0 and _is_the_one_word(pair, finetuned) else least


def _times(heads: int, total: int) -> str:
    return f"{heads or 'none'} of its {total} heads"


def _what_to_see(pair: Pair, word: str, decides: str, heads: tuple[int, int], n_heads: int) -> str:
    """Say in one sentence which deciding word the fine-tuned [CLS] reads, with the measured counts."""
    verb = "answer" if pair.text_b.endswith("?") else "support"
    answer = f"{verb}s" if pair.label else f"does not {verb}"
    return (
        f"The first sentence {answer} the second, and “{word}” {decides}: in the last layer of the fine-tuned model, "
        f"[CLS] attends to it with {_times(heads[0], n_heads)} (attention above {TAU}), in that of the pre-trained "
        f"model with {_times(heads[1], n_heads)}."
    )


def _example(pair: Pair, finetuned: RootReading, pretrained: RootReading) -> dict[str, object]:
    """Return an example with what was measured on it, as it is written to `examples.json`."""
    token = finetuned.top_token(TAU)
    word, side = finetuned.deciders[token], "first" if token < list(finetuned.special).index(True, 1) else "second"
    one = "the one word that decides it" if _is_the_one_word(pair, finetuned) else "a word that decides it"
    decides = f"in the {side} sentence is {one}"
    heads = (int(finetuned.counts(TAU)[token]), int(pretrained.counts(TAU)[token]))
    return {
        "text_a": pair.text_a,
        "text_b": pair.text_b,
        "title": TITLES[pair.phenomenon],
        "what_to_see": _what_to_see(pair, word, decides, heads, len(finetuned.attention)),
        "phenomenon": pair.phenomenon,
        "label": LABELS[pair.label],
        "tau": TAU,
        "word": word,
        "token": token,
        "heads_finetuned": heads[0],
        "heads_pretrained": heads[1],
    }


def select_examples(
    pairs: Sequence[Pair],
    chances: NDArray,
    finetuned: Sequence[RootReading],
    pretrained: Sequence[RootReading],
) -> list[dict[str, object]]:
    """Return one example for each phenomenon that has any, the most striking short one first.

    Args:
        pairs: held-out pairs.
        chances: class probabilities of the fine-tuned model `[N, C]`; pairs that it gets wrong are left out.
        finetuned: what the fine-tuned model's [CLS] reads in each pair.
        pretrained: the same of the pre-trained model.
    """
    scores = [
        _appeal(pair, after, before) if row.argmax() == pair.label else 0.0
        for pair, row, after, before in zip(pairs, chances, finetuned, pretrained, strict=True)
    ]
    best: dict[str, int] = {}
    for number in sorted(range(len(pairs)), key=lambda i: -scores[i]):
        if scores[number] > 0 and len(finetuned[number].special) <= LONGEST:
            best.setdefault(pairs[number].phenomenon, number)
    chosen = sorted(best.values(), key=lambda i: (len(finetuned[i].special) > LONGEST_FIRST, -scores[i]))
    return [_example(pairs[i], finetuned[i], pretrained[i]) for i in chosen]
