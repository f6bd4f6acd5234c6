# Makes pictures of every supported kind, and Pillow's result for each: convert('RGB'), upright, the shorter side scaled to
# SIDE (bicubic), cropped at the centre. Run as: python3 make.py FOLDER WIDTH HEIGHT SIDE

import json
import sys
from pathlib import Path

import numpy as np
import PIL
from PIL import Image, ImageOps

folder, width, height, side = Path(sys.argv[1]), *map(int, sys.argv[2:])
folder.mkdir(parents=True, exist_ok=True)


def picture(width, height, seed):
    """Waves, discs and noise: smooth parts, edges and fine grain."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width] / min(width, height)
    channels = []
    for _ in range(3):
        a, b, phase = random.uniform(1, 20, 2), random.uniform(1, 20, 2), random.uniform(0, 6)
        channels.append(np.sin(a[0] * x + b[0] * y + phase) + np.sin(a[1] * x - b[1] * y))
    image = (np.stack(channels, -1) + 2) * 63
    for _ in range(12):
        cx, cy, r = random.uniform(0, x.max()), random.uniform(0, y.max()), random.uniform(0.02, 0.2)
        image[(x - cx) ** 2 + (y - cy) ** 2 < r * r] = random.uniform(0, 255, 3)
    image += random.normal(0, 5, image.shape)
    return Image.fromarray(np.clip(image, 0, 255).astype(np.uint8))


def as_clip_sees_it(image):
    image = ImageOps.exif_transpose(image).convert('RGB')
    w, h = image.size
    longer = int(side * max(w, h) / min(w, h))
    scaled = (side, longer) if w <= h else (longer, side)
    image = image.resize(scaled, Image.BICUBIC)
    left, top = (int(round((length - side) / 2.0)) for length in scaled)
    return image.crop((left, top, left + side, top + side))


photo, other = picture(width, height, 1), picture(width, height, 2)
upright = picture(height, width, 3)
rgba = photo.copy()
rgba.putalpha(other.convert('L'))
grey = photo.convert('L')


def exif(orientation):
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


files = {
    'baseline.jpg': (photo, dict(quality=90)),
    'progressive.jpg': (photo, dict(quality=85, progressive=True)),
    '444.jpg': (photo, dict(quality=90, subsampling=0)),
    '422.jpg': (photo, dict(quality=75, subsampling=1)),
    'low.jpg': (photo, dict(quality=25)),
    'upright.jpg': (upright, dict(quality=90)),
    'grey.jpg': (grey, {}),
    'cmyk.jpg': (photo.convert('CMYK'), dict(quality=92)),
    **{f'exif{i}.jpg': (photo, dict(quality=90, exif=exif(i))) for i in range(2, 9)},
    'colour.png': (photo, {}),
    'alpha.png': (rgba, {}),
    'grey.png': (grey, {}),
    'grey-alpha.png': (rgba.convert('LA'), {}),
    'palette.png': (photo.quantize(64), {}),
    'palette-2-bits.png': (photo.quantize(4), {}),
    'palette-transparent.png': (photo.quantize(16), dict(transparency=0)),
    'colour-transparent.png': (photo, dict(transparency=photo.getpixel((3, 3)))),
    '1-bit.png': (photo.convert('1'), {}),
    'lossy.webp': (photo, dict(quality=80)),
    'lossless.webp': (photo, dict(lossless=True)),
    'alpha.webp': (rgba, dict(quality=80)),
    'exif.webp': (photo, dict(quality=80, exif=exif(6))),
}
modes = {}
for name, (image, options) in files.items():
    image.save(folder / name, **options)
    with Image.open(folder / name) as opened:
        modes[name] = opened.mode
        (folder / f'{name}.rgb').write_bytes(as_clip_sees_it(opened).tobytes())
(folder / 'index.json').write_text(json.dumps({'pillow': PIL.__version__, 'side': side, 'modes': modes}, indent=1) + '\n')
