"""The example pairs of the page: those of the bundled checkpoints, which need no network, then some of the Hub."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache

from attnflow.bundled import ASSETS
from attnflow.checkpoints.checkpoint import BUNDLED
from attnflow.web.settings import Pair


@dataclass(frozen=True)
class Example:
    """A sentence pair for two checkpoints."""

    title: str
    text_a: str
    text_b: str
    what_to_see: str
    model_a: str = BUNDLED[0]
    model_b: str = BUNDLED[1]

    @property
    def pair(self) -> Pair:
        """What it is of."""
        return Pair(model_a=self.model_a, model_b=self.model_b, text_a=self.text_a, text_b=self.text_b)


HUB_EXAMPLES = (
    Example(
        "From the Hub: BERT before and after learning paraphrases",
        "The museum sold the painting to a collector in Lisbon.",
        "A collector in Lisbon bought the painting from the museum.",
        "Both sentences tell of one sale. Which words does the fine-tuned model compare?",
        "google-bert/bert-base-uncased",
        "textattack/bert-base-uncased-MRPC",
    ),
    Example(
        "From the Hub: DistilBERT before and after learning sentiment",
        "The plot is thin, but the acting is anything but dull.",
        "",
        "A single sentence whose tone turns at one word.",
        "distilbert/distilbert-base-uncased",
        "distilbert/distilbert-base-uncased-finetuned-sst-2-english",
    ),
    Example(
        "From the Hub: BERT against GPT-2, word by word",
        "Marta lent her bicycle to Oskar.",
        "He rode it to the lake.",
        "An encoder reads its first token, a decoder its last one, and looks back only.",
        "google-bert/bert-base-uncased",
        "openai-community/gpt2",
    ),
)


@cache
def load_examples() -> list[Example]:
    """All examples; the first one is shown when the page opens."""
    bundled = json.loads((ASSETS / "demo" / "examples.json").read_text(encoding="utf-8"))
    fields = ("title", "text_a", "text_b", "what_to_see")
    return [*(Example(**{name: entry[name] for name in fields}) for entry in bundled), *HUB_EXAMPLES]
