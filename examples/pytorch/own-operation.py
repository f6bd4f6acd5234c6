# An operation of one's own, and a check of its gradients, as own-operation.ts.

import torch
from torch.autograd import Function, gradcheck, gradgradcheck


# x / sqrt(1 + x^2), element by element, with the gradient g / (1 + x^2)^(3/2).
class SoftStep(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * (x.square() + 1).rsqrt()

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * (x.square() + 1).pow(-1.5)


x = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
print(gradcheck(SoftStep.apply, x), gradgradcheck(SoftStep.apply, x))
