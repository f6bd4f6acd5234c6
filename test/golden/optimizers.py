# Writes what 20 steps of PyTorch's optimizers make of one parameter, in float64, and the rates of its schedules: python3 test/golden/optimizers.py
#
# The gradient at step t is (i + 1) w_i / n + sin(7 t + 1.3 i) for element i of n. Options have the names that they have here.

import json
from pathlib import Path

import torch

torch.set_default_dtype(torch.float64)
# Muon computes in bfloat16; with this it keeps the digits that are compared
torch.Tensor.bfloat16 = lambda x: x.clone()

names = {
    "learningRate": "lr",
    "weightDecay": "weight_decay",
    "epsilon": "eps",
    "iterations": "ns_steps",
    "scale": "adjust_lr_fn",
}
cases = [
    ("SGD", {"momentum": 0.9, "weightDecay": 0.1, "nesterov": True}, [3, 4]),
    ("AdamW", {"weightDecay": 0.1, "betas": [0.8, 0.95]}, [3, 4]),
    ("Adam", {}, [3, 4]),
    ("Adam", {"weightDecay": 0.1, "betas": [0.8, 0.95], "epsilon": 1e-3}, [3, 4]),
    ("RMSprop", {}, [3, 4]),
    ("RMSprop", {"alpha": 0.8, "momentum": 0.9, "centered": True, "weightDecay": 0.1}, [3, 4]),
    ("Adagrad", {}, [3, 4]),
    ("Adagrad", {"weightDecay": 0.1, "epsilon": 1e-3}, [3, 4]),
    ("Muon", {}, [3, 4]),
    ("Muon", {"momentum": 0.8, "nesterov": False, "weightDecay": 0.3, "iterations": 3, "scale": "adamw"}, [5, 3]),
    ("Muon", {}, [5, 3]),
]


def run(algorithm, options, shape):
    generator = torch.Generator().manual_seed(1)
    start = torch.randn(shape, generator=generator)
    w = start.clone().requires_grad_()
    options = {"learningRate": 0.05, **options}
    given = {names.get(name, name): "match_rms_adamw" if value == "adamw" else value for name, value in options.items()}
    optimizer = getattr(torch.optim, algorithm)([w], **given)
    index = torch.arange(w.numel(), dtype=torch.float64).reshape(shape)
    for step in range(20):
        w.grad = (index + 1) * w.detach() / w.numel() + torch.sin(7 * step + 1.3 * index)
        optimizer.step()
    flat = lambda x: x.detach().reshape(-1).tolist()
    return {"algorithm": algorithm, "options": options, "shape": shape, "start": flat(start), "end": flat(w)}


schedules = torch.optim.lr_scheduler
rates = {
    "oneCycle": (25, lambda o: schedules.OneCycleLR(o, 0.5, total_steps=25)),
    "oneCycle of two steps": (2, lambda o: schedules.OneCycleLR(o, 0.5, total_steps=2)),
    "oneCycle, from 0.1 to 0.01": (
        20,
        lambda o: schedules.OneCycleLR(o, 0.5, total_steps=20, pct_start=0.4, div_factor=5, final_div_factor=10),
    ),
    "cosineRestarts": (25, lambda o: schedules.CosineAnnealingWarmRestarts(o, 7)),
    "cosineRestarts, growing": (25, lambda o: schedules.CosineAnnealingWarmRestarts(o, 3, T_mult=2, eta_min=0.1)),
    "exponentialDecay": (25, lambda o: schedules.ExponentialLR(o, 0.9)),
    "stepDecay": (25, lambda o: schedules.StepLR(o, 7, gamma=0.5)),
    "stepDecay, at steps": (25, lambda o: schedules.MultiStepLR(o, [3, 10, 11], gamma=0.1)),
    "polynomialDecay": (25, lambda o: schedules.PolynomialLR(o, 20, power=2)),
    "chain": (
        25,
        lambda o: schedules.SequentialLR(o, [schedules.StepLR(o, 2, 0.5), schedules.ExponentialLR(o, 0.9)], [6]),
    ),
}


def optimizer():
    return torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.5)


def rates_of(steps, make):
    o = optimizer()
    schedule = make(o)
    found = []
    for _ in range(steps):
        found.append(o.param_groups[0]["lr"])
        o.step()
        schedule.step()
    return found


def observed(**options):
    o = optimizer()
    plateau = schedules.ReduceLROnPlateau(o, **options)
    metrics = [3, 2, 2.5, 2.1, 2, 1.99, 1.98, 1, 1.5, 1.5, 1.5, 1.5, 1.5, 1.5, 1.5, 0.9, 1, 1, 1, 1, 1]
    found = []
    for metric in metrics:
        plateau.step(metric)
        found.append(o.param_groups[0]["lr"])
    return {"metrics": metrics, "rates": found}


plateaus = {
    "min": observed(factor=0.5, patience=2),
    "max": observed(mode="max", factor=0.5, patience=1, cooldown=2, min_lr=0.1),
    "threshold": observed(factor=0.5, patience=1, threshold=0.1),
}
lines = ",\n".join(json.dumps(run(*case)) for case in cases)
Path(__file__).with_name("optimizers.json").write_text(f'{{"torch": "{torch.__version__}", "cases": [\n{lines}\n],\n"rates": {json.dumps({name: rates_of(*r) for name, r in rates.items()})},\n"plateaus": {json.dumps(plateaus)}}}\n')
