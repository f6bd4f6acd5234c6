"""Writes what OpenCLIP's preprocessing makes of the pictures in pixels/: Resize, CenterCrop and convert('RGB'), in this order,
in NAME.squash.rgb without CenterCrop, the whole picture to a square of `squash`, and in NAME.rectangles the same as the first for the
heights and widths `rectangles`, each followed by its luma, convert('L').

pip install open_clip_torch pillow; python3 pixels.py
"""

import json
import pathlib

import numpy as np
import PIL
from open_clip.transform import image_transform
from PIL import Image

folder = pathlib.Path(__file__).parent / "pixels"
sides, squash, rectangles = (16, 29, 33), 21, ((13, 22), (30, 9))
plain = dict(is_train=False, mean=(0, 0, 0), std=(1, 1, 1))
modes = {}
for path in sorted(folder.iterdir()):
    if path.suffix in (".json", ".rgb", ".rectangles"):
        continue
    with Image.open(path) as picture:
        modes[path.name] = picture.mode
        squares = [image_transform(side, **plain)(picture) for side in sides]
        squares.append(image_transform(squash, resize_mode="squash", **plain)(picture))
        rectangle = [image_transform(size, **plain)(picture) for size in rectangles]
    arrays = [(each * 255).round().numpy().astype(np.uint8).transpose(1, 2, 0) for each in rectangle]
    both = b"".join(each.tobytes() + Image.fromarray(each).convert("L").tobytes() for each in arrays)
    (folder / f"{path.name}.rectangles").write_bytes(both)
    pixels = [(square * 255).round().numpy().astype(np.uint8).transpose(1, 2, 0).tobytes() for square in squares]
    (folder / f"{path.name}.rgb").write_bytes(b"".join(pixels[:-1]))
    (folder / f"{path.name}.squash.rgb").write_bytes(pixels[-1])
(folder / "index.json").write_text(json.dumps({"pillow": PIL.__version__, "sides": sides, "squash": squash, "rectangles": rectangles, "modes": modes}, indent=1) + "\n")
