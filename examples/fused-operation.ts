// A fused operation of one's own: RMSNorm (Zhang and Sennrich 2019, arXiv 1910.07467), x / √(mean x² + ε) over the last axis. Its
// definition is written with other operations and says what it means. A kernel computes the same in one loop, and the tape has one
// line instead of six. `checkSame` compares the two, with their first and second derivatives.

import { defineFused, deviceOf, fromData, randn, seed, Tape, type Tensor } from 'cocagrad'
import { checkSame } from 'cocagrad/testing'

const definition = (x: Tensor, epsilon: number) =>
  x.mul(x.square().mean({ axis: -1, keepDims: true }).add(epsilon).rsqrt())

/** One loop over the rows, where values can be read without waiting; undefined elsewhere, and the definition runs. */
function kernel(_: unknown, x: Tensor, epsilon: number): Tensor | undefined {
  if (x.device === 'gpu') return undefined
  const values = x.dataSync().slice()
  const width = x.shape[x.rank - 1]
  for (let start = 0; start < values.length; start += width) {
    let sum = 0
    for (let i = start; i < start + width; i++) sum += values[i] * values[i]
    const factor = 1 / Math.sqrt(sum / width + epsilon)
    for (let i = start; i < start + width; i++) values[i] *= factor
  }
  return fromData(values, x.shape, deviceOf(x))
}

const rmsNorm = defineFused('rmsNorm', { definition, kernel })

seed(0)
const x = randn([4, 8])
for (const [name, f] of Object.entries({ definition, rmsNorm })) {
  const tape = new Tape()
  tape.watch(x, 'x')
  tape.run(() => f(x, 1e-5))
  console.log(`${name} on the tape:\n${tape}\n`)
  tape.end()
}

/** f as a function of tensors alone */
const withEpsilon = (f: typeof definition) => (x: Tensor) => f(x, 0.01)
checkSame(withEpsilon(rmsNorm), withEpsilon(definition), [x])
console.log('the kernel computes what the definition says, first and second derivatives too')

const forgetful = defineFused('forgetful', { definition, kernel: (_, x) => kernel(_, x, 0) })
try {
  checkSame(withEpsilon(forgetful), withEpsilon(definition), [x])
} catch (error) {
  console.log(`without ε: ${(error as Error).message.split('\n')[0]}`)
}
