# Newton's method and gradient descent on Rosenbrock's function, as newton.ts.

import torch
from torch.func import grad, hessian


def rosenbrock(p):
    x, y = p
    return (1 - x) ** 2 + 100 * (y - x**2) ** 2


start = torch.tensor([-1.2, 1], dtype=torch.float64)

p = start
for step in range(7):
    print(f'newton {step}: f = {rosenbrock(p).item():.2e} at {p[0].item()}, {p[1].item()}')
    g0, g1 = grad(rosenbrock)(p)
    (a, b), (c, d) = hessian(rosenbrock)(p)
    determinant = a * d - b * c
    move = torch.stack([(d * g0 - b * g1) / determinant, (a * g1 - c * g0) / determinant])
    p = p - move

q = start
for step in range(1000):
    q = q - 1e-3 * grad(rosenbrock)(q)
print(f'gradient descent, 1000 steps: f = {rosenbrock(q).item():.2e}')
