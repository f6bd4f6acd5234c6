# Pooling.

import torch
import torch.nn.functional as F

ties = torch.tensor([[[[1.0, 2, 2, 0], [2, 2, 1, 3], [0, 3, 3, 1]]]])
broken = torch.tensor([[[1.0, float("nan"), 2, 3, 0, -1]]])

cases = [
    ("maxPool1d", lambda x: F.max_pool1d(x, 3, stride=2, padding=1), [(2, 2, 6)], 2),
    ("maxPool2d", lambda x: F.max_pool2d(x, 2), [(2, 2, 4, 5)], 2),
    (
        "maxPool2d, dilated and rounded up",
        lambda x: F.max_pool2d(x, (2, 3), stride=(2, 1), padding=(1, 0), dilation=(1, 2), ceil_mode=True),
        [(1, 2, 4, 6)],
        2,
    ),
    ("maxPool2d of equal numbers", lambda x: F.max_pool2d(x, 2, stride=1), [ties], 2),
    ("maxPool1d with NaN", lambda x: F.max_pool1d(x, 2), [broken], 0),
    ("maxPool1d, rounded up to a window beyond x", lambda x: F.max_pool1d(x, 1, stride=3, ceil_mode=True), [(1, 2, 5)], 2),
    ("avgPool1d, rounded up to a window beyond x", lambda x: F.avg_pool1d(x, 2, stride=4, padding=1, ceil_mode=True), [(1, 2, 8)], 2),
    ("maxPool3d", lambda x: F.max_pool3d(x, (1, 2, 2), padding=(0, 1, 1), stride=2), [(1, 1, 3, 4, 3)], 2),
    ("avgPool1d", lambda x: F.avg_pool1d(x, 3, stride=2, padding=1), [(2, 2, 6)], 2),
    ("avgPool2d", lambda x: F.avg_pool2d(x, (2, 3)), [(2, 2, 4, 5)], 2),
    ("avgPool2d, rounded up", lambda x: F.avg_pool2d(x, 3, stride=2, padding=1, ceil_mode=True), [(1, 2, 4, 6)], 2),
    (
        "avgPool2d, rounded up without its padding",
        lambda x: F.avg_pool2d(x, 3, stride=2, padding=1, ceil_mode=True, count_include_pad=False),
        [(1, 2, 4, 6)],
        2,
    ),
    ("avgPool3d", lambda x: F.avg_pool3d(x, 2, padding=1, count_include_pad=False), [(1, 1, 3, 4, 3)], 2),
    ("adaptiveAvgPool of one axis", lambda x: F.adaptive_avg_pool1d(x, 3), [(1, 2, 7)], 2),
    ("adaptiveAvgPool of two axes", lambda x: F.adaptive_avg_pool2d(x, (2, 3)), [(2, 1, 4, 5)], 2),
    ("adaptiveAvgPool of three axes", lambda x: F.adaptive_avg_pool3d(x, (1, 2, 4)), [(1, 1, 2, 3, 3)], 2),
    ("adaptiveMaxPool of one axis", lambda x: F.adaptive_max_pool1d(x, 3), [(1, 2, 7)], 2),
    ("adaptiveMaxPool of two axes", lambda x: F.adaptive_max_pool2d(x, (2, 3)), [(2, 1, 4, 5)], 2),
    ("adaptiveMaxPool of equal numbers", lambda x: F.adaptive_max_pool2d(x, (2, 3)), [ties], 2),
    ("adaptiveMaxPool of three axes", lambda x: F.adaptive_max_pool3d(x, (1, 2, 4)), [(1, 1, 2, 3, 3)], 2),
]
