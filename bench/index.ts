// Times single operations beside other frameworks and OpenBLAS, the overhead of the tape, and the backward pass relative to the
// forward pass. Only ratios within one run are meaningful.
//
//     npm run bench -- --device cpu --threads 2 [--blas off] [--alone]

import { execFile } from 'node:child_process'
import { parseArgs, promisify } from 'node:util'
import b from 'benny'
import {
  AdamW,
  attention,
  type CpuOptions,
  conv2d,
  type DeviceName,
  device,
  type GpuBackend,
  lossAndGradients,
  parameter,
  randint,
  randn,
  scatterAdd,
  scope,
  seed,
  Tape,
  type Tensor,
  vjp,
} from '../src/index.ts'
import { sizes, trainingStep } from './model.ts'
import { program } from './peers/contenders.ts'
import { type BothWaysName, type OperationName, operationNames } from './peers/names.ts'
import { peerTimings } from './peers/operations.ts'

const { values: flags } = parseArgs({
  options: {
    device: { type: 'string', default: 'cpu' },
    backend: { type: 'string' },
    threads: { type: 'string', default: '2' },
    blas: { type: 'string' },
    'machine-code': { type: 'string' },
    /** without other frameworks */
    alone: { type: 'boolean', default: false },
  },
})
const threads = Number(flags.threads)
await device.use(
  flags.device as DeviceName,
  flags.device === 'cpu'
    ? { threads, blas: flags.blas, machineCode: flags['machine-code'] as CpuOptions['machineCode'] }
    : { backend: flags.backend as GpuBackend | undefined },
)
console.log(`device ${device.current}: ${device.description}`)
seed(1)

/** Computes, waits until the computation is finished, and frees the memory. */
const settled = (f: () => Tensor | readonly Tensor[]) => () =>
  scope(async () => {
    const all = [f()].flat()
    await all[0].slice(all[0].shape.map(() => ({ stop: 1 }))).data()
  })

/** The median of many runs of each case, in milliseconds. */
async function suite(name: string, cases: Readonly<Record<string, () => unknown>>): Promise<Record<string, number>> {
  let found: Record<string, number> = {}
  await b.suite(
    name,
    ...Object.entries(cases).map(([label, run]) => b.add(label, run as () => Promise<void>)),
    b.cycle(),
    b.complete(({ results }) => {
      found = Object.fromEntries(results.map(result => [result.name, 1000 * result.details.median]))
    }),
  )
  return found
}

const [a5, b5, a10, b10] = [512, 512, 1024, 1024].map(n => randn([n, n]))
const [a64, b64] = [randn([48, 64, 64]), randn([48, 64, 64])]
const [x, g, weight, bias] = [randn([4096, 256]), randn([4096, 256]), randn([256]), randn([256])]
const [q, k, v, ofHeads] = Array.from({ length: 4 }, () => randn([8, 4, 64, 64]))
const [images, channels, kernels, perKernel] = [
  randn([8, 32, 32, 32]),
  randn([8, 64, 32, 32]),
  randn([64, 32, 3, 3]),
  randn([64]),
]
const long = randn([1024, 1000])
const rows = randint(0, 8192, [256])
const ofRows = randn([256, 384])
const weights = Array.from({ length: 20 }, (_, i) => [`w${i}`, parameter([500, 500], shape => randn(shape))] as const)
const optimizer = new AdamW(weights, { learningRate: 1e-4 })
const slopes = new Map(weights.map(([name]) => [name, randn([500, 500])]))

const functions: Record<BothWaysName, readonly [f: (...inputs: Tensor[]) => Tensor, inputs: Tensor[], slope: Tensor]> =
  {
    exp: [y => y.exp(), [x], g],
    gelu: [y => y.gelu(), [x], g],
    softmax: [y => y.softmax(), [x], g],
    layerNorm: [(y, w, c) => y.layerNorm({ weight: w, bias: c }), [x, weight, bias], g],
    attention: [(y, z, w) => attention(y, z, w, { causal: true }), [q, k, v], ofHeads],
    conv2d: [(y, w, c) => conv2d(y, w, { bias: c, padding: 1 }), [images, kernels, perKernel], channels],
    maxPool2d: [y => y.maxPool2d({ kernel: 2 }), [channels], randn([8, 64, 16, 16])],
    batchNorm: [(y, w, c) => y.batchNorm({ weight: w, bias: c }), [channels, perKernel, perKernel], channels],
  }
const bothWays = Object.entries(functions).flatMap(([name, [f, inputs, slope]]) => [
  [name, settled(() => f(...inputs))] as const,
  [`${name}, both ways`, settled(() => vjp(f, ...inputs)[1](slope))] as const,
])
const cases = {
  'matmul 512': settled(() => a5.matmul(b5)),
  'matmul 512, left gradient': settled(() => a5.matmul(b5.transpose())),
  'matmul 512, right gradient': settled(() => a5.transpose().matmul(b5)),
  'matmul 1024': settled(() => a10.matmul(b10)),
  'matmul 1024, left gradient': settled(() => a10.matmul(b10.transpose())),
  'matmul 1024, right gradient': settled(() => a10.transpose().matmul(b10)),
  '48 products of 64': settled(() => a64.matmul(b64)),
  ...Object.fromEntries(bothWays),
  'embedding gradient': settled(() => scatterAdd([8192, 384], rows.unsqueeze(1).expand([256, 384]), ofRows)),
  sort: settled(() => long.sort().values),
  topk: settled(() => long.topk(10).values),
  adamw: () => optimizer.step(slopes),
} as Record<OperationName, () => unknown>
const ours = (await suite('operations', cases)) as Record<OperationName, number>

const small = randn([16])
const other = randn([16])
const THOUSAND = 1000
const manyAdds = () => {
  for (let i = 0; i < THOUSAND; i++) small.add(other)
}
const overhead = await suite('a thousand additions of 16 numbers', {
  'not recorded': () => scope(manyAdds),
  recorded: () => {
    using tape = new Tape()
    tape.watch(small)
    tape.run(manyAdds)
  },
  'recorded, and back': () => {
    using tape = new Tape()
    tape.watch(small)
    const sum = tape.run(() => {
      let y = small
      for (let i = 0; i < THOUSAND; i++) y = y.add(other)
      return y.sum()
    })
    tape.finish(sum, [small])
  },
})

const { model, images: pictures, ids } = trainingStep(sizes.tiny)
const walk = await suite('CoCa tiny, batch 32', {
  loss: settled(() => model.loss(pictures, ids).total),
  'loss and gradients': settled(() => lossAndGradients(model, () => model.loss(pictures, ids)).loss.total),
})

const row = (cells: readonly string[]) =>
  cells.map((cell, i) => (i === 0 ? cell.padEnd(30) : cell.padStart(16))).join('')
const ms = (value: number) => value.toFixed(3)
console.log(
  `\nper operation of 16 numbers: ${Object.entries(overhead)
    .map(([name, value]) => `${name} ${value.toFixed(2)} µs`)
    .join(', ')}`,
)
const ratio = (walk['loss and gradients'] - walk.loss) / walk.loss
console.log(`CoCa tiny: forward ${ms(walk.loss)} ms, backward takes ${ratio.toFixed(2)} times as long`)

if (!flags.alone) {
  const { timings, missing } = await peerTimings(threads)
  for (const { name, remedy } of missing) console.log(`${name} is not installed: ${remedy}`)
  const openblas = await promisify(execFile)(process.execPath, [
    ...program('../openblas.ts'),
    '--threads',
    `${threads}`,
  ])
    .then(({ stdout }) => JSON.parse(stdout) as Partial<Record<OperationName, number>>)
    .catch((error: Error) => {
      console.log(error.message.split('\n').find(line => line.includes('Error')) ?? error.message)
      return undefined
    })
  const others = [...timings, ...(openblas ? [{ name: 'OpenBLAS', version: '', ms: openblas }] : [])]
  console.log(`\nmilliseconds on ${threads} threads, and the ratio of our time to theirs`)
  console.log(row(['', 'cocagrad', ...others.map(({ name }) => name.replace(', wasm', ''))]))
  for (const name of operationNames) {
    const theirs = others.map(({ ms: times }) => {
      const time = times[name]
      return time === undefined ? '' : `${ms(time)} ${(ours[name] / time).toFixed(2)}`
    })
    console.log(row([name, ms(ours[name]), ...theirs]))
  }
} else for (const name of operationNames) console.log(row([name, ms(ours[name])]))
