# Normalizations. Batch and instance normalization by their modules, with the running statistics that they have afterwards.

import torch
import torch.nn.functional as F


def trained(module, momentum=0.1):
    def f(first, second, weight, bias):
        norm = module(3, momentum=momentum)
        norm(first.detach())
        norm(second.detach())
        mean, variance = norm.running_mean.clone(), norm.running_var.clone()
        value = F.batch_norm(second, mean, variance, weight, bias, training=True)
        later = F.batch_norm(first, norm.running_mean, norm.running_var, weight, bias, training=False)
        return [value, later, norm.running_mean, norm.running_var, norm.num_batches_tracked]

    return f


image = (2, 3, 2, 2)
cases = [
    ("rmsNorm", lambda x, w: F.rms_norm(x, x.shape[-1:], w, eps=1e-6), [(3, 4), (4,)], 2),
    ("groupNorm", lambda x, w, b: F.group_norm(x, 2, w, b), [(2, 4, 3), (4,), (4,)], 2),
    ("InstanceNorm2d", torch.nn.InstanceNorm2d(3), [image], 2),
    ("batchNorm", lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True), [image, (3,), (3,)], 2),
    ("BatchNorm1d", trained(torch.nn.BatchNorm1d), [(4, 3), (4, 3), (3,), (3,)], 2),
    ("BatchNorm2d", trained(torch.nn.BatchNorm2d), [image, image, (3,), (3,)], 2),
    ("BatchNorm2d, cumulative", trained(torch.nn.BatchNorm2d, None), [image, image, (3,), (3,)], 1),
]
