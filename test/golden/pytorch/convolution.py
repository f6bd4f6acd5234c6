# Convolutions, windows and margins.

import torch.nn.functional as F


def same(x, mode):
    return F.pad(x, (2, 1, 1, 2), mode=mode)


cases = [
    ("conv1d", lambda x, w, b: F.conv1d(x, w, b), [(2, 2, 5), (3, 2, 2), (3,)], 2),
    ("conv1d, same", lambda x, w: F.conv1d(x, w, padding="same", dilation=2), [(1, 2, 5), (2, 2, 4)], 2),
    (
        "conv2d",
        lambda x, w, b: F.conv2d(x, w, b, stride=(2, 1), padding=(1, 2), dilation=(2, 1)),
        [(2, 2, 5, 4), (3, 2, 2, 3), (3,)],
        2,
    ),
    ("conv2d, groups", lambda x, w: F.conv2d(x, w, groups=2, padding=1), [(1, 4, 3, 3), (4, 2, 3, 2)], 2),
    ("conv2d, depthwise", lambda x, w: F.conv2d(x, w, groups=3, stride=2), [(2, 3, 4, 5), (6, 1, 2, 3)], 2),
    ("conv2d, strides and dilations", lambda x, w: F.conv2d(x, w, stride=2, dilation=3), [(1, 1, 9, 8), (1, 1, 3, 2)], 2),
    ("conv2d, reflect", lambda x, w: F.conv2d(same(x, "reflect"), w), [(1, 1, 3, 3), (2, 1, 4, 4)], 2),
    ("conv2d, replicate", lambda x, w: F.conv2d(same(x, "replicate"), w), [(1, 1, 3, 3), (2, 1, 4, 4)], 2),
    ("conv2d, circular", lambda x, w: F.conv2d(same(x, "circular"), w), [(1, 1, 3, 3), (2, 1, 4, 4)], 2),
    ("conv3d", lambda x, w: F.conv3d(x, w, stride=(1, 2, 1), padding=(0, 1, 0)), [(1, 2, 3, 3, 2), (2, 2, 2, 2, 2)], 2),
    ("convTranspose1d", lambda x, w, b: F.conv_transpose1d(x, w, b, stride=2), [(2, 3, 3), (3, 2, 3), (2,)], 2),
    (
        "convTranspose2d",
        lambda x, w: F.conv_transpose2d(x, w, stride=(2, 3), padding=(1, 0), output_padding=(1, 2), dilation=(1, 2)),
        [(1, 2, 2, 3), (2, 3, 3, 2)],
        2,
    ),
    (
        "convTranspose2d, groups",
        lambda x, w: F.conv_transpose2d(x, w, groups=2, dilation=3, output_padding=2, padding=2),
        [(1, 4, 2, 2), (4, 1, 2, 2)],
        2,
    ),
    ("convTranspose3d", lambda x, w: F.conv_transpose3d(x, w, stride=2, padding=1), [(1, 2, 2, 2, 2), (2, 1, 2, 3, 2)], 2),
    ("unfold", lambda x: F.unfold(x, (2, 3), dilation=(2, 1), padding=1, stride=(1, 2)), [(2, 2, 4, 4)], 2),
    ("fold", lambda x: F.fold(x, (4, 5), (2, 3), padding=1, stride=2), [(2, 6, 9)], 2),
    ("pad, reflect", lambda x: F.pad(x, (2, 1, 0, 2), mode="reflect"), [(1, 2, 3, 4)], 2),
    ("pad, replicate", lambda x: F.pad(x, (4, 1, 0, 2), mode="replicate"), [(1, 2, 3, 2)], 2),
    ("pad, circular", lambda x: F.pad(x, (2, 1, 0, 3), mode="circular"), [(1, 2, 3, 2)], 2),
]
