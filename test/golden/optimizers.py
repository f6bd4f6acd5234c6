# Writes what 20 steps of PyTorch's optimizers make of one parameter, in float64: python3 test/golden/optimizers.py
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


lines = ",\n".join(json.dumps(run(*case)) for case in cases)
Path(__file__).with_name("optimizers.json").write_text(f'{{"torch": "{torch.__version__}", "cases": [\n{lines}\n]}}\n')
