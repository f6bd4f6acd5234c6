"""Writes a folder of golden numbers for any OpenCLIP configuration: python3 make.py config.json FOLDER [--seed n].

The numbers are those of bench/peers/openclip_model.py in PyTorch. `--check FOLDER` computes the outputs of a folder that is
there and says how far they are from it, which is how that model is held to OpenCLIP's own numbers."""

import argparse
import json
import math
import os
import struct
import sys

import torch

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../bench/peers"))
from openclip_model import CoCa  # noqa: E402

DTYPES = {"F32": torch.float32, "I64": torch.int64}


def read(path):
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        data = bytearray(file.read())
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        tensors[name] = torch.frombuffer(data[begin:end], dtype=DTYPES[entry["dtype"]]).reshape(entry["shape"])
    return tensors


def write(path, tensors):
    header, pieces, offset = {}, [], 0
    for name, tensor in tensors.items():
        bytes_ = tensor.detach().contiguous().numpy().tobytes()
        dtype = next(name for name, dtype in DTYPES.items() if dtype == tensor.dtype)
        end = offset + len(bytes_)
        header[name] = {"dtype": dtype, "shape": list(tensor.shape), "data_offsets": [offset, end]}
        pieces.append(bytes_)
        offset = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + b"".join(pieces))


def stir(model):
    """Random weights under which every parameter matters."""
    for name, parameter in model.named_parameters():
        if name == "logit_scale":
            parameter.data.fill_(math.log(14))
        elif parameter.ndim < 2:
            norm = ".ln_" in name and name.endswith("weight")
            parameter.data.normal_(1 if norm else 0, 0.2)
        elif "embedding" in name or "query" in name:
            parameter.data.normal_(0, 0.5)
        else:
            # a matrix that stands on the right has its inputs first
            fan = parameter.shape[0] if name.endswith("proj") or name.endswith("projection") else parameter[0].numel()
            parameter.data.normal_(0, 1.4 / math.sqrt(fan))
    return model


def batch(config, count):
    size, text = config["vision_cfg"]["image_size"], config["text_cfg"]
    length, vocabulary = text["context_length"], text["vocab_size"]
    ids = torch.zeros(count, length, dtype=torch.int64)
    for row in range(count):
        n = length if row == 0 else int(torch.randint(3, length, ()))
        body = torch.randint(1, vocabulary - 2, (n - 2,))
        ids[row, :n] = torch.cat([torch.tensor([vocabulary - 2]), body, torch.tensor([vocabulary - 1])])
    return torch.randn(count, 3, size, size), ids


def generation(model, images, start, lengths):
    tokens = model.visual(images)[1]
    greedy, gaps = torch.full((len(images), 1), start), []
    for _ in range(lengths[0]):
        best, ids = model.next_logits(tokens, greedy).topk(2)
        gaps.append(best[:, 0] - best[:, 1])
        greedy = torch.cat([greedy, ids[:, :1]], 1)
    results = []
    for image in tokens:
        beams = [([start], 0.0)]
        for _ in range(lengths[1]):
            ids = torch.tensor([ids for ids, _ in beams])
            logs = model.next_logits(image.expand(len(beams), -1, -1), ids).double().log_softmax(-1)
            further = [(ids + [t], sum_ + logs[i, t].item()) for i, (ids, sum_) in enumerate(beams) for t in range(logs.shape[1])]
            beams = sorted(further, key=lambda beam: -beam[1])[:3]
        results.append([{"ids": ids, "log_prob": sum_} for ids, sum_ in beams])
    return {
        "greedy": {"start": start, "new_tokens": lengths[0], "ids": greedy.tolist(), "top2_logit_gap": torch.stack(gaps, 1).tolist()},
        "beam": {"width": 3, "new_tokens": lengths[1], "results": results},
    }


def train(model, batches, steps=30):
    decayed = [parameter for parameter in model.parameters() if parameter.ndim >= 2]
    plain = [parameter for parameter in model.parameters() if parameter.ndim < 2]
    groups = [{"params": decayed, "weight_decay": 0.1}, {"params": plain, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.98), eps=1e-6)
    losses = []
    for step in range(steps):
        lr = 1e-3 * (step + 1) / 5 if step < 5 else 1e-3 * 0.5 * (1 + math.cos(math.pi * (step - 5) / 25))
        for group in optimizer.param_groups:
            group["lr"] = lr
        optimizer.zero_grad()
        out = model.outputs(*batches[step % len(batches)])
        out["total_loss"].sum().backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        model.logit_scale.data.clamp_(0, math.log(100))
        values = {name: out[f"{name}_loss"].item() for name in ("contrastive", "caption", "total")}
        losses.append({"step": step, "lr": lr, **values, "grad_norm": norm.item()})
    return losses


def make(config, folder, seed):
    torch.manual_seed(seed)
    os.makedirs(folder, exist_ok=True)
    model = stir(CoCa(config).eval())
    write(f"{folder}/weights.safetensors", dict(model.state_dict()))
    images, ids = batch(config, 4)
    images.requires_grad_()
    out = model.outputs(images, ids)
    out["total_loss"].sum().backward()
    write(f"{folder}/io.safetensors", {"images": images, "text": ids, **out})
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    write(f"{folder}/grads.safetensors", {**gradients, "images": images.grad})
    batches = [batch(config, 4) for _ in range(3)]
    named = {f"{name}.{i}": tensor for i, pair in enumerate(batches) for name, tensor in zip(("images", "text"), pair)}
    write(f"{folder}/batches.safetensors", named)
    context = config["text_cfg"]["context_length"]
    with torch.no_grad():
        start = config["text_cfg"]["vocab_size"] - 2
        captions = generation(model, images, start, (min(8, context - 1), min(6, context - 1)))
    trajectory = {
        "optimizer": {"name": "AdamW", "beta1": 0.9, "beta2": 0.98, "eps": 1e-6, "weight_decay": 0.1},
        "grad_clip": {"type": "global norm", "max": 1.0},
        "clamp_logit_scale": [0, math.log(100)],
        "losses": {"float32": train(model, batches)},
    }
    write(f"{folder}/final.safetensors", dict(model.state_dict()))
    for name, value in {"config": config, "generation": captions, "trajectory": trajectory}.items():
        with open(f"{folder}/{name}.json", "w") as file:
            json.dump(value, file, indent=1)


def check(folder):
    with open(f"{folder}/config.json") as file:
        model = CoCa(json.load(file)).eval()
    model.load_state_dict(read(f"{folder}/weights.safetensors"))
    io, gradients = read(f"{folder}/io.safetensors"), read(f"{folder}/grads.safetensors")
    images = io["images"].requires_grad_()
    out = model.outputs(images, io["text"])
    out["total_loss"].sum().backward()
    own = {name: parameter.grad for name, parameter in model.named_parameters()}
    pairs = [(out[name], io[name]) for name in out] + [(own[name], gradients[name]) for name in own]
    print("largest difference", max(((a - b).abs().max() / b.abs().max()).item() for a, b in pairs))


if __name__ == "__main__":
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("config", nargs="?")
    flags.add_argument("folder", nargs="?")
    flags.add_argument("--seed", type=int, default=0)
    flags.add_argument("--check")
    flags = flags.parse_args()
    if flags.check:
        check(flags.check)
    else:
        with open(flags.config) as file:
            make(json.load(file), flags.folder, flags.seed)
