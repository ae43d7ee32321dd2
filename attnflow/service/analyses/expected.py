"""What a language model expects of a case, at each of its tokens or masks."""

from __future__ import annotations

from attnflow.methods.expected import MOST_EXPECTED, expected_tokens
from attnflow.records.token_scores import ExpectedTokens
from attnflow.service.analyses.work import forward
from attnflow.service.case import Case
from attnflow.service.registry import Analysis


def expects(case: Case) -> bool:
    """Whether the checkpoint expects anything of this text: a language model, and if a masked one, at a mask."""
    head = case.card.head
    masks = bool(case.card.mask_token) and case.card.mask_token in case.trace.tokens.piece
    return head.predicts_next or (head.trained and head.kind == "masked-lm" and masks)


def _expected(case: Case) -> ExpectedTokens:
    most = min(MOST_EXPECTED, case.checkpoint.n_entries)
    return expected_tokens(case.checkpoint, case.encoding, most=most, pruned=case.pruned)


def _work(case: Case) -> float:
    return forward(case) + 2.0 * case.card.n_embedded * case.n_tokens  # embeddings multiply once, as the head


EXPECTED = Analysis(
    name="expected_tokens",
    says="What a language model expects after each token, or in place of each mask.",
    compute=_expected,
    work=_work,
)
