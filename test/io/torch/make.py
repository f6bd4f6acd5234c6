"""Writes the files of this folder with PyTorch, and in values.json what is in them: python3 make.py."""

import json
import os
from collections import OrderedDict

import torch
from torch import nn

os.chdir(os.path.dirname(os.path.abspath(__file__)))
torch.manual_seed(0)

base = torch.arange(24, dtype=torch.float32).reshape(4, 6)
state = OrderedDict(
    whole=base,
    row=base[2],
    transposed=base.t(),
    every_other=base[1::2, ::3],
    permuted=torch.arange(24.0).reshape(2, 3, 4).permute(2, 0, 1),
    repeated=torch.tensor([1.5, -2.5]).expand(3, 2),
    scalar=torch.tensor(2.6593),
    empty=torch.zeros(0, 3),
    half=torch.tensor([1.0, -0.5, 65504.0, 6e-8], dtype=torch.float16),
    brain=torch.tensor([1.0, -3.140625, 1e30], dtype=torch.bfloat16),
    double=torch.tensor([1 / 3], dtype=torch.float64),
    long=torch.tensor([2**40, -1]),
    int=torch.tensor([7, -7], dtype=torch.int32),
    short=torch.tensor([300], dtype=torch.int16),
    byte=torch.tensor([0, 255], dtype=torch.uint8),
    char=torch.tensor([-128], dtype=torch.int8),
    bool=torch.tensor([True, False, True]),
    parameter=nn.Parameter(torch.tensor([[0.25, 4.0]])),
)
values = {
    name: {"shape": list(tensor.shape), "values": tensor.detach().to(torch.float64).flatten().tolist()}
    for name, tensor in state.items()
}
with open("values.json", "w") as file:
    json.dump(values, file, indent=1)
torch.save(state, "state.pt")

# what a training script leaves: the state dict of a wrapped model among other things
model = nn.Sequential(nn.Linear(3, 2), nn.LayerNorm(2))
optimizer = torch.optim.AdamW(model.parameters())
model(torch.ones(1, 3)).sum().backward()
optimizer.step()
wrapped = OrderedDict((f"module.{name}", tensor) for name, tensor in model.state_dict().items())
wrapped._metadata = model.state_dict()._metadata
torch.save(
    {"epoch": 3, "name": "coca", "state_dict": wrapped, "optimizer": optimizer.state_dict(), "scaler": None},
    "training.pt",
)
torch.save(model.state_dict(), "legacy.pt", _use_new_zipfile_serialization=False)
# a whole model: its pickle calls classes
torch.save(model, "module.pt")

# a training checkpoint of a compiled model in DataParallel, beside what scripts save with it
import argparse
import pathlib

import numpy as np

compiled = OrderedDict(
    [("module._orig_mod.weight", torch.tensor([[1.0, 2.0]])), ("module._orig_mod.bias", torch.tensor([0.5]))]
)
torch.save(
    {
        "epoch": np.int64(3),
        "loss": np.float32(0.25),
        "best": np.float64(1.5),
        "args": argparse.Namespace(lr=1e-3, name="coca", path=pathlib.PosixPath("/x"), ids=[1, 2]),
        "state_dict": compiled,
        "rng": np.arange(3),
        "device": torch.device("cpu"),
        "dtype": torch.float32,
    },
    "things.pt",
)

# what DeiT and MAE write, and what DINO writes: one model under several names
weights = {"weight": torch.tensor([[1.0, 2.0]]), "bias": torch.tensor([0.5])}
others = {"epoch": 7, "args": argparse.Namespace(model="deit"), "torch_rng": torch.zeros(2, dtype=torch.uint8)}
torch.save({"optimizer": optimizer.state_dict(), "model": weights, "scaler": {"scale": 2.0}, **others}, "model.pth")
student = {f"module.backbone.{name}": 2 * tensor for name, tensor in weights.items()}
teacher = {f"backbone.{name}": tensor for name, tensor in weights.items()}
torch.save({"student": student, "teacher": teacher, **others}, "teacher.pth")
