// Newton's method: step to where the gradient of the quadratic approximation vanishes, x ← x - H⁻¹ g. Near a minimum
// the number of correct digits doubles with every step, while gradient descent creeps along Rosenbrock's valley.

import { grad, hessian, type Tensor, tensor } from 'cocagrad'

/** Rosenbrock's function (1 - x)² + 100 (y - x²)², whose minimum is 0 at (1, 1). */
function rosenbrock(p: Tensor): Tensor {
  const [x, y] = p.unbind()
  return x.sub(1).square().add(y.sub(x.square()).square().mul(100))
}

const start = tensor([-1.2, 1], { dtype: 'float64' })

let p = start
for (let step = 0; step <= 6; step++) {
  console.log(`newton ${step}: f = ${(await rosenbrock(p).item()).toExponential(2)} at ${(await p.data()).join(', ')}`)
  const [g0, g1] = await grad(rosenbrock)(p).data()
  const [a, b, c, d] = await hessian(rosenbrock)(p).data()
  const determinant = a * d - b * c
  // H⁻¹ g of a 2 × 2 matrix, by Cramer's rule
  const move = [(d * g0 - b * g1) / determinant, (a * g1 - c * g0) / determinant]
  p = p.sub(tensor(move, { dtype: 'float64' }))
}

let q = start
for (let step = 0; step < 1000; step++) q = q.sub(grad(rosenbrock)(q).mul(1e-3))
console.log(`gradient descent, 1000 steps: f = ${(await rosenbrock(q).item()).toExponential(2)}`)
