"""Writes encoders/: small image encoders with random weights, as the libraries that people have them from save them, and their tokens
before and after the last norm. What an encoder of cocagrad leaves out, a distillation token, is left out of these tokens too.

    python encoders.py                       # with timm 1.0, transformers 5 and PyTorch 2
    python encoders.py /tmp/sweep --seeds 12 # other sizes, activations and seeds
"""

import argparse
import json
import random
from pathlib import Path

import timm
import torch
from safetensors.torch import save_file
from timm.models import save_for_hf
from transformers.models.clip.configuration_clip import CLIPConfig, CLIPVisionConfig
from transformers.models.clip.modeling_clip import CLIPModel, CLIPVisionModel
from transformers.models.deit.configuration_deit import DeiTConfig
from transformers.models.deit.modeling_deit import DeiTModel
from transformers.models.dinov2.configuration_dinov2 import Dinov2Config
from transformers.models.dinov2.modeling_dinov2 import Dinov2Model
from transformers.models.siglip.configuration_siglip import SiglipVisionConfig
from transformers.models.siglip.modeling_siglip import SiglipVisionModel


def stir(model, seed):
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model.eval()


def sizes(seed):
    """The sizes of the files that are kept for seed 0, and random ones for the others."""
    draw = random.Random(seed)
    if seed == 0:
        return dict(heads=3, width=12, layers=2, patch=4, side=3, ratio=2, act="quick_gelu", eps=1e-5)
    heads = draw.choice([1, 2, 3, 4])
    acts = ["quick_gelu", "gelu", "gelu_pytorch_tanh", "relu", "silu"]
    return dict(
        heads=heads, width=heads * draw.choice([4, 8, 12]), layers=draw.choice([1, 2, 3]), patch=draw.choice([2, 4, 7]),
        side=draw.choice([2, 3, 5]), ratio=draw.choice([2, 3, 4]), act=draw.choice(acts), eps=draw.choice([1e-5, 1e-6, 1e-12]),
    )


def hf(x, **others):
    return dict(
        hidden_size=x["width"], num_hidden_layers=x["layers"], num_attention_heads=x["heads"],
        image_size=x["side"] * x["patch"], patch_size=x["patch"], **others,
    )


def of_clip(x, seed):
    vision = hf(x, intermediate_size=x["ratio"] * x["width"], hidden_act=x["act"], layer_norm_eps=x["eps"])
    if seed % 2 == 0:
        text = dict(vocab_size=16, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8, max_position_embeddings=4)
        whole = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=4))
        model = stir(whole, seed).vision_model
    else:
        whole = model = stir(CLIPVisionModel(CLIPVisionConfig(**vision)), seed)
    # the norm is applied to the class token only there
    return whole, lambda images: model(images).last_hidden_state, getattr(model, "vision_model", model).post_layernorm


def of_siglip(x, seed):
    model = stir(SiglipVisionModel(SiglipVisionConfig(**hf(x, intermediate_size=x["ratio"] * x["width"]))), seed)
    norm = model.post_layernorm
    model_before = lambda images: model.encoder(inputs_embeds=model.embeddings(images)).last_hidden_state
    return model, model_before, norm


def of_dinov2(x, seed):
    model = stir(Dinov2Model(Dinov2Config(**hf(x, mlp_ratio=x["ratio"], hidden_act=x["act"] if seed else "gelu"))), seed)
    return model, before(model, model.layernorm, model), model.layernorm


def of_deit(x, seed):
    model = stir(DeiTModel(DeiTConfig(**hf(x, intermediate_size=x["ratio"] * x["width"]))), seed)
    own = model.embeddings.forward
    model.embeddings.forward = lambda *args, **options: without_second(own(*args, **options))
    return model, before(model, model.layernorm, model), model.layernorm


def of_timm(name, others=lambda x: {}):
    def make(x, seed):
        args = dict(
            img_size=x["side"] * x["patch"], patch_size=x["patch"], embed_dim=x["width"], depth=x["layers"], num_heads=x["heads"],
            mlp_ratio=x["ratio"], num_classes=3,
        ) | others(x)
        model = stir(timm.create_model(name, **args), seed)
        model.args = args
        if hasattr(model, "dist_token"):
            own = model._pos_embed
            model._pos_embed = lambda tokens: without_second(own(tokens))
        return model, before(model, model.norm, model.forward_features), model.norm

    return make


def without_second(tokens):
    """Tokens without the one for distillation, which follows the class token."""
    return torch.cat([tokens[:, :1], tokens[:, 2:]], 1)


def before(model, norm, run):
    """The tokens that a norm is given."""

    def tokens(images):
        found = []
        hook = norm.register_forward_hook(lambda _, args, __: found.append(args[0]))
        run(images)
        hook.remove()
        return found[0]

    return tokens


KINDS = {
    "clip": of_clip,
    "siglip": of_siglip,
    "deit": of_deit,
    "dinov2": of_dinov2,
    "timm-deit": of_timm("deit_tiny_distilled_patch16_224"),
    "timm-deit3": of_timm("deit3_small_patch16_224"),
    "timm-dinov2": of_timm("vit_small_patch14_dinov2"),
    # two channels, and neither images nor patches are squares
    "timm-rectangle": of_timm("vit_tiny_patch16_224", lambda x: dict(
        img_size=(2 * x["patch"], x["side"] * (x["patch"] + 1)), patch_size=(x["patch"], x["patch"] + 1), in_chans=2,
    )),
}


def write(kind, folder, seed):
    x = sizes(seed)
    model, tokens, norm = KINDS[kind](x, seed)
    folder.mkdir(parents=True, exist_ok=True)
    if kind.startswith("timm"):
        save_for_hf(model, folder, model_args=model.args, safe_serialization=True)
    else:
        model.save_pretrained(folder)
    torch.manual_seed(seed + 1000)
    args = getattr(model, "args", {})
    size = args.get("img_size", x["side"] * x["patch"])
    images = torch.randn(2, args.get("in_chans", 3), *(size if isinstance(size, tuple) else (size, size)))
    with torch.no_grad():
        found = tokens(images)
        values = {"images": images, "before": found.contiguous(), "after": norm(found).contiguous()}
    save_file(values, folder / "io.safetensors")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("out", nargs="?", type=Path, default=Path(__file__).parent / "encoders")
    parser.add_argument("--seeds", type=int, default=0, help="how many random configurations of each kind to write")
    given = parser.parse_args()
    for kind in KINDS:
        for seed in range(1, given.seeds + 1) if given.seeds else [0]:
            write(kind, given.out / (f"{kind}-{seed}" if given.seeds else kind), seed)
