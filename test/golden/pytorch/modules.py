# Recurrent networks, and modules whose weight is computed, as functions of their inputs and all their parameters.

import torch
import torch.nn.functional as F
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


def case(name, module, shapes, lengths=None, order=2):
    names = [key for key, _ in module.named_parameters()]
    states = len(shapes) - 1

    def f(*xs):
        x, state, parameters = xs[0], xs[1 : 1 + states], dict(zip(names, xs[1 + states :]))
        given = pack_padded_sequence(x, torch.tensor(lengths), True, False) if lengths else x
        state = () if states == 0 else (state[0] if states == 1 else tuple(state),)
        out = functional_call(module, parameters, (given, *state))
        if torch.is_tensor(out) or torch.is_tensor(out[0]) and out[0].dim() < 3:
            return out
        output, after = out
        if lengths:
            output = pad_packed_sequence(output, True, total_length=x.shape[1])[0]
        return [output, *([after] if torch.is_tensor(after) else after)]

    return (name, f, [*shapes, *(tuple(p.shape) for p in module.parameters())], order)


def grouped(x, *parameters):
    """Attention of 4 heads of queries and 2 of keys and values, causal."""
    pairs = list(zip(parameters[::2], parameters[1::2]))
    q, k, v = (F.linear(x, *pair).unflatten(-1, (-1, 1)).transpose(1, 2) for pair in pairs[:3])
    with sdpa_kernel(SDPBackend.MATH):  # the only one with a second derivative
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
    return F.linear(y.transpose(1, 2).flatten(2), *pairs[3])


def half(x):
    """Rotary positions of GPT-NeoX and LLaMA, as Hugging Face computes them."""
    time, size = x.shape[-2:]
    angles = torch.arange(time)[:, None] / 10000 ** (torch.arange(0, size, 2) / size)
    angles = torch.cat([angles, angles], -1)
    first, second = x.chunk(2, -1)
    return x * angles.cos() + torch.cat([-second, first], -1) * angles.sin()


def interleaved(x):
    """Rotary positions of the paper and GPT-J, by complex numbers as LLaMA's own code computes them."""
    time, size = x.shape[-2:]
    angles = torch.arange(time)[:, None] / 10000 ** (torch.arange(0, size, 2) / size)
    turned = torch.view_as_complex(x.reshape(*x.shape[:-1], -1, 2)) * torch.polar(torch.ones_like(angles), angles)
    return torch.view_as_real(turned).flatten(-2)


def weight_norm(x, b, g, v):
    # not torch._weight_norm, whose second derivative is another one
    return F.linear(x, v * (g / v.norm(2, dim=1, keepdim=True)), b)


nn = torch.nn
batch = (2, 3, 2)
both = {"batch_first": True, "bidirectional": True}
cases = [
    case("RNN", nn.RNN(2, 3, batch_first=True), [batch]),
    case("RNN of relu, without biases", nn.RNN(2, 2, nonlinearity="relu", bias=False, batch_first=True), [batch]),
    case("GRU, both ways, with a state", nn.GRU(2, 2, **both), [batch, (2, 2, 2)]),
    case("GRU of two layers, with lengths", nn.GRU(2, 2, num_layers=2, batch_first=True), [batch], [1, 3]),
    case("LSTM of two layers, both ways", nn.LSTM(2, 2, num_layers=2, **both), [batch], order=1),
    case("LSTM, with a state and lengths", nn.LSTM(2, 2, **both), [batch, (2, 2, 2), (2, 2, 2)], [3, 2]),
    case("RNNCell", nn.RNNCell(2, 3), [(2, 2), (2, 3)]),
    case("GRUCell", nn.GRUCell(2, 3), [(2, 2), (2, 3)]),
    case("LSTMCell", nn.LSTMCell(2, 2), [(2, 2), (2, 2), (2, 2)]),
    ("weightNorm", weight_norm, [(2, 3), (2,), (2, 1), (2, 3)], 2),
    ("grouped queries", grouped, [(1, 3, 4), (4, 4), (4,), (2, 4), (2,), (2, 4), (2,), (4, 4), (4,)], 2),
    ("rotary", half, [(2, 3, 4)], 2),
    ("rotary, interleaved", interleaved, [(2, 3, 4)], 2),
]
