// The operations of names.ts in jax-js, each compiled, timed one by one; the last line is JSON.
//
//     npx tsx bench/peers/jax-timings.ts --threads 2

import { adamw, type Named, type Scalars, type State } from './jax-adamw.ts'
import { jaxOperations, type Values } from './jax-operations.ts'
import { jaxVersion, startJax } from './jax-start.ts'
import type { BothWaysName, OperationName, Timings } from './names.ts'
import { medianTime, stepFlags } from './timing.ts'

const { threads } = stepFlags()
const jax = await startJax(threads)
const { numpy: np, nn, random } = jax
const operations = jaxOperations(jax)

let drawn = 0
const normal = (...shape: number[]): Values => random.normal(random.key(drawn++), shape)

const ms: Partial<Timings> = {}

/** Computes, waits until the computation is finished, and frees all memory. */
async function time(name: OperationName, f: (...x: Values[]) => Values | Values[], ...inputs: Values[]): Promise<void> {
  const compiled = jax.jit(f)
  await jax.blockUntilReady(inputs)
  ms[name] = await medianTime(async () => {
    const result = compiled(...inputs.map(input => input.ref))
    await jax.blockUntilReady(result)
    jax.tree.dispose(result)
  })
}

async function both(name: BothWaysName, f: (...x: Values[]) => Values, ...inputs: Values[]): Promise<void> {
  await time(name, f, ...inputs)
  const { shape } = jax.jit(f)(...inputs.map(input => input.ref))
  const valueAndGradients = (g: Values, ...inputs: Values[]) => {
    const [value, back] = jax.vjp(f, inputs)
    return [value, ...(back(g) as Values[])]
  }
  await time(`${name}, both ways`, valueAndGradients, normal(...shape), ...inputs)
}

for (const n of [512, 1024] as const) {
  const [a, b, g] = [normal(n, n), normal(n, n), normal(n, n)]
  await time(`matmul ${n}`, (a, b) => np.matmul(a, b), a, b)
  await time(`matmul ${n}, left gradient`, (g, b) => np.matmul(g, b.transpose()), g, b)
  await time(`matmul ${n}, right gradient`, (a, g) => np.matmul(a.transpose(), g), a, g)
}
await time('48 products of 64', (a, b) => np.matmul(a, b), normal(48, 64, 64), normal(48, 64, 64))

const x = normal(4096, 256)
await both('exp', x => np.exp(x), x)
await both('gelu', operations.gelu, x)
await both('softmax', x => nn.softmax(x, -1), x)
await both('layerNorm', operations.layerNorm, x, np.ones([256]), np.zeros([256]))
const heads = [normal(8, 4, 64, 64), normal(8, 4, 64, 64), normal(8, 4, 64, 64)]
await both('attention', (q, k, v) => operations.attentionOfHeads(q, k, v, true), ...heads)

const ids = np.array(
  Int32Array.from({ length: 256 }, () => Math.floor(8192 * Math.random())),
  { dtype: np.int32 },
)
const scatter = (table: Values, ids: Values, rows: Values) => {
  const [, back] = jax.vjp((table: Values) => table.slice(ids), [table])
  return (back(rows) as Values[])[0]
}
await time('embedding gradient', scatter, normal(8192, 384), ids, normal(256, 384))

const { begin, update, scalars } = adamw(jax)
const matrices = (): Named => Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`${i}`, normal(500, 500)]))
const updated = jax.jit((before: State, gradients: Named, numbers: Scalars) => update(before, gradients, numbers))
const gradients = matrices()
let state = begin(matrices())
let t = 0
ms.adamw = await medianTime(async () => {
  t++
  state = updated(state, jax.tree.ref(gradients), scalars(t))
  await jax.blockUntilReady(state)
})

console.log(JSON.stringify({ version: jaxVersion(), ms }))
// otherwise its workers would wait for more work
process.exit(0)
