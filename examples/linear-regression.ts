// Linear regression by gradient descent: a loss, its gradient, a step against it. No module and no optimizer is needed.

import { randn, seed, type Tensor, tensor, valueAndGrad, zeros } from 'cocagrad'

seed(1)
const x = randn([200, 2])
const y = x
  .matmul(tensor([[2], [-3]]))
  .add(0.5)
  .add(randn([200, 1]).mul(0.1))

/** The mean squared error of x w + b. */
const loss = (w: Tensor, b: Tensor) => x.matmul(w).add(b).sub(y).square().mean()
const lossAndGradients = valueAndGrad(loss, { wrt: [0, 1] })

let w = zeros([2, 1])
let b = zeros([1])
for (let step = 0; step <= 60; step++) {
  const [value, [dw, db]] = lossAndGradients(w, b)
  if (step % 20 === 0) console.log(`step ${step}: loss ${(await value.item()).toFixed(4)}`)
  w = w.sub(dw.mul(0.1))
  b = b.sub(db.mul(0.1))
}
console.log('w', (await w.data()).join(' '))
console.log('b', (await b.data()).join(' '))
