// A physics-informed network (Raissi et al. 2019): it solves the heat equation u_t = u_xx on 0 ≤ x ≤ π with u = 0 at both ends and
// u(x, 0) = sin x. No solution is shown to it: its own derivatives by x and t, taken by `grad`, must satisfy the equation, so
// the loss holds second derivatives, and training takes a third. The solution is e^(-t) sin x.

import { AdamW, concat, Generator, grad, Linear, Module, seed, type Tensor, tensor } from 'cocagrad'

class Network extends Module {
  layers = [new Linear(2, 24), new Linear(24, 24), new Linear(24, 1)]

  /** x and t [points, 1] → u [points, 1] */
  forward(x: Tensor, t: Tensor): Tensor {
    const [first, second, last] = this.layers
    return last.forward(second.forward(first.forward(concat([x, t], 1)).tanh()).tanh())
  }
}

seed(0)
const model = new Network()
const generator = new Generator(0)
const draw = (count: number, high: number) => tensor(Array.from({ length: count }, () => [high * generator.uniform()]))

// a point's u depends on that point alone, so the gradient of the sum is each point's own derivative
const u = (x: Tensor, t: Tensor) => model.forward(x, t)
const ux = grad((x, t) => u(x, t).sum())
const ut = grad((x, t) => u(x, t).sum(), { wrt: 1 })
const uxx = grad((x, t) => ux(x, t).sum())

function loss() {
  const [x, t] = [draw(64, Math.PI), draw(64, 1)]
  const equation = ut(x, t).sub(uxx(x, t)).square().mean()
  const beginning = u(x, t.mul(0)).sub(x.sin()).square().mean()
  const ends = u(x.mul(0), t)
    .square()
    .mean()
    .add(u(x.mul(0).add(Math.PI), t).square().mean())
  return { total: equation.add(beginning.mul(10)).add(ends.mul(10)), equation }
}

const steps = 600
const optimizer = new AdamW(model)
for (let step = 0; step <= steps; step++) {
  const { total, equation } = optimizer.minimize(loss, { learningRate: 0.01 * (1 - step / (steps + 1)) })
  const [all, residual] = [await total.item(), await equation.item()]
  if (step % 100 === 0)
    console.log(`step ${step}: loss ${all.toExponential(2)}, of which equation ${residual.toExponential(2)}`)
}

const [x, t] = [draw(500, Math.PI), draw(500, 1)]
const error = u(x, t).sub(x.sin().mul(t.neg().exp())).abs().max()
console.log(`largest error ${(await error.item()).toFixed(4)}, of a solution between 0 and 1`)
