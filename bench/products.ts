// The matrix products of a training step by shape: how long they take within the step, alone in a loop on the cpu device, and alone in
// PyTorch with two threads, in milliseconds of a step. The sums are lower bounds of any step whose products these libraries compute.
// The last line is JSON.
//
//     COCAGRAD_PYTHON=V/bin/python npm run -s bench:products -- --size small

import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { type CpuOptions, device, ones, type Tensor } from '../src/index.ts'
import { type SizeName, sizes, trainingStep, warmups } from './model.ts'
import { findPython } from './peers/contenders.ts'
import { median } from './peers/timing.ts'

const { values: flags } = parseArgs({
  options: {
    size: { type: 'string', default: 'small' },
    blas: { type: 'string' },
    'machine-code': { type: 'string' },
    steps: { type: 'string', default: '10' },
  },
})
if (!(flags.size in sizes))
  throw new RangeError(`--size ${flags.size}: must be one of ${Object.keys(sizes).join(', ')}`)
const size = flags.size as SizeName
const steps = Number(flags.steps)
if (!Number.isInteger(steps) || steps < 1) throw new RangeError(`--steps ${flags.steps}: must be a positive integer`)

type Kind = 'matmul' | 'linear' | 'linear with bias'

/** stack × [m, k] × [k, n]; each factor is stored by rows (N) or by columns (T), the weight of a linear layer as [n, k]. */
type Product = readonly [kind: Kind, stack: number, m: number, n: number, k: number, layouts: string]

/** Products with fewer multiplications are left out. */
const SMALLEST = 1e5

const layoutOf = ({ shape, strides, rank }: Tensor): string =>
  strides[rank - 1] !== 1 && strides[rank - 2] === 1 && shape[rank - 1] > 1 ? 'T' : 'N'

await device.use('cpu', { blas: flags.blas, machineCode: flags['machine-code'] as CpuOptions['machineCode'] })
const { step } = trainingStep(sizes[size])
for (let i = 0; i < warmups[size]; i++) await step()

const found = new Map<string, { readonly product: Product; readonly times: number[] }>()
function timed(product: Product, run: () => Tensor | undefined): Tensor | undefined {
  const began = performance.now()
  const result = run()
  const time = performance.now() - began
  const entry = found.get(`${product}`) ?? { product, times: [] }
  found.set(`${product}`, entry)
  if (result) entry.times.push(time)
  return result
}

const target: { kernels: ReturnType<typeof device.get>['kernels'] } = device.get()
const { kernels } = target
const linear = kernels.linear!
target.kernels = {
  ...kernels,
  matmul(a, b) {
    const [m, k, n] = [a.shape[a.rank - 2], a.shape[a.rank - 1], b.shape[b.rank - 1]]
    const stack = Math.max(...[a, b].map(({ size, shape, rank }) => size / (shape[rank - 2] * shape[rank - 1])))
    return timed(['matmul', stack, m, n, k, layoutOf(a) + layoutOf(b)], () => kernels.matmul(a, b))!
  },
  linear(x, weight, bias) {
    const [n, k] = weight.shape
    const kind = bias ? 'linear with bias' : 'linear'
    return timed([kind, 1, x.size / k, n, k, `N${layoutOf(weight)}`], () => linear(x, weight, bias))
  },
}
const stepTimes: number[] = []
for (let i = 0; i < steps; i++) {
  const began = performance.now()
  await step()
  stepTimes.push(performance.now() - began)
}
target.kernels = kernels

function factor(stack: number, rows: number, columns: number, layout: string): Tensor {
  const shape = layout === 'T' ? [columns, rows] : [rows, columns]
  const x = ones(stack > 1 ? [stack, ...shape] : shape)
  return layout === 'T' ? x.transpose(-1, -2) : x
}

function alone([kind, stack, m, n, k, layouts]: Product): readonly [median: number, fastest: number] {
  const x = factor(stack, m, k, layouts[0])
  const y = kind === 'matmul' ? factor(stack, k, n, layouts[1]) : factor(1, n, k, layouts[1])
  const bias = kind === 'linear with bias' ? ones([n]) : undefined
  const times = Array.from({ length: 30 }, () => {
    const began = performance.now()
    const result = kind === 'matmul' ? kernels.matmul(x, y) : linear(x, y, bias)!
    const time = performance.now() - began
    result.storage.free('the bench')
    return time
  })
  return [median(times.slice(5)), Math.min(...times)]
}

const all = [...found.values()].filter(
  ({ product: [, stack, m, n, k], times }) => stack * m * n * k >= SMALLEST && times.length > 0,
)
const products = all.map(({ product }) => product)
const ours = products.map(alone)
const python = findPython('torch')
if (!python) console.error('no Python with torch: set COCAGRAD_PYTHON to one; products are not compared')
const peer: readonly (readonly [number, number])[] = python
  ? JSON.parse(
      execFileSync(python, [join(import.meta.dirname, 'peers/torch_products.py')], {
        input: JSON.stringify(products),
        encoding: 'utf8',
      }),
    )
  : products.map(() => [Number.NaN, Number.NaN])

const rows = all.map(({ product: [kind, stack, m, n, k, layouts], times }, i) => {
  const calls = times.length / steps
  const gflop = 2e-9 * stack * m * n * k * calls
  const [inStep, [own, ownMin], [torch, torchMin]] = [median(times), ours[i], peer[i]]
  return {
    product: `${kind} ${stack > 1 ? `${stack} × ` : ''}${m} × ${n} × ${k} ${layouts}`,
    calls,
    gflop,
    ...{ inStep: inStep * calls, alone: own * calls, fastest: ownMin * calls },
    ...{ torch: torch * calls, torchFastest: torchMin * calls },
  }
})
rows.sort((a, b) => b.inStep - a.inStep)
const rounded = (row: object) =>
  Object.fromEntries(Object.entries(row).map(([name, x]) => [name, typeof x === 'number' ? Number(x.toFixed(2)) : x]))
console.table(rows.map(rounded))
const total = (name: 'gflop' | 'inStep' | 'alone' | 'fastest' | 'torch' | 'torchFastest') =>
  rows.reduce((sum, row) => sum + row[name], 0)
console.log(
  JSON.stringify(
    rounded({
      size,
      ms: median(stepTimes),
      minMs: Math.min(...stepTimes),
      ...{ gflop: total('gflop'), inStep: total('inStep'), alone: total('alone'), fastest: total('fastest') },
      ...{ torch: total('torch'), torchFastest: total('torchFastest') },
    }),
  ),
)
process.exit(0)
