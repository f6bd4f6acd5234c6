# Functions of each element, reductions and scans.

import math

import torch
import torch.nn.functional as F

inside = torch.tensor([-0.9, -0.3, 0.1, 0.2, 0.75])
positive = torch.tensor([0.04, 0.7, 1.0, 2.3, 19.0])
above = torch.tensor([1.05, 1.7, 2.3, 19.0])
steps = torch.tensor([-2.6, -1.5, -0.5, -0.2, 0.3, 0.5, 1.5, 2.5, 3.0, 7.7])
divisors = torch.tensor([0.7, -0.7, 1.3, -3.1, 0.2, 2.0, -0.4, 1.1, -2.0, 0.9])
wholes = torch.tensor([7, -7, 7, -7, 0, 12], dtype=torch.int32)
whole_divisors = torch.tensor([3, 3, -3, -3, 5, 4], dtype=torch.int32)
odd = torch.tensor([1.5, math.nan, math.inf, -math.inf, -2.0])
zeros = torch.tensor([[2.0, 0.0, -3.0], [0.0, 1.5, 0.0], [1.2, -0.4, 0.3]])

anywhere = {
    "tan": torch.tan,
    "atan": torch.atan,
    "sinh": torch.sinh,
    "cosh": torch.cosh,
    "asinh": torch.asinh,
    "exp2": torch.exp2,
    "cube": lambda x: x**3,
    "reciprocal": torch.reciprocal,
    "logSigmoid": F.logsigmoid,
    "leakyRelu": F.leaky_relu,
    "leakyRelu, 0.3": lambda x: F.leaky_relu(x, 0.3),
    "elu": F.elu,
    "elu, 0.7": lambda x: F.elu(x, 0.7),
    "selu": F.selu,
    "mish": F.mish,
    "softsign": F.softsign,
}
reductions = {
    "prod": lambda x: x.prod(),
    "prod of an axis": lambda x: x.prod(0),
    "cumprod": lambda x: x.cumprod(-1),
    "cumprod of an axis": lambda x: x.cumprod(0),
    "logCumSumExp": lambda x: x.logcumsumexp(-1),
    "std": lambda x: x.std(),
    "std of an axis": lambda x: x.std(-1, correction=0),
    "varianceAndMean": lambda x: torch.var_mean(x, -1),
    "norm 3": lambda x: torch.linalg.vector_norm(x, 3, -1),
    "norm 1.5": lambda x: torch.linalg.vector_norm(x, 1.5),
    "norm 0.5": lambda x: torch.linalg.vector_norm(x, 0.5, -1),
    "norm -1": lambda x: torch.linalg.vector_norm(x, -1, -1),
    "cummax": lambda x: x.cummax(-1)[0],
    "cummin": lambda x: x.cummin(-1)[0],
}
cases = (
    [(name, f, [(7,)], 2) for name, f in anywhere.items()]
    + [(name, f, [(3, 4)], 2) for name, f in reductions.items()]
    + [(name, getattr(torch, name), [inside], 2) for name in ["asin", "acos", "atanh"]]
    + [(name, getattr(torch, name), [positive], 2) for name in ["log2", "log10"]]
    + [(name, getattr(torch, name), [steps], 1) for name in ["floor", "ceil", "round", "trunc"]]
    + [(name, getattr(torch, name), [steps, divisors], 2) for name in ["fmod", "remainder"]]
    + [
        ("acosh", torch.acosh, [above], 2),
        ("fmod of integers", torch.fmod, [wholes, whole_divisors], 0),
        ("remainder of integers", torch.remainder, [wholes, whole_divisors], 0),
        ("remainder by a number", lambda x: x.remainder(-0.75), [steps], 2),
        ("atan2", torch.atan2, [(3, 4), (4,)], 2),
        ("atan2 at the origin", torch.atan2, [torch.zeros(2), torch.zeros(2)], 1),
        ("hypot", torch.hypot, [(3, 4), (4,)], 2),
        ("logaddexp", torch.logaddexp, [(3, 4), (3, 1)], 2),
        ("lerp", torch.lerp, [(3, 4), (4,), (3, 1)], 2),
        ("lerp by a number", lambda x, y: x.lerp(y, 0.3), [(5,), (5,)], 2),
        ("isNaN", torch.isnan, [odd], 0),
        ("isInf", torch.isinf, [odd], 0),
        ("isFinite", torch.isfinite, [odd], 0),
        ("nanToNum", torch.nan_to_num, [odd], 0),
        ("nanToNum with numbers", lambda x: x.nan_to_num(1.0, 2.0, 3.0), [odd], 1),
        ("hardswish", F.hardswish, [torch.tensor([-4.0, -2.0, -0.5, 0.0, 1.0, 2.9, 5.0])], 2),
        ("glu", F.glu, [(3, 4)], 2),
        ("glu of an axis", lambda x: F.glu(x, 0), [(4, 3)], 2),
        ("swiglu", lambda x: F.silu(x[:, :2]) * x[:, 2:], [(3, 4)], 2),
        ("prod with zeros", lambda x: x.prod(-1), [zeros], 2),
        ("prod of all with zeros", lambda x: x.prod(), [zeros], 2),
        ("cumprod with zeros", lambda x: x.cumprod(-1), [zeros], 2),
        ("norm 3 with zeros", lambda x: torch.linalg.vector_norm(x, 3, -1), [zeros], 1),
        ("norm inf", lambda x: torch.linalg.vector_norm(x, math.inf, -1), [(3, 4)], 1),
        ("norm -inf", lambda x: torch.linalg.vector_norm(x, -math.inf, -1), [(3, 4)], 1),
        ("norm 0 with zeros", lambda x: torch.linalg.vector_norm(x, 0, -1), [zeros], 1),
        ("std of equal numbers", lambda x: x.std(), [torch.full((5,), 0.1)], 0),
        ("any", lambda x: (x > 1).any(-1), [(3, 4)], 0),
        ("all", lambda x: (x > -1).all(0), [(3, 4)], 0),
        ("argmin", lambda x: x.argmin(-1), [(3, 4)], 0),
    ]
)
