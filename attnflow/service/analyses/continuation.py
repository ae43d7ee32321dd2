"""What a language model writes after the text of a case."""

from __future__ import annotations

from attnflow.methods.continuation import MOST_WRITTEN, USUALLY_WRITTEN, continuation
from attnflow.records.continuation import Continuation
from attnflow.records.trace import is_whole
from attnflow.service.analyses.expected import EXPECTED
from attnflow.service.case import Case
from attnflow.service.registry import Analysis, Parameter


def _written(case: Case, most: int) -> Continuation:
    return continuation(case.checkpoint, case.encoding, most=most, pruned=case.pruned)


def _work(case: Case, most: int) -> float:
    """A pass for each token, over a text that grows; what is no number of tokens is refused when it is written."""
    steps = min(most, MOST_WRITTEN) if is_whole(most) else 1
    return steps * EXPECTED.work(case) * (1 + steps / (2 * case.n_tokens))


def _remedy(case: Case, most: float, **_: int) -> str:
    return "ask for fewer tokens (most), or shorten the text"


CONTINUATION = Analysis(
    name="continuation",
    says="What a language model writes after the text, each time the likeliest token.",
    parameters=(
        Parameter("most", int, USUALLY_WRITTEN, f"How many tokens are written at most, up to {MOST_WRITTEN}."),
    ),
    compute=_written,
    work=_work,
    remedy=_remedy,
)
