"""The two training loops: masked words with next sentence, then the pair task."""

import logging
import math
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import cast

import torch
from torch import Tensor
from transformers.models.bert.configuration_bert import BertConfig
from transformers.models.bert.modeling_bert import BertForPreTraining, BertForSequenceClassification
from transformers.models.bert.tokenization_bert import BertTokenizer

from attnflow.demo.batches import Encoded, batches, collate, mask_words
from attnflow.demo.grammar import LABELS
from attnflow.demo.vocabulary import MAX_LENGTH

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recipe:
    """Sizes of the model and lengths of its training."""

    layers: int = 4
    heads: int = 4
    width: int = 128
    intermediate: int = 256
    vocabulary: int = 800
    pretrain_steps: int = 5500
    finetune_steps: int = 5500
    pretrain_rate: float = 2e-3
    finetune_rate: float = 5e-4
    spread: float = 0.03
    batch: int = 64
    dropout: float = 0.0
    attention_dropout: float = 0.0
    texts: int = 120000
    held_out: int = 4000

    def sizes(self) -> dict[str, float]:
        """Return the recipe as a JSON-safe dictionary."""
        return asdict(self)


def model_config(recipe: Recipe, vocabulary_size: int, pad: int) -> BertConfig:
    """Return the configuration both models share."""
    return BertConfig(
        vocab_size=vocabulary_size,
        hidden_size=recipe.width,
        num_hidden_layers=recipe.layers,
        num_attention_heads=recipe.heads,
        intermediate_size=recipe.intermediate,
        max_position_embeddings=MAX_LENGTH,
        hidden_dropout_prob=recipe.dropout,
        attention_probs_dropout_prob=recipe.attention_dropout,
        pad_token_id=pad,
        initializer_range=recipe.spread,
    )


def _rate(step: int, steps: int) -> float:
    """Linear warm-up over the first 6 %, then a cosine down to 2 % of the peak."""
    warm = max(1, round(0.06 * steps))
    if step < warm:
        return (step + 1) / warm
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))


def _optimise(
    model: torch.nn.Module,
    data: Iterator[dict[str, Tensor]],
    steps: int,
    rate: float,
    name: str,
    after: Callable[[int], None] = lambda step: None,
) -> float:
    """Train with AdamW, and call `after` with the number of each step, from 1; return the seconds it took."""
    decayed = [p for p in model.parameters() if p.ndim > 1]
    plain = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": 0.01}, {"params": plain, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.98), foreach=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _rate(step, steps))
    model.train()
    began, total, every = time.perf_counter(), 0.0, max(1, min(200, steps // 4))
    for step in range(1, steps + 1):
        loss = model(**next(data)).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad()
        schedule.step()
        total += loss.item()
        if step % every == 0:
            elapsed = time.perf_counter() - began
            logger.info("%s: step %d of %d, loss %.4f, %.0f s", name, step, steps, total / every, elapsed)
            total = 0.0
        after(step)
    model.eval()
    return time.perf_counter() - began


def _stream(
    rows: list[Encoded], size: int, seed: int, group: int, prepare: Callable[[list[Encoded]], dict[str, Tensor]]
) -> Iterator[dict[str, Tensor]]:
    return map(prepare, batches(rows, size, random.Random(seed), group))


def pretrain(
    rows: list[Encoded], tokenizer: BertTokenizer, recipe: Recipe, seed: int
) -> tuple[BertForPreTraining, float]:
    """Train a BERT from nothing on masked words and next sentences; return it with the seconds it took."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    model = BertForPreTraining(model_config(recipe, len(tokenizer), cast("int", tokenizer.pad_token_id)))
    stream = _stream(rows, recipe.batch, seed, 1, lambda r: mask_words(collate(r), tokenizer, generator))
    return model, _optimise(model, stream, recipe.pretrain_steps, recipe.pretrain_rate, "pre-training")


def finetune(
    pretrained: BertForPreTraining,
    rows: list[Encoded],
    recipe: Recipe,
    seed: int,
    after: Callable[[int, BertForSequenceClassification], None] = lambda step, model: None,
) -> tuple[BertForSequenceClassification, float]:
    """Continue a copy of the pre-trained encoder on the pair task; return it with the seconds it took.

    After each step, counted from 1, `after` is called with the model as it then is.
    """
    torch.manual_seed(seed + 1)
    config = BertConfig(**pretrained.config.to_dict())
    config.id2label = dict(enumerate(LABELS))
    config.label2id = {name: number for number, name in enumerate(LABELS)}
    model = BertForSequenceClassification(config)
    model.bert.load_state_dict(pretrained.bert.state_dict())
    stream = _stream(rows, recipe.batch, seed + 1, 2, collate)
    steps, rate = recipe.finetune_steps, recipe.finetune_rate
    return model, _optimise(model, stream, steps, rate, "fine-tuning", lambda step: after(step, model))
