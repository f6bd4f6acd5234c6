"""Writes siglip and siglip-tanh: a SigLIP of OpenCLIP with smaller towers, and what it computes. Needs open_clip_torch 3.3 and timm.

    python test/golden/siglip.py

timm's names fix the sizes of a tower, so timm.create_model is given smaller ones here.
"""

import os
import subprocess
import sys

import make
import timm
import torch
from open_clip.loss import SigLipLoss
from open_clip.model import CustomTextCLIP

WIDTH = 16


def main(out, tanh=False):
    torch.set_num_threads(1)
    torch.manual_seed(5 + tanh)
    create = timm.create_model
    sizes = {"img_size": 12, "patch_size": 4, "embed_dim": WIDTH, "depth": 2, "num_heads": 2}
    if tanh:
        sizes |= {"act_layer": "gelu_tanh", "img_size": 14, "patch_size": 4, "mlp_ratio": 3.3}
    timm.create_model = lambda name, **options: create(name, **options, **sizes)
    vision = {
        "image_size": sizes["img_size"],
        "timm_model_name": "vit_base_patch16_siglip_224",
        "timm_pool": "map",
        "timm_proj": "none",
    }
    text = {"context_length": 7, "vocab_size": 14, "width": 12, "heads": 3, "layers": 2}
    text |= {"no_causal_mask": True, "proj_bias": True, "pool_type": "last", "norm_kwargs": {"eps": 1e-6}}
    if tanh:
        text |= {"act_kwargs": {"approximate": "tanh"}}
    model = CustomTextCLIP(WIDTH, vision, text, init_logit_bias=-10.0, output_dict=True).eval()
    make.stir(model)
    with torch.no_grad():
        model.logit_scale.fill_(1.5)
        model.logit_bias.fill_(-2.5)
        for name, parameter in model.named_parameters():
            if "norm" in name and name.endswith("weight"):
                parameter.add_(1)
    images, ids = make.batch({"vision_cfg": vision, "text_cfg": text}, 4)
    images.requires_grad_()
    found = model(images, ids)
    features = {name: found[name] for name in ("image_features", "text_features")}
    loss = SigLipLoss()(*features.values(), found["logit_scale"], found["logit_bias"])
    loss.backward()
    os.makedirs(out, exist_ok=True)
    make.write(f"{out}/open_clip_model.safetensors", dict(model.state_dict()))
    make.write(f"{out}/io.safetensors", {"images": images, "text": ids, **features, "loss": loss.reshape(1)})
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    make.write(f"{out}/grads.safetensors", gradients)


if __name__ == "__main__":
    # timm.create_model is replaced, so each configuration has a process of its own
    folder = os.path.dirname(os.path.abspath(__file__))
    if sys.argv[1:]:
        main(os.path.join(folder, sys.argv[1]), sys.argv[1] == "siglip-tanh")
    else:
        for name in ("siglip", "siglip-tanh"):
            subprocess.run([sys.executable, __file__, name], check=True)
