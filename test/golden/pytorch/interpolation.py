# Resampling. PyTorch has no second derivatives of grid_sample.

import torch
import torch.nn.functional as F


def smooth(mode, **options):
    return lambda x: F.interpolate(x, mode=mode, **options)


# from one end to the other, on halves, and outside of both
line = torch.tensor([-1.9, -1, -0.75, -0.5, -0.1, 0, 0.3, 0.5, 1, 1.4])
grid = torch.stack(torch.meshgrid(line, line.flip(0), indexing="xy"), -1).unsqueeze(0)

cases = [
    ("nearest", lambda x: F.interpolate(x, size=(5, 2)), [(1, 2, 3, 4)], 2),
    ("nearest by a factor", lambda x: F.interpolate(x, scale_factor=(1.7, 0.6)), [(1, 2, 3, 4)], 2),
    ("linear", smooth("linear", size=7), [(2, 2, 4)], 2),
    ("bilinear", smooth("bilinear", size=(5, 3)), [(1, 2, 3, 4)], 2),
    ("bilinear by a factor", smooth("bilinear", scale_factor=1.7), [(1, 2, 3, 4)], 2),
    ("bilinear, corners aligned", smooth("bilinear", size=(5, 1), align_corners=True), [(1, 2, 3, 4)], 2),
    ("bilinear, smoothed", smooth("bilinear", size=(3, 8), antialias=True), [(1, 1, 7, 5)], 2),
    ("bilinear, smoothed by a factor", smooth("bilinear", scale_factor=0.4, antialias=True), [(1, 1, 6, 8)], 2),
    ("trilinear", smooth("trilinear", size=(3, 2, 4)), [(1, 1, 2, 3, 3)], 2),
    ("bicubic", smooth("bicubic", size=(5, 3)), [(1, 2, 3, 4)], 2),
    ("bicubic, corners aligned", smooth("bicubic", size=(5, 3), align_corners=True), [(1, 2, 3, 4)], 2),
    ("bicubic, smoothed", smooth("bicubic", size=(3, 8), antialias=True), [(1, 1, 7, 5)], 2),
    ("area", smooth("area", size=(2, 3)), [(1, 2, 3, 4)], 2),
    ("gridSample", lambda x, g: F.grid_sample(x, g, align_corners=False), [(2, 2, 3, 4), (2, 3, 2, 2)], 1),
    ("gridSample of volumes", lambda x, g: F.grid_sample(x, g, align_corners=True), [(1, 1, 2, 3, 2), (1, 2, 1, 3, 3)], 1),
    ("gridSample, border", lambda x, g: F.grid_sample(x, g, padding_mode="border", align_corners=False), [(1, 2, 3, 4), (1, 3, 4, 2)], 1),
    (
        "gridSample, reflection",
        lambda x, g: F.grid_sample(x, 2 * g, padding_mode="reflection", align_corners=False),
        [(1, 2, 3, 4), (1, 3, 4, 2)],
        1,
    ),
    (
        "gridSample, reflection with corners aligned",
        lambda x, g: F.grid_sample(x, 2 * g, padding_mode="reflection", align_corners=True),
        [(1, 1, 3, 1), (1, 3, 4, 2)],
        1,
    ),
    ("gridSample, nearest", lambda x: F.grid_sample(x, grid, mode="nearest", align_corners=True), [(1, 1, 5, 3)], 1),
    (
        "gridSample, nearest in a mirror",
        lambda x: F.grid_sample(x, grid, mode="nearest", padding_mode="reflection", align_corners=False),
        [(1, 1, 4, 3)],
        1,
    ),
    ("pixelShuffle", lambda x: F.pixel_shuffle(x, 2), [(2, 8, 2, 1)], 2),
    ("pixelUnshuffle", lambda x: F.pixel_unshuffle(x, 2), [(2, 1, 4, 2)], 2),
]
