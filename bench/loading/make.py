# Makes captioned pictures of about 640 × 480 with the statistics of photographs: noise whose amplitude falls with its frequency, edges
# and fine grain. Run as: python3 make.py FOLDER COUNT

import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image

folder, count = Path(sys.argv[1]), int(sys.argv[2])
folder.mkdir(parents=True, exist_ok=True)
random = np.random.default_rng(0)
SIZES = [(640, 480), (480, 640), (640, 427), (640, 640), (500, 375), (612, 612), (800, 600)]
WORDS = (
    "a an the two some red green white old small large wooden young happy empty bright man woman dog cat bird horse train bus table plate "
    "street kitchen beach mountain skateboard umbrella giraffe sandwich holding riding standing sitting looking eating on under beside near "
    "behind with and of in front window, grass traffic-light photographer's reflection"
).split()


def noise(width, height):
    """The spectrum of photographs: an amplitude of 1 / frequency (Field 1987)."""
    across, down = np.fft.rfftfreq(width), np.fft.fftfreq(height)[:, None]
    frequency = np.sqrt(across**2 + down**2)
    frequency[0, 0] = 1
    phases = random.uniform(0, 2 * np.pi, frequency.shape)
    field = np.fft.irfft2(np.exp(1j * phases) / frequency, (height, width))
    return (field - field.mean()) / field.std()


def picture(width, height):
    grey = noise(width, height)
    image = np.stack([grey + 0.4 * noise(width, height) for _ in range(3)], -1) * 45 + random.uniform(80, 150, 3)
    y, x = np.mgrid[0:height, 0:width]
    for _ in range(random.integers(4, 12)):
        cx, cy, r = random.uniform(0, width), random.uniform(0, height), random.uniform(10, 150)
        inside = (x - cx) ** 2 + (y - cy) ** 2 < r * r
        image[inside] = 0.4 * image[inside] + 0.6 * random.uniform(0, 255, 3)
    image += random.normal(0, 3, image.shape)
    return Image.fromarray(np.clip(image, 0, 255).astype(np.uint8))


lines = []
for i in range(count):
    name = f'{i:04}.jpg'
    picture(*SIZES[i % len(SIZES)]).save(folder / name, quality=90)
    caption = ' '.join(random.choice(WORDS, random.integers(9, 16)))
    lines.append(json.dumps({'file': name, 'caption': caption}))
# last, so that a folder with a list is complete
(folder / 'captions.jsonl').write_text('\n'.join(lines) + '\n')
