"""What heads' outputs owe to the tokens, and how attention compares with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from attnflow import progress
from attnflow.methods.hta.attribution import Wrt, attribution_estimates, hidden_token_attribution, operations
from attnflow.methods.hta.token_paths import lacks_paths
from attnflow.records.shares import percent
from attnflow.records.trace import Attribution, Trace
from attnflow.service.analyses.work import forward
from attnflow.service.case import Case
from attnflow.service.registry import Analysis, Parameter
from attnflow.stats.agreement import Agreement
from attnflow.stats.relative_positions import RelativePositions

PROBES = 16
"""Probes that the page goes up to."""


@dataclass(frozen=True)
class Comparison:
    """Attention of every head beside one kind of contribution."""

    pearson: NDArray[np.float64]
    """`[L, H]`; NaN where a correlation is not defined."""
    spearman: NDArray[np.float64]
    """`[L, H]`"""
    attention_centre: NDArray[np.float64]
    """`[L]`: mean relative position of attention, in tokens."""
    contribution_centre: NDArray[np.float64]
    """`[L]`: the same of the contributions."""
    relative_error: float
    """To be expected of an estimate; 0 if exact."""


def _contributions(case: Case, wrt: Wrt, probes: int | None) -> Attribution:
    return hidden_token_attribution(
        case.checkpoint, case.encoding, wrt=wrt, probes=probes, pruned=case.pruned, progress=_told
    )


def _steps(case: Case, wrt: Wrt, probes: int | None) -> Iterator[tuple[Mapping[str, Any], Attribution]]:
    most = max(2, min(probes or PROBES, case.card.width))
    steps = attribution_estimates(
        case.checkpoint, case.encoding, wrt=wrt, probes=most, pruned=case.pruned, progress=_told
    )
    for found in steps:
        yield {"wrt": wrt, "probes": found.probes}, found


def _told(share: float) -> None:
    progress.go_on()
    progress.tell(f"{percent(share)} of the contributions", share)


def _work(case: Case, wrt: Wrt, probes: int | None) -> float:
    if wrt != "input":
        card, size, head = case.card, case.n_tokens, case.card.width / case.card.n_heads
        if (loaded := case.in_memory) is not None and lacks_paths(loaded):
            # Three products of the maps of each head for each token, see `closed_form`.
            return forward(case) + 6.0 * card.n_layers * size * card.width**2 * head
        # Products of the weights, found once for each checkpoint, and what `from_weights` makes of them for each text.
        once = 10.0 * card.width**2 * head
        each = 12.0 * size * card.width * head + 24.0 * size**2 * card.width + 4.0 * size**3 * card.n_heads
        return forward(case) + card.n_layers * (once + each)
    return operations(case.card.n_layers, case.card.width, case.n_tokens, probes)


def _remedy(case: Case, most: float, wrt: Wrt, probes: int | None) -> str:
    affordable = affordable_probes(case, most)
    return f"give probes={affordable} or fewer" if affordable > 1 else "shorten the text or use a smaller model"


def affordable_probes(case: Case, most: float) -> int:
    """How many probes stay within so many operations."""
    return int(most // _work(case, "input", 1))


def _compared(case: Case, wrt: Wrt, probes: int | None) -> Comparison:
    found = case.ask(CONTRIBUTIONS, wrt=wrt, probes=probes)
    both = Agreement().update(case.trace.attention, found.values).result()
    centres = [_centres(case.trace, values) for values in (case.trace.attention, found.values)]
    return Comparison(both.pearson, both.spearman, centres[0], centres[1], found.relative_error)


def _centres(trace: Trace, values: NDArray[np.float32]) -> NDArray[np.float64]:
    """`[L]`; of an encoder-decoder that of self-attention in each stack, as source and target have no distance."""
    stacks, n_source = trace.stacks, trace.tokens.n_source
    if stacks is None:
        return RelativePositions().update(values).result().centre
    own = slice(0, stacks.n_heads)
    encoder = values[: stacks.n_encoder, own, :n_source, :n_source]
    decoder = values[stacks.n_encoder :, own, n_source:, n_source:]
    return np.concatenate([RelativePositions().update(part).result().centre for part in (encoder, decoder)])


WRT = Parameter(
    "wrt",
    Literal["input", "previous_layer"],
    "input",
    '"input" for what enters the first layer, "previous_layer" for what enters the head\'s own layer.',
)
PROBES_OR_EXACT = Parameter(
    "probes",
    int | None,
    None,
    'Random probes per token to estimate from, such as 16; exact if left out, which can take minutes for "input" and '
    "is refused where it would take longer.",
)
CONTRIBUTIONS = Analysis(
    name="contributions",
    says="How much of one head's output at each token comes from each source token.",
    parameters=(WRT, PROBES_OR_EXACT),
    compute=_contributions,
    work=_work,
    remedy=_remedy,
    steps=_steps,
)
AGREEMENT = Analysis(
    name="agreement",
    says="How well the attention of each head agrees with its contributions, and where both lie on average.",
    parameters=(WRT, PROBES_OR_EXACT),
    compute=_compared,
)
