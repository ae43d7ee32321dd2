"""One sentence for each chart of a corpus, with numbers of that very run, and what papers found in BERT beside it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from attnflow.records.head_names import head_name, head_names, shape_told
from attnflow.records.shares import percent
from attnflow.records.trace import Head
from attnflow.stats.surface import AMONG_SEPARATORS
from attnflow.views.corpus_model import ATTENTION, CorpusModel
from attnflow.views.head_points import middles

KIND_TITLES = {
    "separator": "separators",
    "first": "the first special token",
    "punctuation": "full stops and commas",
    "previous": "the token before",
    "next": "the token after",
    "self": "the token itself",
    "else": "all other tokens",
    AMONG_SEPARATORS: "separators, from separators",
}
"""What heads attend to, as a sentence goes on."""
CLARK, PASCUAL = "BERT (Clark et al. 2019", "BERT (Pascual et al. 2021"
BERT_KINDS = {
    "separator": f"{CLARK}, 3.2): over half of the attention of layers 6 to 10.",
    "first": f"{CLARK}, figure 2): early heads, where middle ones attend to [SEP].",
    "punctuation": f"{CLARK}, figure 2): deep heads, where middle ones attend to [SEP].",
    "previous": f"{CLARK}, 3.1): four heads, in layers 2, 4, 7 and 8, are above 50 %.",
    "next": f"{CLARK}, 3.1): five heads, in layers 1, 2, 2, 3 and 6, are above 50 %.",
    "self": f"{CLARK}, 3.1): most heads pay little.",
    AMONG_SEPARATORS: f"{CLARK}, 3.2): heads that attend to [SEP] pay more than 90 % here.",
}
BERT_ENTROPY = (
    f"{CLARK}, 3.3, segments of 128 tokens): the broadest heads are in the lowest layers; from [CLS] alone, the last "
    "layer has 3.89 nats."
)
BERT_GRADIENT = f"{CLARK}, 3.2): from layer 5 on, gradients for attention to [SEP] are very small."
BERT_MAP = f"{CLARK}, 6): heads of one layer tend to lie close together."
BERT_POSITIONS = f"{PASCUAL}, 7): in layer 2, heads 2, 5 and 7 pay hardly anything to what comes after."
BERT_CENTRE = f"{PASCUAL}, 7): first layers look back, later ones ahead."
BERT_LOCAL = f"{PASCUAL}, 6): Pearson is above 0.7 in all heads but two, and above 0.85 in 90 %."
BERT_INPUT = (
    f"{PASCUAL}, 9): Pearson is below 0.5 in most heads after four layers, and the median below 0.25 in the last four."
)
HALF = 0.5


def attention_to(model: CorpusModel, kind: str) -> str:
    """Which layer and head pay most to a kind of token, and how many heads pay more than half."""
    title = KIND_TITLES[kind]
    values = model.table.get(ATTENTION + kind)
    if values is None:
        return f"{_of(model)}: its texts have no such token."
    layer, mean = _highest(middles(values, "mean"))
    above = [(at, head) for at, head in np.argwhere(values > HALF).tolist()]
    named = f" ({head_names(above)})" if 0 < len(above) <= 5 else ""
    return (
        f"{_of(model)}: L{layer + 1} pays most to {title}, {percent(mean)} on average; {_count(len(above))} above 50 %"
        f"{named}; most {_top(values)}."
    )


def entropy(model: CorpusModel) -> str:
    """Which layers attend broadly, and how broadly the root."""
    values, root = model.table["entropy"], model.table["entropy of the root"]
    means = middles(values, "mean")
    broad, narrow = int(np.nanargmax(means)), int(np.nanargmin(means))
    return (
        f"{_of(model)}: broadest is L{broad + 1} with {means[broad]:.2f} nats on average, narrowest L{narrow + 1} with "
        f"{means[narrow]:.2f}; an even spread would have {model.most:.2f}. From the root alone, the last layer has "
        f"{float(np.nanmean(root[-1])):.2f}."
    )


def positions(model: CorpusModel, layer: int) -> str:
    """Which offset each layer's heads attend to most, and which hardly look ahead."""
    if layer >= model.n_layers:
        return f"{_of(model)} has no L{layer + 1}: it has {shape_told(model.n_layers, model.n_heads)}."
    values = model.at_offset[layer]
    ahead = values[:, model.offset > 0].sum(-1)
    back = values[:, model.offset < 0].sum(-1)
    more = int((ahead > back).sum())
    head, place = np.unravel_index(int(np.nanargmax(values)), values.shape)
    return (
        f"{_of(model)}: the highest peak is {head_name((layer, int(head)))} at {int(model.offset[place]):+d}, with "
        f"{percent(values[head, place])} of its attention; {more} of {model.n_heads} heads lie more ahead than back."
    )


def centre(model: CorpusModel) -> str:
    """Where the layers look back and where ahead."""
    values = model.centre["attention"]
    back = [f"L{layer + 1}" for layer in np.flatnonzero(values < 0).tolist()]
    first, last = float(values[0]), float(values[-1])
    told = "no layer looks" if not back else f"{', '.join(back)} look{'s' * (len(back) == 1)}"
    return f"{_of(model)}: {told} back; from {first:+.1f} tokens in L1 to {last:+.1f} in L{model.n_layers}."


def head_map(model: CorpusModel) -> str:
    """Whether heads of one layer are alike."""
    closer = "closer than" if round(model.same_layer, 2) < round(model.other_layer, 2) else "no closer than"
    return (
        f"Heads of one layer are {model.same_layer:.2f} nats apart on average, {closer} those of different layers, "
        f"{model.other_layer:.2f}. Stress of this map: {model.map.stress:.2f} (0 would show every distance as it is)."
    )


def gradient(model: CorpusModel) -> str:
    """How much less the loss depends on attention to separators."""
    if model.gradient is None:
        return _lacking(model, "gradient") or f"{_of(model)}: not measured yet."
    if "separator" not in model.gradient_kinds or "else" not in model.gradient_kinds:
        return f"{_of(model)}: its texts have no separators to set against other tokens."
    of_separators = model.gradient[:, model.gradient_kinds.index("separator")]
    rest = model.gradient[:, model.gradient_kinds.index("else")]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = of_separators / rest
    if not np.isfinite(ratio).any():
        return f"{_of(model)}: the loss depends on no attention weight."
    least = int(np.nanargmin(np.where(np.isfinite(ratio), ratio, np.nan)))
    return (
        f"{_of(model)}: an attention weight on a separator moves the loss least in L{least + 1}, {ratio[least]:.2g} "
        f"times as much as one on other tokens; {ratio[0]:.2g} times in L1, {ratio[-1]:.2g} in L{model.n_layers}."
    )


def agreement(model: CorpusModel, source: str) -> str:
    """The median of all heads, and how it changes over the layers."""
    values = model.table.get(f"pearson: {source}")
    if values is None:
        return _lacking(model, "agreement") or f"{_of(model)}: not measured yet."
    by_layer = middles(values, "median")
    defined = values[np.isfinite(values)]
    if not defined.size:
        return f"{_of(model)}: no head has a correlation."
    return (
        f"{_of(model)}: median {np.median(defined):.2f}, from {by_layer[0]:.2f} in L1 to {by_layer[-1]:.2f} in "
        f"L{model.n_layers}; {percent((defined > 0.7).mean())} of heads above 0.7."
    )


def beside(sentences: Sequence[str], bert: str = "") -> str:
    """What a chart shows, and the paper's figure."""
    return " ".join([*sentences, bert]).strip()


def head_told(model: CorpusModel, head: Head) -> str:
    """What is known of a head, in a sentence."""
    if not model.has(head):
        return f"{_of(model)} has no {head_name(head)}: it has {shape_told(model.n_layers, model.n_heads)}."
    names, follows = model.names(head), model.follows(head)
    own = [kind for kind in model.kinds if kind in KIND_TITLES and kind != AMONG_SEPARATORS]  # those are of few tokens
    kinds = sorted(own, key=lambda kind: -_share(model, kind, head))
    shares = ", ".join(f"{percent(_share(model, kind, head))} to {KIND_TITLES[kind]}" for kind in kinds[:2])
    entropy_ = float(model.table["entropy"][head])
    return (
        f"{head_name(head)} of {_of(model)}: {'named ' + ', '.join(names) if names else 'without a name'}; "
        f"{f'follows {follows}; ' if follows else ''}{shares}; "
        f"entropy {entropy_:.2f} of {model.most:.2f} nats."
    )


def _share(model: CorpusModel, kind: str, head: Head) -> float:
    return float(model.table[ATTENTION + kind][head])


def _of(model: CorpusModel) -> str:
    return model.side.upper()


def _lacking(model: CorpusModel, what: str) -> str:
    return next((told for told in model.lacks if what in told), "")


def _count(n: int) -> str:
    return "no head is" if n == 0 else "1 head is" if n == 1 else f"{n} heads are"


def _highest(values: NDArray[np.float64]) -> tuple[int, float]:
    at = int(np.nanargmax(values))
    return at, float(values[at])


def _top(values: NDArray[np.float64]) -> str:
    layer, head = np.unravel_index(int(np.nanargmax(values)), values.shape)
    return f"{head_name((int(layer), int(head)))} with {percent(values[layer, head])}"
