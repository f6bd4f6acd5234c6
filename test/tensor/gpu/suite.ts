// Compares the gpu device with the reference, operation by operation, over random shapes, strides and broadcasts. It is separate
// from the test files because it runs in Node and, bundled, in a browser, and depends on neither.

import fc from 'fast-check'
import {
  type BinaryName,
  type ComparisonName,
  type Device,
  type DType,
  fromData,
  Generator,
  IndexError,
  type ReductionName,
  type Shape,
  scope,
  sizeOf,
  type Tensor,
  type UnaryName,
} from '../../../src/tensor/index.ts'
import { unaryFunctions } from '../../../src/tensor/reference/functions.ts'
import { reference } from '../../../src/tensor/reference/index.ts'

export interface Check {
  readonly name: string
  /** @param runs how many random cases of each kind */
  run(on: Device, runs: number): Promise<void>
}

/** A strided view of fresh memory: the same on every device it is made on. */
interface Layout {
  readonly shape: Shape
  readonly strides: readonly number[]
  readonly offset: number
  readonly length: number
  readonly seed: number
}

type Fill = (generator: Generator) => number
const uniform =
  (low: number, high: number): Fill =>
  generator =>
    low + (high - low) * generator.uniform()
const integer =
  (low: number, high: number): Fill =>
  generator =>
    low + generator.integer(high - low)

/** The floating type of the tensors that the checks make. */
let floats: 'float32' | 'float64' = 'float32'

const floatsOf = (values: readonly number[]) =>
  floats === 'float32' ? Float32Array.from(values) : Float64Array.from(values)

function make(on: Device, layout: Layout, fill: Fill = uniform(-3, 3), dtype: DType = floats): Tensor {
  const generator = new Generator(layout.seed)
  const values = floatsOf(Array.from({ length: layout.length }, () => fill(generator)))
  const data = dtype === 'int32' ? Int32Array.from(values) : dtype === 'bool' ? Uint8Array.from(values) : values
  return fromData(data, [layout.length], on, dtype).view(layout.shape, layout.strides, layout.offset)
}

/** Shapes up to rank 6 of few elements, sometimes empty, with many axes of size one. */
const shapes = (minRank = 0, minSize = 0) =>
  fc
    .array(fc.oneof({ weight: 12, arbitrary: fc.integer({ min: 1, max: 5 }) }, fc.constant(Math.max(minSize, 0))), {
      minLength: minRank,
      maxLength: 6,
    })
    .filter(shape => sizeOf(shape) <= 800)

/** Memory for a shape with axes in any order, steps forwards, backwards, in twos, or standing still. */
const layoutsOf = (shape: Shape): fc.Arbitrary<Layout> =>
  fc
    .record({
      order: fc.shuffledSubarray(
        shape.map((_, i) => i),
        { minLength: shape.length, maxLength: shape.length },
      ),
      steps: fc.array(fc.constantFrom(1, 1, 1, 2, -1, -2, 0), { minLength: shape.length, maxLength: shape.length }),
      plain: fc.boolean(),
      before: fc.integer({ min: 0, max: 3 }),
      seed: fc.nat(),
    })
    .map(({ order, steps, plain, before, seed }) => {
      const strides = shape.map(() => 0)
      let offset = before
      let extent = 1
      for (const axis of plain ? shape.map((_, i) => shape.length - 1 - i) : order) {
        const step = plain ? 1 : steps[axis]
        strides[axis] = step * extent
        if (step < 0) offset += Math.max(0, shape[axis] - 1) * -step * extent
        extent *= Math.max(0, shape[axis] - 1) * Math.abs(step) + 1
      }
      return { shape, strides, offset, length: extent + before, seed }
    })

const layouts = (minRank = 0, minSize = 0) => shapes(minRank, minSize).chain(layoutsOf)

/** A layout whose shape broadcasts to another. */
const broadcastable = (shape: Shape) =>
  fc
    .record({
      drop: fc.integer({ min: 0, max: shape.length }),
      ones: fc.array(fc.boolean(), { minLength: shape.length, maxLength: shape.length }),
    })
    .chain(({ drop, ones }) => layoutsOf(shape.map((n, i) => (ones[i] ? 1 : n)).slice(drop)))

/** A few random whole numbers to choose axes with. */
const choices = fc.array(fc.nat(), { minLength: 6, maxLength: 6 })

interface Tolerance {
  readonly relative?: number
  readonly absolute?: number
}

/** Of float64: a sum in another order. */
const precise: Tolerance = { relative: 1e-12, absolute: 1e-12 }

async function agree(what: string, actual: Tensor, expected: Tensor, tolerance: Tolerance = {}): Promise<void> {
  if (`${actual.shape}` !== `${expected.shape}`)
    throw new Error(`${what}: shape [${actual.shape}] instead of [${expected.shape}]`)
  if (actual.dtype !== expected.dtype) throw new Error(`${what}: ${actual.dtype} instead of ${expected.dtype}`)
  await agreeWith(what, actual, await expected.data(), tolerance)
}

async function agreeWith(
  what: string,
  actual: Tensor,
  expected: ArrayLike<number>,
  tolerance: Tolerance = {},
): Promise<void> {
  const { relative = 2e-5, absolute = 1e-5 } = actual.dtype === 'float64' ? precise : tolerance
  const values = await actual.data()
  if (values.length !== expected.length)
    throw new Error(`${what}: ${values.length} elements instead of ${expected.length}`)
  for (let i = 0; i < values.length; i++) {
    if (Object.is(values[i], expected[i])) continue
    // within a share of infinity is everything
    const distance = Number.isFinite(expected[i]) ? absolute + relative * Math.abs(expected[i]) : 0
    if (!(Math.abs(values[i] - expected[i]) <= distance))
      throw new Error(`${what}: [${i}] of [${actual.shape}] is ${values[i]} instead of ${expected[i]}`)
  }
}

/** A property of random cases, each of which gives its memory back. */
async function forAll<T>(arbitrary: fc.Arbitrary<T>, runs: number, property: (value: T) => Promise<void>) {
  await fc.assert(
    fc.asyncProperty(arbitrary, value => scope(() => property(value))),
    { numRuns: runs, seed: 20220504 },
  )
}

/** What differs from numbers of both signs and the usual tolerance. */
const unaryDomains: Partial<Record<UnaryName, { fill?: Fill; tolerance?: Tolerance }>> = {
  sign: { fill: integer(-2, 3) },
  expm1: { fill: uniform(-1, 1), tolerance: { absolute: 1e-7 } },
  log: { fill: uniform(0.1, 5) },
  log1p: { fill: uniform(-0.5, 1), tolerance: { absolute: 1e-7 } },
  sqrt: { fill: uniform(0, 5) },
  rsqrt: { fill: uniform(0.1, 5) },
  sin: { fill: uniform(-20, 20) },
  cos: { fill: uniform(-20, 20) },
  tanh: { tolerance: { absolute: 1e-6 } },
  erf: { tolerance: { absolute: 2e-6 } },
}

const binaryNames: readonly BinaryName[] = ['add', 'sub', 'mul', 'div', 'maximum', 'minimum']
const comparisonNames: readonly ComparisonName[] = ['equal', 'notEqual', 'greater', 'greaterEqual', 'less', 'lessEqual']
const reductionNames: readonly ReductionName[] = ['sum', 'max', 'min']

/** A layout of rank n that is contiguous. */
function plain(shape: Shape, seed = 1): Layout {
  let step = 1
  const strides = shape.map(() => 0)
  for (let i = shape.length - 1; i >= 0; i--) {
    strides[i] = step
    step *= shape[i]
  }
  return { shape, strides, offset: 0, length: sizeOf(shape), seed }
}

const elementwise: Check[] = [
  {
    name: 'unary operations agree with the reference',
    async run(gpu, runs) {
      for (const name of Object.keys(unaryFunctions) as UnaryName[]) {
        const { fill, tolerance } = unaryDomains[name] ?? {}
        await forAll(layouts(), Math.ceil(runs / 3), layout =>
          agree(
            name,
            gpu.kernels.unary(name, make(gpu, layout, fill)),
            reference.kernels.unary(name, make(reference, layout, fill)),
            tolerance,
          ),
        )
      }
    },
  },
  {
    name: 'unary operations hold far from where they are easy',
    async run(gpu) {
      const cases: [UnaryName, number[]][] = [
        ['tanh', [1e-6, -1e-4, 100, -1000, 0.29, 0.31]],
        ['sigmoid', [-100, 100, 0, -30, -85, -1e30, 1e30]],
        ['expm1', [1e-6, -1e-6, 0.49, -0.51, 10]],
        ['log1p', [1e-6, -1e-6, 0.39, 0.41, 100, -1, -2]],
        ['log', [0, -0, 1, 1e-30, 1e30, -1, -1e-30]],
        ['normalCdf', [0, -0.5, 2, 6, -6, 1e20, -1e20]],
        ['rsqrt', [0, 1, 1e-20, 1e20]],
        ['exp', [-200, 0, 200]],
        ['erf', [1e-6, 0.49, 0.51, 3, -3, 10, -100]],
        ['sin', [0, 1e-4, 100, -100, Math.PI]],
        ['cos', [0, 1e-4, 100, -100, Math.PI / 2]],
      ]
      for (const [name, values] of cases) {
        const data = floatsOf(values)
        await agree(
          name,
          gpu.kernels.unary(name, fromData(data, [data.length], gpu)),
          reference.kernels.unary(name, fromData(data, [data.length], reference)),
          { relative: 2e-5, absolute: 2e-7 },
        )
      }
    },
  },
  {
    name: 'binary operations agree, broadcast without copies',
    async run(gpu, runs) {
      const pairs = shapes().chain(shape => fc.tuple(broadcastable(shape), broadcastable(shape)))
      for (const name of binaryNames) {
        const fill = name === 'div' ? uniform(0.5, 3) : undefined
        await forAll(pairs, Math.ceil(runs / 2), ([a, b]) =>
          agree(
            name,
            gpu.kernels.binary(name, make(gpu, a), make(gpu, b, fill), floats),
            reference.kernels.binary(name, make(reference, a), make(reference, b, fill), floats),
          ),
        )
      }
    },
  },
  {
    name: 'numbers meet every element, on either side',
    async run(gpu, runs) {
      await forAll(fc.tuple(layouts(), fc.constantFrom(...binaryNames), fc.boolean()), runs, ([a, name, left]) => {
        const on = (device: Device) => {
          const x = make(device, a, uniform(0.5, 3))
          return left ? device.kernels.binary(name, 0.7, x, floats) : device.kernels.binary(name, x, 0.7, floats)
        }
        return agree(name, on(gpu), on(reference))
      })
    },
  },
  {
    name: 'powers keep the sign of their base',
    async run(gpu) {
      const bases = floatsOf([-2, -1.5, -0.5, 0, 0.5, 1.7, 3])
      for (const exponent of [0, 1, 2, 3, 4, 5, -1, -2]) {
        const on = (device: Device) =>
          device.kernels.binary('pow', fromData(bases, [7], device).view([exponent < 0 ? 3 : 7], [1]), exponent, floats)
        await agree(`pow ${exponent}`, on(gpu), on(reference))
      }
      const fractional = (device: Device) =>
        device.kernels.binary('pow', fromData(bases, [7], device).view([4], [1], 3), 0.75, floats)
      await agree('pow 0.75', fractional(gpu), fractional(reference))
    },
  },
  {
    name: 'operations on whole numbers agree exactly',
    async run(gpu, runs) {
      const triples = shapes().chain(shape => fc.tuple(layoutsOf(shape), broadcastable(shape), broadcastable(shape)))
      const on = (device: Device, [a, b, c]: readonly Layout[]) => {
        const k = device.kernels
        const whole = (layout: Layout, low: number, high: number) => make(device, layout, integer(low, high), 'int32')
        const [x, y, exponent] = [whole(b, -9, 10), whole(c, -9, 10), whole(c, -2, 6)]
        return [
          ...(['neg', 'abs', 'sign'] as const).map(name => ({ name, value: k.unary(name, whole(a, -9, 10)) })),
          ...(['add', 'sub', 'mul', 'maximum', 'minimum'] as const).map(name => ({
            name,
            value: k.binary(name, x, y, 'int32'),
          })),
          { name: 'pow', value: k.binary('pow', x, exponent, 'int32') },
        ]
      }
      await forAll(triples, runs, async layouts => {
        const expected = on(reference, layouts)
        for (const [i, { name, value }] of on(gpu, layouts).entries())
          await agree(name, value, expected[i].value, { relative: 0, absolute: 0 })
      })
    },
  },
  {
    name: 'comparisons and where agree',
    async run(gpu, runs) {
      const triples = shapes().chain(shape =>
        fc.tuple(broadcastable(shape), broadcastable(shape), layoutsOf(shape), fc.constantFrom(...comparisonNames)),
      )
      await forAll(triples, runs * 2, async ([a, b, c, name]) => {
        const on = (device: Device) => {
          const [x, y] = [make(device, a, integer(-2, 3)), make(device, b, integer(-2, 3))]
          const condition = device.kernels.compare(name, x, y)
          return [condition, device.kernels.where(condition, x, make(device, c), floats)]
        }
        const [actual, expected] = [on(gpu), on(reference)]
        await agree(name, actual[0], expected[0])
        await agree('where', actual[1], expected[1])
      })
    },
  },
  {
    name: 'choosing among values of every type agrees',
    async run(gpu, runs) {
      const drawn = shapes().chain(shape =>
        fc.tuple(
          ...[layoutsOf(shape), broadcastable(shape), broadcastable(shape)],
          fc.constantFrom<DType>('int32', 'bool'),
        ),
      )
      await forAll(drawn, runs * 2, async ([a, b, c, dtype]) => {
        const on = (device: Device) => {
          const condition = make(device, a, integer(0, 2), 'bool')
          const [x, y] = [make(device, b, integer(0, 2), dtype), make(device, c, integer(0, 2), dtype)]
          return device.kernels.where(condition, x, y, dtype)
        }
        await agree(`where of ${dtype}`, on(gpu), on(reference))
      })
    },
  },
  {
    name: 'a mask of large negative numbers leaves no weight',
    async run(gpu) {
      const on = (device: Device) => {
        const k = device.kernels
        const x = make(device, plain([4, 5]))
        const mask = make(device, plain([4, 5], 3), integer(0, 2), 'bool')
        const masked = k.where(mask, x, -1e30, floats)
        const shifted = k.binary('sub', masked, k.reduce('max', masked, [1]), floats)
        return k.unary('exp', shifted)
      }
      await agree('masked exp', on(gpu), on(reference))
    },
  },
  {
    name: 'copies and casts agree for every type',
    async run(gpu, runs) {
      const types: readonly DType[] = [floats, 'int32', 'bool']
      await forAll(
        fc.tuple(layouts(), fc.constantFrom(...types), fc.constantFrom(...types)),
        runs * 2,
        async ([a, from, to]) => {
          const on = (device: Device) => make(device, a, from === floats ? uniform(-3, 3) : integer(0, 2), from)
          await agree('read', on(gpu), reference.kernels.copy(on(reference)))
          await agree('copy', gpu.kernels.copy(on(gpu)), reference.kernels.copy(on(reference)))
          await agree(`${from} to ${to}`, gpu.kernels.cast(on(gpu), to), reference.kernels.cast(on(reference), to))
        },
      )
    },
  },
]

/** Axes chosen by random numbers: none, some or all. */
const axesOf = (shape: Shape, choice: readonly number[]) =>
  shape.map((_, i) => i).filter(i => (choice[i] ?? 0) % 2 === 0)

const reductionsAndProducts: Check[] = [
  {
    name: 'reductions over any axes agree',
    async run(gpu, runs) {
      await forAll(fc.tuple(layouts(), choices, fc.constantFrom(...reductionNames)), runs * 3, ([a, choice, name]) =>
        agree(
          name,
          gpu.kernels.reduce(name, make(gpu, a), axesOf(a.shape, choice)),
          reference.kernels.reduce(name, make(reference, a), axesOf(a.shape, choice)),
        ),
      )
    },
  },
  {
    name: 'bool sums are int32',
    run: (gpu, runs) =>
      forAll(fc.tuple(layouts(1, 1), choices), runs, ([a, choice]) => {
        const on = (device: Device) =>
          device.kernels.reduce('sum', make(device, a, integer(0, 2), 'bool'), axesOf(a.shape, choice))
        return agree('sum', on(gpu), on(reference))
      }),
  },
  {
    name: 'long rows are reduced in stages and stay accurate',
    async run(gpu) {
      for (const [shape, axis] of [
        [[2, 50257], 1],
        [[50257, 2], 0],
        [[3, 2000, 3], 1],
        [[1, 1023], 1],
        [[5000, 300], 1],
      ] as const) {
        await scope(async () => {
          const on = (device: Device) => make(device, plain(shape), uniform(0, 1))
          const [x, y] = [on(gpu), on(reference)]
          for (const name of reductionNames)
            await agree(
              `${name} of ${shape}`,
              gpu.kernels.reduce(name, x, [axis]),
              reference.kernels.reduce(name, y, [axis]),
              {
                relative: 2e-6,
              },
            )
        })
      }
      await scope(async () => {
        const everything = (device: Device) =>
          device.kernels.reduce('sum', make(device, plain([1 << 18]), uniform(0, 1)), [0])
        await agree('sum of 2¹⁸', everything(gpu), everything(reference), { relative: 1e-6 })
      })
    },
  },
  {
    name: 'argmax finds the first largest',
    async run(gpu, runs) {
      const cases = layouts(1, 1).chain(a => fc.tuple(fc.constant(a), fc.nat(a.shape.length - 1)))
      await forAll(cases, runs * 2, ([a, axis]) => {
        const on = (device: Device) => device.kernels.argmax(make(device, a, integer(0, 3)), axis)
        return agree('argmax', on(gpu), on(reference))
      })
      for (const [shape, axis] of [
        [[3, 50257], 1],
        [[5000, 2], 0],
      ] as const) {
        await scope(() => {
          const on = (device: Device) => device.kernels.argmax(make(device, plain(shape), integer(0, 1000)), axis)
          return agree('argmax', on(gpu), on(reference))
        })
      }
      // the same strides, of which another one counts
      for (const axis of [0, 1, 2])
        await scope(() => {
          const shape = [1, 1, 1].with(axis, 2)
          const x = fromData(floatsOf([7, 8]), [2], gpu).view(shape, [1, 0, 1])
          return agreeWith(`argmax along axis ${axis}`, gpu.kernels.argmax(x, axis), [axis === 1 ? 0 : 1])
        })
    },
  },
  {
    name: 'argmax finds one number wherever it is in a long row, and nothing beside the row',
    async run(gpu) {
      const n = 1000
      for (const step of [1, 2, -2])
        for (const peak of [0, 15, 16, 17, 500, 991, 992, n - 1]) {
          const extent = n * Math.abs(step)
          const offset = 3 + (step < 0 ? extent - 2 : 0)
          // elements outside of the row are larger
          const memory = floatsOf(new Array(3 + 2 * extent).fill(50))
          for (let row = 0; row < 2; row++)
            for (let i = 0; i < n; i++)
              memory[offset + row * extent + i * step] = i === (row === 0 ? peak : n - 1 - peak) ? 1 : -1 - (i % 7)
          await scope(() => {
            const x = fromData(memory, [memory.length], gpu).view([2, n], [extent, step], offset)
            return agreeWith(`argmax in steps of ${step}`, gpu.kernels.argmax(x, 1), [peak, n - 1 - peak])
          })
        }
    },
  },
  {
    name: 'argsort keeps equal elements in order, in both directions',
    async run(gpu, runs) {
      const cases = layouts(1, 1).chain(a => fc.tuple(fc.constant(a), fc.nat(a.shape.length - 1), fc.boolean()))
      const check = (a: Layout, axis: number, descending: boolean, fill: Fill) => {
        const on = (device: Device) => device.kernels.argsort(make(device, a, fill), axis, descending)
        return agree('argsort', on(gpu), on(reference), { relative: 0, absolute: 0 })
      }
      await forAll(cases, runs * 2, ([a, axis, descending]) => check(a, axis, descending, integer(0, 3)))
      // runs of all lengths, the last of which is short
      for (const n of [2, 3, 4, 5, 7, 8, 9, 31, 32, 33, 100, 1025])
        for (const descending of [false, true])
          await scope(() => check(plain([3, n, 2]), 1, descending, integer(0, Math.ceil(n / 2))))
      const special = Float32Array.of(0, Infinity, -0, -1, -Infinity, 1, 0)
      for (const [descending, order] of [
        [false, [4, 3, 0, 2, 6, 5, 1]],
        [true, [1, 5, 0, 2, 6, 3, 4]],
      ] as const)
        await agreeWith('argsort', gpu.kernels.argsort(fromData(special, [7], gpu), 0, descending), order)
    },
  },
  {
    name: 'matrix products agree, strided and broadcast',
    async run(gpu, runs) {
      const size = fc.integer({ min: 0, max: 6 })
      const cases = fc
        .tuple(fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 3 }), size, size, size, choices)
        .chain(([batch, m, k, n, choice]) =>
          fc.tuple(
            layoutsOf([...batch.map((b, i) => (choice[i] % 3 === 0 ? 1 : b)), m, k]),
            layoutsOf([...batch.map((b, i) => (choice[i] % 3 === 1 ? 1 : b)), k, n]),
          ),
        )
      await forAll(cases, runs * 3, ([a, b]) =>
        agree(
          'matmul',
          gpu.kernels.matmul(make(gpu, a), make(gpu, b)),
          reference.kernels.matmul(make(reference, a), make(reference, b)),
        ),
      )
    },
  },
  {
    name: 'large matrix products agree: four results a thread, a divided inner axis',
    async run(gpu) {
      const cases: [Layout, Layout][] = [
        [plain([3, 70, 10]), plain([3, 10, 80])],
        [{ ...plain([128, 20]), strides: [1, 128] }, plain([20, 132])],
        [plain([128, 20]), { ...plain([20, 132]), strides: [1, 20] }],
        [plain([3, 1024]), plain([1024, 5])],
        [{ ...plain([4, 2048]), strides: [1, 4] }, plain([2048, 3])],
      ]
      for (const [a, b] of cases)
        await scope(() =>
          agree(
            `matmul ${a.shape} ${b.shape}`,
            gpu.kernels.matmul(make(gpu, a, uniform(-1, 1)), make(gpu, b, uniform(-1, 1))),
            reference.kernels.matmul(make(reference, a, uniform(-1, 1)), make(reference, b, uniform(-1, 1))),
            { absolute: 5e-5 },
          ),
        )
    },
  },
]

/** x, indices into an axis of it, and the axis. */
const indexed = fc.tuple(layouts(1, 1), fc.nat(), fc.integer({ min: 1, max: 30 })).chain(([x, choice, count]) => {
  const axis = choice % x.shape.length
  const shape = x.shape.map((n, i) => (i === axis ? count : n))
  return fc.tuple(fc.constant(x), layoutsOf(shape), fc.constant(axis), layoutsOf(shape))
})

const movement: Check[] = [
  {
    name: 'gather agrees',
    run: (gpu, runs) =>
      forAll(indexed, runs * 2, ([x, indices, axis]) => {
        const on = (device: Device) =>
          device.kernels.gather(make(device, x), axis, make(device, indices, integer(0, x.shape[axis]), 'int32'))
        return agree('gather', on(gpu), on(reference))
      }),
  },
  {
    name: 'scatterAdd agrees, whether the host knows the indices or not',
    run: (gpu, runs) =>
      forAll(indexed, runs * 2, async ([x, indices, axis, updates]) => {
        const on = (device: Device, known: boolean) => {
          const ids = make(device, indices, integer(0, x.shape[axis]), 'int32')
          return device.kernels.scatterAdd(x.shape, axis, known ? ids : device.kernels.copy(ids), make(device, updates))
        }
        const expected = on(reference, true)
        await agree('scatterAdd, known', on(gpu, true), expected)
        await agree('scatterAdd, unknown', on(gpu, false), expected)
      }),
  },
  {
    name: 'an embedding and its gradient agree',
    async run(gpu) {
      const [rows, width, tokens] = [300, 12, 200]
      const on = (device: Device) => {
        const ids = fromData(
          Int32Array.from({ length: tokens }, (_, i) => (i * i) % rows),
          [tokens, 1],
          device,
        ).view([tokens, width], [1, 0])
        const rowsOf = device.kernels.gather(make(device, plain([rows, width])), 0, ids)
        return [rowsOf, device.kernels.scatterAdd([rows, width], 0, ids, rowsOf)]
      }
      const [actual, expected] = [on(gpu), on(reference)]
      await agree('embedding', actual[0], expected[0])
      await agree('embedding gradient', actual[1], expected[1])
    },
  },
  {
    name: 'pad agrees',
    run: (gpu, runs) =>
      forAll(
        fc.tuple(layouts(), fc.array(fc.tuple(fc.nat(2), fc.nat(2)), { minLength: 6, maxLength: 6 }), choices),
        runs * 2,
        ([a, widths, choice]) => {
          const padding = a.shape.map((_, i) => (choice[i] % 2 === 0 ? widths[i] : ([0, 0] as const)))
          const on = (device: Device) => device.kernels.pad(make(device, a), padding, -7)
          return agree('pad', on(gpu), on(reference))
        },
      ),
  },
  {
    name: 'concat agrees, of many inputs too',
    async run(gpu, runs) {
      const parts = fc
        .tuple(shapes(1), fc.nat(), fc.array(fc.nat(4), { minLength: 1, maxLength: 5 }))
        .chain(([shape, choice, sizes]) => {
          const axis = choice % shape.length
          return fc.tuple(
            fc.constant(axis),
            fc.tuple(...sizes.map(n => layoutsOf(shape.map((old, i) => (i === axis ? n : old))))),
          )
        })
      await forAll(parts, runs, ([axis, xs]) => {
        const on = (device: Device) =>
          device.kernels.concat(
            xs.map(x => make(device, x)),
            axis,
          )
        return agree('concat', on(gpu), on(reference))
      })
      const many = (device: Device) =>
        device.kernels.concat(
          Array.from({ length: 40 }, (_, i) => make(device, plain([2, 1 + (i % 3)], i))),
          1,
        )
      await agree('concat of 40', many(gpu), many(reference))
    },
  },
  {
    name: 'empty tensors never reach a kernel',
    async run(gpu) {
      const k = gpu.kernels
      const none = make(gpu, plain([0, 3]))
      const indices = make(gpu, plain([0]), integer(0, 1), 'int32')
      await agreeWith('unary', k.unary('exp', none), [])
      await agreeWith('add', k.binary('add', none, 1, floats), [])
      await agreeWith('sum', k.reduce('sum', none, [0]), [0, 0, 0])
      await agreeWith('sum of all', k.reduce('sum', none, [1]), [])
      await agreeWith('max', k.reduce('max', none, [0]), [-Infinity, -Infinity, -Infinity])
      await agreeWith('matmul', k.matmul(make(gpu, plain([2, 0])), none), [0, 0, 0, 0, 0, 0])
      await agreeWith(
        'pad',
        k.pad(
          none,
          [
            [1, 0],
            [0, 0],
          ],
          5,
        ),
        [5, 5, 5],
      )
      await agreeWith('concat', k.concat([none, make(gpu, plain([1, 3]), () => 2)], 0), [2, 2, 2])
      await agreeWith('gather', k.gather(make(gpu, plain([3])), 0, indices), [])
      await agreeWith('scatterAdd', k.scatterAdd([3], 0, indices, make(gpu, plain([0]))), [0, 0, 0])
    },
  },
]

/** f applied to every row of a view, in float64. */
async function rowsOf(xs: readonly Tensor[], f: (...rows: Float64Array[]) => Float64Array): Promise<number[]> {
  const all = await Promise.all(xs.map(x => x.data()))
  const n = xs[0].shape[xs[0].rank - 1]
  const out: number[] = []
  for (let at = 0; at < all[0].length; at += n)
    out.push(...f(...all.map(data => Float64Array.from(data.subarray(at, at + n)))))
  return out
}

const sum = (x: Float64Array) => x.reduce((a, b) => a + b, 0)
const softmax = (x: Float64Array) => {
  const max = x.reduce((a, b) => Math.max(a, b), -Infinity)
  const e = x.map(v => Math.exp(v - max))
  const total = sum(e)
  return e.map(v => v / total)
}
const logSoftmax = (x: Float64Array) => softmax(x).map(Math.log)
const standardize = (x: Float64Array) => {
  const mean = sum(x) / x.length
  const variance = sum(x.map(v => (v - mean) ** 2)) / x.length
  return x.map(v => (v - mean) / Math.sqrt(variance + 1e-5))
}
const standardizeGradient = (g: Float64Array, x: Float64Array) => {
  const y = standardize(x)
  const mean = sum(x) / x.length
  const r = 1 / Math.sqrt(sum(x.map(v => (v - mean) ** 2)) / x.length + 1e-5)
  const meanG = sum(g) / x.length
  const meanGy = sum(g.map((v, i) => v * y[i])) / x.length
  return g.map((v, i) => r * (v - meanG - y[i] * meanGy))
}

const fused: Check[] = [
  {
    name: 'fused row operations agree with what they mean',
    async run(gpu, runs) {
      const k = gpu.kernels
      const rows = (shape: Shape) => fc.tuple(layoutsOf(shape), layoutsOf(shape))
      const random = shapes(1, 1).chain(rows)
      const check = async ([a, b]: [Layout, Layout]) => {
        const [x, g] = [make(gpu, a), make(gpu, b)]
        const y = k.softmax!(x)!
        const logY = k.logSoftmax!(x)!
        await agreeWith('softmax', y, await rowsOf([x], softmax))
        await agreeWith('logSoftmax', logY, await rowsOf([x], logSoftmax))
        await agreeWith(
          'softmaxGradient',
          k.softmaxGradient!(g, y)!,
          await rowsOf([g, y], (dy, out) => {
            const dot = sum(dy.map((v, i) => v * out[i]))
            return out.map((v, i) => v * (dy[i] - dot))
          }),
        )
        await agreeWith(
          'logSoftmaxGradient',
          k.logSoftmaxGradient!(g, logY)!,
          await rowsOf([g, logY], (dy, out) => {
            const total = sum(dy)
            return dy.map((v, i) => v - Math.exp(out[i]) * total)
          }),
        )
        await agreeWith('standardize', k.standardize!(x, 1e-5)!, await rowsOf([x], standardize), { absolute: 2e-4 })
        // a row of equal values divides by √ε
        await agreeWith(
          'standardizeGradient',
          k.standardizeGradient!(g, x, 1e-5)!,
          await rowsOf([g, x], standardizeGradient),
          { absolute: 2e-3, relative: 1e-4 },
        )
      }
      await forAll(random, Math.ceil(runs / 2), check)
      for (const shape of [
        [3, 700],
        [2, 3000],
      ])
        await scope(() => check([plain(shape), plain(shape, 2)]))
    },
  },
  {
    name: 'gradients that broadcast are left to the definition',
    async run(gpu) {
      const k = gpu.kernels
      const [x, wide] = [make(gpu, plain([3, 4])), make(gpu, plain([2, 3, 4]))]
      const results = {
        softmaxGradient: k.softmaxGradient?.(wide, x),
        logSoftmaxGradient: k.logSoftmaxGradient?.(wide, x),
        standardizeGradient: k.standardizeGradient?.(wide, x, 1e-5),
        geluGradient: k.geluGradient?.(wide, x),
      }
      for (const [name, result] of Object.entries(results)) if (result) throw new Error(`${name} took them`)
    },
  },
  {
    name: 'softmax over a vocabulary of 50257 sums to one',
    async run(gpu) {
      const x = make(gpu, plain([2, 50257]), uniform(-8, 8))
      const y = gpu.kernels.softmax!(x)!
      await agreeWith('softmax', y, await rowsOf([x], softmax), { absolute: 1e-9, relative: 5e-5 })
      await agreeWith('sum', gpu.kernels.reduce('sum', y, [1]), [1, 1], { absolute: 2e-6 })
    },
  },
  {
    name: 'gelu and its gradient agree with what they mean',
    run: (gpu, runs) =>
      forAll(layouts(), runs, async a => {
        const x = make(gpu, a)
        const g = gpu.kernels.binary('add', x, 1, 'float32')
        const erf = (values: Float64Array) =>
          reference.kernels.unary('erf', fromData(values, [values.length], reference)).dataSync()
        const values = Float64Array.from(await x.data())
        const phi = Array.from(erf(values.map(v => v / Math.SQRT2)), v => (1 + v) / 2)
        await agreeWith(
          'gelu',
          gpu.kernels.gelu!(x)!,
          phi.map((p, i) => p * values[i]),
        )
        await agreeWith(
          'geluGradient',
          gpu.kernels.geluGradient!(g, x)!,
          phi.map((p, i) => {
            const v = values[i]
            return (v + 1) * (p + (v * Math.exp((-v * v) / 2)) / Math.sqrt(2 * Math.PI))
          }),
        )
      }),
  },
]

const machinery: Check[] = [
  {
    name: 'an index out of range throws and names itself',
    async run(gpu) {
      const x = make(gpu, plain([4, 2]))
      const indices = fromData(Int32Array.of(0, 4), [2, 1], gpu)
      for (const attempt of [
        () => gpu.kernels.gather(x, 0, indices.view([2, 2], [1, 0])),
        () => gpu.kernels.scatterAdd([4, 2], 0, indices.view([2, 2], [1, 0]), x.view([2, 2], [2, 1])),
      ]) {
        let thrown: unknown
        try {
          attempt()
        } catch (error) {
          thrown = error
        }
        if (!(thrown instanceof IndexError && thrown.index === 4 && thrown.size === 4))
          throw new Error(`no IndexError, but ${thrown}`)
      }
      // the same memory seen without its last element is in order
      await agreeWith('gather', gpu.kernels.gather(x.view([4], [2]), 0, indices.view([1], [1])), [(await x.data())[0]])
    },
  },
  {
    name: 'memory stays flat over thousands of steps',
    async run(gpu, runs) {
      const weights = make(gpu, plain([16, 16]), uniform(-0.2, 0.2))
      const step = () =>
        scope(() => {
          const k = gpu.kernels
          const h = k.unary('tanh', k.matmul(weights, weights))
          return k.reduce('sum', k.binary('mul', h, h, 'float32'), [0, 1])
        })
      await step().data()
      const before = gpu.memory()
      const steps = Math.min(3000, runs * 500)
      for (let i = 0; i < steps; i++) {
        const loss = step()
        if (i % 100 === 0) await loss.data()
        loss.storage.free('the step')
      }
      const after = gpu.memory()
      if (after.bytes !== before.bytes || after.buffers !== before.buffers)
        throw new Error(`${before.bytes} bytes in ${before.buffers} became ${after.bytes} in ${after.buffers}`)
    },
  },
]

export const checks: readonly Check[] = [...elementwise, ...reductionsAndProducts, ...movement, ...fused, ...machinery]

/** The same of float64, for devices that have it. */
export const float64Checks: readonly Check[] = [...elementwise, ...reductionsAndProducts, ...movement].map(check => ({
  name: `${check.name}, in float64`,
  async run(on, runs) {
    floats = 'float64'
    try {
      await check.run(on, runs)
    } finally {
      floats = 'float32'
    }
  },
}))

export interface CheckResult {
  readonly name: string
  readonly error: string | null
  readonly ms: number
}

/** Runs every check; in a browser, where there is no test runner. */
export async function runAll(checks: readonly Check[], on: Device, runs: number): Promise<CheckResult[]> {
  const results: CheckResult[] = []
  for (const check of checks) {
    const started = performance.now()
    let error: string | null = null
    try {
      await scope(() => check.run(on, runs))
    } catch (thrown) {
      error = thrown instanceof Error ? thrown.message : String(thrown)
    }
    results.push({ name: check.name, error, ms: performance.now() - started })
  }
  return results
}
