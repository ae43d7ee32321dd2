"""What is taken for granted of torch and transformers beyond their promises is still so."""

from __future__ import annotations

import torch
from transformers import BertModel, LlamaModel, MambaModel
from transformers.models.bert.modeling_bert import BertLayer, BertSelfAttention
from transformers.models.bert.modeling_bert import eager_attention_forward as of_bert

from attnflow.checkpoints.compat import supports_attention_interface
from attnflow.runtime import compat


def test_a_view_of_a_parameter_is_told_from_what_is_computed_of_it():
    parameter = torch.nn.Parameter(torch.ones(4, 3))
    assert all(map(compat.is_parameter, (parameter, parameter.T, parameter[None, 1:])))
    assert not any(map(compat.is_parameter, (parameter * 1, torch.ones(4), 1.0, None)))


def test_a_change_in_place_is_told_through_any_view():
    x = torch.ones(4)
    before = compat.version(x)
    x[1:].mul_(2)
    assert compat.version(x) != before
    _ = x * 2
    assert compat.version(x) == compat.version(x[1:])


class Identity(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        return gradient


def test_functions_with_their_own_gradient_are_found_wherever_they_are():
    x = torch.ones(3, requires_grad=True)
    assert compat.custom_functions((Identity.apply(x) * 2 + x).sum()) == {"Identity"}
    assert compat.custom_functions((x * 2).sum()) == compat.custom_functions(torch.ones(())) == set()


def test_the_eager_attention_of_a_class_is_that_of_its_file():
    assert compat.eager_attention(BertSelfAttention) is of_bert
    assert compat.eager_attention(torch.nn.Linear) is None


def test_models_say_whether_they_use_the_attention_interface():
    assert all(map(supports_attention_interface, (BertModel, LlamaModel)))
    assert not any(map(supports_attention_interface, (MambaModel, None)))


def test_models_say_which_layers_give_their_hidden_states():
    with torch.device("meta"):
        model = BertModel(BertModel.config_class(num_hidden_layers=1))
    assert BertLayer in {compat.hidden_state_class(module) for module in model.modules()}
    assert compat.hidden_state_class(torch.nn.Linear(1, 1)) is None


def test_the_mask_of_an_eager_attention_is_added():
    mask = compat.eager_mask(batch_size=1, q_length=3, kv_length=3, mask_function=lambda b, h, q, kv: kv <= q)
    assert mask.shape == (1, 1, 3, 3) and mask.dtype == torch.float32
    assert torch.equal(mask[0, 0] == 0, torch.ones(3, 3).tril().bool())


def test_the_activation_of_bloom_is_its_function():
    x = torch.linspace(-3, 3, 7)
    torch.testing.assert_close(compat.BloomGelu().eval()(x), compat.bloom_gelu_forward(x))
    torch.testing.assert_close(compat.bloom_gelu_forward(x), torch.nn.functional.gelu(x, approximate="tanh"))
