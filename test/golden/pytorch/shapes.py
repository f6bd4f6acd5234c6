# Operations that arrange, index and change parts of tensors. Most are linear, so they get squares: second derivatives that are 0
# everywhere would hold nothing.

import torch

ids = torch.tensor([2, 0, 2])
column = torch.tensor([[1], [0]])
few = torch.tensor([3, 1])
mask = torch.tensor([[True, False, True, False], [False, False, True, True], [True, False, False, False]])


def squared(f):
    return lambda x, *others: f(x * x, *(y * y if y.is_floating_point() else y for y in others))


def put(x, indices, values, accumulate=False):
    return x.index_put(indices, values, accumulate)


def replaced(x, values, index):
    y = x.clone()
    y[index] = values
    return y


m, c = (3, 4), (2, 3, 4)
cases = [
    (name, squared(f), inputs, 2)
    for name, f, inputs in [
        ("tile", lambda x: x.tile(2, 1, 3), [m]),
        ("tile by fewer numbers", lambda x: x.tile(2), [m]),
        ("repeat", lambda x: x.repeat_interleave(3, dim=1), [m]),
        ("repeat, flattened", lambda x: x.repeat_interleave(2), [m]),
        ("repeat by a list", lambda x: x.repeat_interleave(torch.tensor([2, 0, 1]), dim=0), [m]),
        ("roll", lambda x: x.roll(-1, 1), [m]),
        ("roll, flattened", lambda x: x.roll(5), [m]),
        ("roll along two axes", lambda x: x.roll((1, 3), (0, 1)), [m]),
        ("unbind", lambda x: torch.cat([part * (i + 1) for i, part in enumerate(x.unbind(1))]), [m]),
        ("chunk", lambda x: torch.cat([part.flatten() * (i + 1) for i, part in enumerate(x.chunk(3, 1))]), [(2, 5)]),
        ("flatten", lambda x: x.flatten(1), [c]),
        ("unflatten", lambda x: x.unflatten(1, (2, -1)), [m]),
        ("moveAxis", lambda x: x.movedim((0, 1), (2, 0)), [c]),
        ("tril", lambda x: x.tril(1), [c]),
        ("triu", lambda x: x.triu(-1), [m]),
        ("diag of a vector", lambda x: x.diag(-1), [(3,)]),
        ("diag of a matrix", lambda x: x.diag(2), [m]),
        ("diagonal", lambda x: x.diagonal(1, 0, 2), [c]),
        ("meshgrid", lambda x, y: torch.stack(torch.meshgrid(x, y, indexing="ij")), [(2,), (3,)]),
        ("meshgrid, xy", lambda x, y: torch.stack(torch.meshgrid(x, y, indexing="xy")), [(2,), (3,)]),
        ("at, ranges", lambda x: x[1, 1:, None, ::2], [c]),
        ("at, dots", lambda x: x[..., -1], [c]),
        ("at, ids", lambda x, i: x[:, i.long()], [c, ids.int()]),
        ("at, ids of two axes", lambda x, i, j: x[:, i.long(), j.long()], [c, column.int(), few.int()]),
        ("at, ids that are apart", lambda x, i, j: x[i.long(), :, j.long()], [c, column.int(), few.int()]),
        ("at, ids beside a number", lambda x, i: x[0, :, i.long()], [c, few.int()]),
        ("at, ids around a number", lambda x, i, j: x[i.long(), 1, j.long()], [c, column.int(), few.int()]),
        ("withAt, a part", lambda x, v: replaced(x, v, (slice(1, None), 2)), [m, (2,)]),
        ("withAt, ids", lambda x, v, i: replaced(x, v, (slice(None), i.long())), [m, (3, 2), few.int()]),
        ("addAt", lambda x, v, i: x.index_add(0, i.long(), v), [m, (3, 4), ids.int()]),
        ("addAt, pairs", lambda x, v, i, j: put(x, (i.long(), j.long()), v, True), [m, (2, 2), column.int(), few.int()]),
        ("take", lambda x, i: x.index_select(1, i.long()), [m, few.int()]),
        ("maskedFill", lambda x, b: x.masked_fill(b, -2.0), [m, mask]),
    ]
]
