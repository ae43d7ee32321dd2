"""Runs an encoder-decoder as one model of both stacks (`records.stacks`), on one axis of source and target tokens.

Once, when a model is loaded, it, its layers and its embeddings are given subclasses. Called with `target`, which tells
for each token of the axis whether the decoder reads it, the model runs transformers' own encoder and decoder, and each
layer sees, and may be given (`layers.steer`), the vectors of all tokens: what takes no part in it is kept beside, and
goes on to the next. So everything that holds of a model of one stack can be asked of both. Called without, the model is
as transformers made it.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import torch
from torch import nn
from transformers.modeling_outputs import (
    BaseModelOutput,
    CausalLMOutput,
    QuestionAnsweringModelOutput,
    SequenceClassifierOutput,
)
from transformers.modeling_utils import PreTrainedModel

from attnflow.records.stacks import Stacks
from attnflow.runtime import attention_hook, layers
from attnflow.runtime.attention_hook import Part
from attnflow.runtime.specialise import specialise


@dataclass
class _Run:
    """One pass over both stacks."""

    stacks: Stacks
    n_source: int
    given: torch.Tensor | None = None
    """`[B, T, D]`: what stands for the embeddings of the tokens."""
    source: torch.Tensor = field(default_factory=lambda: torch.empty(0, device="cpu"))
    """`[B, S, D]`: of the source, as it enters the next layer of the decoder."""
    target: torch.Tensor = field(default_factory=lambda: torch.empty(0, device="cpu"))
    """The same of the target and the encoder."""
    layer: int = 0
    """How many layers have been entered."""
    in_decoder: bool = False
    only_embeds: bool = False
    """Whether the decoder is run only for what enters its first layer."""
    entered: list[torch.Tensor] = field(default_factory=list)
    """`[B, T, D]`: what entered each layer so far."""

    def parts(self, size: int) -> list[Part]:
        """Where each attention of the layer at hand stands among all heads and tokens."""
        parts = self.stacks.parts(self.layer - 1, self.n_source, size)
        return [Part(heads.start, queries, keys) for heads, queries, keys in parts]


class _Embedded(Exception):
    """Ends a pass of the decoder with what enters its first layer; never leaves this module."""

    def __init__(self, hidden: torch.Tensor) -> None:
        super().__init__()
        self.hidden = hidden


_run: ContextVar[_Run | None] = ContextVar("attnflow_stacks", default=None)


class _Layer(nn.Module):
    """A layer of either stack: while both run as one, it sees the tokens of both."""

    returns_only_hidden: bool | None = None
    """Whether the layer returns nothing but what enters the next one; learnt when it first runs."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        run = _run.get()
        if run is None:
            return super().forward(*args, **kwargs)
        bound = _signature(type(self)).bind(self, *args, **kwargs)
        given = bound.arguments
        if run.only_embeds:
            raise _Embedded(given["hidden_states"])
        own, other = given["hidden_states"], run.target
        if run.in_decoder:
            first = run.layer == run.stacks.n_encoder
            own = run.target if first else own
            other = given["encoder_hidden_states"] if first else run.source
        hidden = torch.cat((other, own) if run.in_decoder else (own, other), dim=1)
        run.layer += 1
        hidden, left_out = layers.enter_layer(hidden, may_be_left_out=bool(self.returns_only_hidden))
        run.entered.append(hidden)
        source, target = hidden[:, : run.n_source], hidden[:, run.n_source :]
        run.source, run.target = source, target
        own = target if run.in_decoder else source
        if left_out:
            return own
        given["hidden_states"] = own
        if run.in_decoder:
            given["encoder_hidden_states"] = source
        attention_hook.expect(run.parts(hidden.shape[1]), 2 * run.stacks.n_heads, hidden.shape[1])
        output = super().forward(*bound.args[1:], **bound.kwargs)
        if self.returns_only_hidden is None:
            self.returns_only_hidden = isinstance(output, torch.Tensor)
        return output


@cache
def _signature(layer_class: type[nn.Module]) -> inspect.Signature:
    """That of the layer's own forward, below `_Layer`."""
    own = next(
        base
        for base in layer_class.__mro__
        if base is not _Layer and "forward" in vars(base) and not issubclass(base, _Layer)
    )
    return inspect.signature(own.forward)


class _Embeddings(nn.Module):
    """A table of embeddings, which gives what it is told where vectors are given."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        run = _run.get()
        if run is None or run.given is None:
            return super().forward(input)
        in_target = run.in_decoder or run.only_embeds
        return run.given[:, run.n_source :] if in_target else run.given[:, : run.n_source]


class _Whole(nn.Module):
    """The model itself."""

    stacks: Stacks
    stack_names: tuple[str, str]
    """Of encoder and decoder among the model's parts."""
    classifies: bool
    """Whether it has a head for whole texts, which reads the last token of the decoder."""
    answers: bool
    """Whether it has a head for questions, which reads each token of the decoder."""

    @property
    def base_model(self) -> Any:
        """The model without its head, called with the same."""
        return _Body(self)

    def get_input_embeddings(self) -> nn.Module:
        """Those of the source, which are those of the target, too."""
        encoder: Any = self.get_submodule(self.stack_names[0])
        return encoder.get_input_embeddings()

    def forward(self, *args: Any, target: torch.Tensor | None = None, **kwargs: Any) -> Any:
        if target is None:
            return super().forward(*args, **kwargs)
        if self.classifies:
            # transformers' own classes look for the last `</s>` of the source: there the target ends (`read_again`).
            found = self.body(target=target, **kwargs)
            head: Any = self.get_submodule("classification_head")
            return SequenceClassifierOutput(logits=head(found[0][:, -1]), hidden_states=found.hidden_states)
        if self.answers:
            found = self.body(target=target, **kwargs)
            head = self.get_submodule("qa_outputs")
            # Where the encoder reads, nothing is scored, so that there no answer can begin or end.
            scores = head(found[0]).masked_fill(target[..., None] == 0, -torch.inf)
            start, end = scores.unbind(-1)
            return QuestionAnsweringModelOutput(start_logits=start, end_logits=end, hidden_states=found.hidden_states)
        with self._running(target=target, **kwargs) as (run, encoded, to_decoder):
            given = {"attention_mask": to_decoder.pop("encoder_attention_mask")}
            given |= {f"decoder_{name}": value for name, value in to_decoder.items()}
            logits = super().forward(encoder_outputs=encoded, use_cache=False, **given).logits
        # The tokens of the source have no scores, and nothing that is computed of them may look like one.
        none = logits.new_full((1, 1, 1), torch.nan).expand(len(logits), run.n_source, logits.shape[-1])
        return CausalLMOutput(logits=torch.cat((none, logits), dim=1))

    def body(self, *, target: torch.Tensor, output_hidden_states: bool = False, **kwargs: Any) -> BaseModelOutput:
        """Run it without its head; arguments as of `forward`, each `[B, T]`.

        Returns:
            Embeddings that leave the two stacks, `[B, T, D]`, and if asked for those that enter each layer, too.
        """
        with self._running(target=target, **kwargs) as (run, encoded, to_decoder):
            decoder = self.get_submodule(self.stack_names[1])
            made = decoder(encoder_hidden_states=encoded[0], use_cache=False, **to_decoder)[0]
            last = torch.cat((run.source, made), dim=1)
        return BaseModelOutput(last, (*run.entered, last) if output_hidden_states else None)

    @contextmanager
    def _running(
        self,
        *,
        target: torch.Tensor,
        input_ids: torch.Tensor | None = None,
        inputs_embeds: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
    ) -> Iterator[tuple[_Run, BaseModelOutput, dict[str, torch.Tensor]]]:
        """The run, what the encoder gave, and what the decoder is to be called with beside that."""
        n_source = int((target[0] == 0).sum())
        if input_ids is None:  # only its shape is read
            input_ids = torch.zeros_like(target)
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        run = _Run(self.stacks, n_source, inputs_embeds)
        encoder, decoder = map(self.get_submodule, self.stack_names)
        token = _run.set(run)
        try:
            to_decoder = {"input_ids": input_ids[:, n_source:], "attention_mask": mask[:, n_source:]}
            run.only_embeds = True
            try:
                decoder(use_cache=False, **to_decoder)
            except _Embedded as embedded:
                run.target = embedded.hidden
            run.only_embeds = False
            encoded = encoder(input_ids=input_ids[:, :n_source], attention_mask=mask[:, :n_source])
            run.in_decoder = True
            yield run, encoded, {**to_decoder, "encoder_attention_mask": mask[:, :n_source]}
        finally:
            _run.reset(token)


@dataclass(frozen=True)
class _Body:
    """What is called as a model without its head is."""

    whole: Any

    def __call__(self, **inputs: Any) -> BaseModelOutput:
        return self.whole.body(**inputs)


def install(model: PreTrainedModel, stacks: Stacks) -> bool:
    """Let a freshly loaded encoder-decoder run as one model; False if its layers cannot be told."""
    encoder, decoder = model.get_encoder(), model.get_decoder()
    names = {module: name for name, module in model.named_modules()}
    both = layers.find_layers(encoder, stacks.n_encoder), layers.find_layers(decoder, stacks.n_decoder)
    if (len(both[0]), len(both[1])) != (stacks.n_encoder, stacks.n_decoder):
        return False
    for layer in (*both[0], *both[1]):
        specialise(layer, _Layer)
    for stack in (encoder, decoder):
        specialise(stack.get_input_embeddings(), _Embeddings)
    whole: Any = model
    whole.stacks, whole.stack_names = stacks, (names[encoder], names[decoder])
    whole.classifies, whole.answers = ("classification_head" in names.values(), "qa_outputs" in names.values())
    specialise(model, _Whole)
    return True
