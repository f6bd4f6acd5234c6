# Writes small vision transformers of timm (timm/) and of Hugging Face's transformers (vit/) with random weights, as these libraries
# save them, the tokens that they compute before and after the last norm, and what timm's named models are (timm.json).
# python3 vit.py, with timm 1.0, transformers 5 and PyTorch 2.

import json
from pathlib import Path

import timm
import torch
from safetensors.torch import save_file
from timm.models import save_for_hf
from timm.models.deit import VisionTransformerDistilled
from timm.models.vision_transformer import VisionTransformer
from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessor

here = Path(__file__).parent


def stir(model, seed):
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model.eval()


def tokens(model, norm, images, run):
    before = []
    hook = norm.register_forward_hook(lambda _, args, __: before.append(args[0]))
    with torch.no_grad():
        after = run(model, images)
    hook.remove()
    return {"images": images, "before": before[0].contiguous(), "after": after.contiguous()}


def write_timm():
    folder = here / "timm"
    args = dict(img_size=16, patch_size=4, embed_dim=24, depth=2, num_heads=3, num_classes=5)
    model = stir(timm.create_model("vit_tiny_patch16_224", **args), 1)
    save_for_hf(model, folder, model_args=args, safe_serialization=True)
    images = torch.randn(2, 3, 16, 16)
    save_file(tokens(model, model.norm, images, lambda m, x: m.forward_features(x)), folder / "io.safetensors")


def write_vit():
    folder = here / "vit"
    config = ViTConfig(
        hidden_size=24, num_hidden_layers=2, num_attention_heads=3, intermediate_size=40, image_size=16, patch_size=4,
        num_labels=5, hidden_act="gelu",
    )
    model = stir(ViTForImageClassification(config), 2)
    model.save_pretrained(folder)
    processor = ViTImageProcessor(size={"height": 16, "width": 16}, image_mean=[0.4, 0.5, 0.6], image_std=[0.2, 0.3, 0.4])
    processor.save_pretrained(folder)
    images = torch.randn(2, 3, 16, 16)
    run = lambda m, x: m.vit(x).last_hidden_state
    save_file(tokens(model, model.vit.layernorm, images, run), folder / "io.safetensors")


def write_names():
    """Of each named model of timm that an encoder here can be: width, heads, eps of the norms and activation."""
    found = {}
    for name in timm.list_models(["vit_*", "deit*"]):
        if timm.model_entrypoint(name).__module__ not in ("timm.models.vision_transformer", "timm.models.deit"):
            continue
        with torch.device("meta"):
            model = timm.create_model(name)
        block = model.blocks[0]
        kinds = [type(x).__name__ for x in (block, getattr(block, "attn", None), getattr(block, "mlp", None), block.norm1 if hasattr(block, "norm1") else None)]
        if type(model) not in (VisionTransformer, VisionTransformerDistilled) or kinds != ["Block", "Attention", "Mlp", "LayerNorm"]:
            continue
        # 36x1 is a name of 36 layers
        if model.num_reg_tokens or "36x1" in name:
            continue
        activation = {"GELU": "gelu", "GELUTanh": "geluTanh", "QuickGELU": "quickGelu"}[type(block.mlp.act).__name__]
        found[name] = [model.embed_dim, block.attn.num_heads, block.norm1.eps, activation]
    lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(values)}" for name, values in found.items())
    (here / "timm.json").write_text(f"{{\n{lines}\n}}\n")


write_timm()
write_vit()
write_names()
