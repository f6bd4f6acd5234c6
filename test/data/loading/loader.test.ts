// Batches of any data: every example once an epoch, equal seeds in equal order, and a position that continues to the example.

import assert from 'node:assert/strict'
import { builtinModules } from 'node:module'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import '../../reference.ts'
import { BatchError, type Collated, collate, DataLoader, type DataLoaderState } from '../../../src/entries/data.ts'
import { Linear } from '../../../src/nn/index.ts'
import { SGD } from '../../../src/optim/index.ts'
import { type Generator, OptionsError, type Tensor, tensor } from '../../../src/tensor/index.ts'
import { fit } from '../../../src/train/fit.ts'
import { bundle } from '../../browser/chromium.ts'

const numbers = (n: number): number[] => Array.from({ length: n }, (_, i) => i)

/** The rest of the current epoch, as numbers. */
async function valuesOf(loader: AsyncIterable<Tensor>): Promise<number[][]> {
  const batches: number[][] = []
  for await (const batch of loader) batches.push(Array.from(batch.dataSync()))
  return batches
}

/** The same examples in every form that a loader takes. */
const forms = {
  list: (n: number) => new DataLoader(numbers(n), { batchSize: 3, shuffle: true }),
  dataset: (n: number) => new DataLoader({ length: n, get: async (i: number) => i }, { batchSize: 3, shuffle: true }),
  'typed array': (n: number) => new DataLoader(Float32Array.from(numbers(n)), { batchSize: 3, shuffle: true }),
  tensor: (n: number) => new DataLoader(tensor(numbers(n)), { batchSize: 3, shuffle: true }),
  columns: (n: number) =>
    new DataLoader({ x: tensor(numbers(n)), i: numbers(n) }, { batchSize: 3, shuffle: true, map: ({ i }) => i }),
}

const options = fc.record({
  n: fc.integer({ min: 1, max: 40 }),
  batchSize: fc.integer({ min: 1, max: 8 }),
  shuffle: fc.boolean(),
  dropLast: fc.boolean(),
  seed: fc.nat(),
  prefetch: fc.integer({ min: 0, max: 4 }),
})
const fills = ({ n, batchSize, dropLast }: { n: number; batchSize: number; dropLast: boolean }) =>
  !dropLast || n >= batchSize

describe('order', () => {
  it('has every example once an epoch, and equal seeds give equal orders', () =>
    fc.assert(
      fc.asyncProperty(options.filter(fills), async ({ n, ...rest }) => {
        const [one, other] = [0, 1].map(() => new DataLoader(numbers(n), rest))
        for (let epoch = 0; epoch < 3; epoch++) {
          const batches = await valuesOf(one)
          assert.deepEqual(await valuesOf(other), batches)
          assert.equal(batches.length, one.batchesPerEpoch)
          const all = batches.flat().sort((a, b) => a - b)
          assert.equal(new Set(all).size, all.length)
          if (rest.dropLast) assert.ok(batches.every(batch => batch.length === rest.batchSize))
          else assert.deepEqual(all, numbers(n))
          if (!rest.shuffle) assert.deepEqual(batches.flat(), numbers(n).slice(0, all.length))
        }
      }),
      { numRuns: 50 },
    ))

  it('is another one in each epoch and for each seed', async () => {
    const orders = []
    for (const seed of [1, 2]) {
      const loader = new DataLoader(numbers(30), { batchSize: 30, shuffle: true, seed })
      for (let epoch = 0; epoch < 2; epoch++) orders.push(String(await valuesOf(loader)))
    }
    assert.equal(new Set(orders).size, 4)
  })

  it('is the same for all forms of data', async () => {
    const expected = await valuesOf(forms.list(11))
    for (const [name, make] of Object.entries(forms)) assert.deepEqual(await valuesOf(make(11)), expected, name)
  })
})

describe('a position', () => {
  it('continues with the next example, as without an interruption', () =>
    fc.assert(
      fc.asyncProperty(
        options.filter(fills),
        fc.nat({ max: 30 }),
        fc.boolean(),
        async ({ n, ...rest }, stop, stream) => {
          const settings = { ...rest, shuffle: rest.shuffle && !stream }
          const map = (value: number, { random }: { random: Generator }) => value + random.uniform()
          const make = () =>
            new DataLoader(stream ? { [Symbol.iterator]: () => numbers(n).values() } : numbers(n), { ...settings, map })
          const whole = make()
          const expected: number[][] = []
          while (expected.length < stop + 3) expected.push(...(await valuesOf(whole)))
          const stopped = make()
          const before: number[][] = []
          let state: DataLoaderState = stopped.state()
          while (before.length < stop)
            for await (const batch of stopped) {
              before.push(Array.from(batch.dataSync()))
              state = stopped.state()
              if (before.length === stop) break
            }
          const resumed = make()
          resumed.load(JSON.parse(JSON.stringify(state)))
          const after: number[][] = []
          while (before.length + after.length < expected.length) after.push(...(await valuesOf(resumed)))
          assert.deepEqual([...before, ...after].slice(0, expected.length), expected)
        },
      ),
      { numRuns: 60 },
    ))

  it('stays after break', async () => {
    const loader = new DataLoader(numbers(5), { batchSize: 2 })
    for await (const _ of loader) break
    assert.deepEqual(await valuesOf(loader), [[2, 3], [4]])
    assert.deepEqual(await valuesOf(loader), [[0, 1], [2, 3], [4]])
  })

  it('of other options or data is refused, by name', () => {
    const loader = new DataLoader(numbers(5), { batchSize: 2 })
    const state = loader.state()
    for (const [wrong, message] of [
      [{ seed: 7 }, /seed 7.* has 0/],
      [{ length: 6 }, /length 6.* has 5/],
      [{ batch: 3 }, /batch 3 of epoch 0/],
      [{ epoch: -1 }, /epoch -1/],
    ] as const)
      assert.throws(() => loader.load({ ...state, ...wrong }), { name: 'BatchError', message })
  })
})

describe('prefetch', () => {
  it('prepares so many batches in advance, and their examples at the same time', async () => {
    const started: number[] = []
    let together = 0
    let most = 0
    const loader = new DataLoader(numbers(12), {
      batchSize: 2,
      prefetch: 2,
      async map(value) {
        started.push(value)
        most = Math.max(most, ++together)
        await new Promise(resolve => setTimeout(resolve, 5))
        together--
        return value
      },
    })
    for await (const _ of loader) break
    assert.equal(started.length, 6)
    assert.equal(most, 6)
  })

  it('throws an error with its batch, and the position stays there', async () => {
    let fails = true
    const loader = new DataLoader(numbers(6), {
      batchSize: 2,
      prefetch: 3,
      map(value) {
        if (value === 3 && fails) throw new Error('no picture')
        return value
      },
    })
    const seen: number[] = []
    await assert.rejects(async () => {
      for await (const batch of loader) seen.push(...batch.dataSync())
    }, /no picture/)
    assert.deepEqual(seen, [0, 1])
    fails = false
    assert.deepEqual(await valuesOf(loader), [
      [2, 3],
      [4, 5],
    ])
  })

  it('closes an iterable that is not read to its end', async () => {
    let isClosed = false
    async function* endless() {
      try {
        for (let i = 0; ; i++) yield i
      } finally {
        isClosed = true
      }
    }
    for await (const _ of new DataLoader(endless(), { batchSize: 2 })) break
    assert.ok(isClosed)
  })
})

describe('collate', () => {
  it('joins numbers, arrays, tensors, objects, lists and texts', () => {
    const batch = collate(
      [1, 2].map(k => ({
        number: k,
        flag: k === 1,
        bytes: Uint8Array.of(k, 2, 3),
        double: Float64Array.of(k),
        shaped: { data: Float32Array.of(k, 1, 2, 3), shape: [2, 2] },
        lists: [
          [k, 2],
          [3, 4],
        ],
        tensor: tensor([k]),
        pair: [k, `text ${k}`] as [number, string],
        name: `name ${k}`,
        nothing: undefined,
      })),
      { dtypes: { number: 'int32', 'pair.0': 'int32' } },
    )
    const described = (x: Tensor) => `${x.dtype} [${x.shape}] ${Array.from(x.dataSync())}`
    assert.equal(described(batch.number), 'int32 [2] 1,2')
    assert.equal(described(batch.flag), 'bool [2] 1,0')
    assert.equal(described(batch.bytes), 'int32 [2,3] 1,2,3,2,2,3')
    assert.equal(described(batch.double), 'float64 [2,1] 1,2')
    assert.equal(described(batch.shaped), 'float32 [2,2,2] 1,1,2,3,2,1,2,3')
    assert.equal(described(batch.lists), 'float32 [2,2,2] 1,2,3,4,2,2,3,4')
    assert.equal(described(batch.tensor), 'float32 [2,1] 1,2')
    assert.equal(described(batch.pair[0]), 'int32 [2] 1,2')
    assert.deepEqual(batch.pair[1], ['text 1', 'text 2'])
    assert.deepEqual(batch.name, ['name 1', 'name 2'])
    assert.deepEqual(batch.nothing, [undefined, undefined])
    const typed: Collated<{ image: Float32Array; name: string }> | undefined = undefined
    void (typed satisfies { image: Tensor; name: string[] } | undefined)
  })

  it('names the example and the field that do not fit', async () => {
    const good = { image: new Float32Array(4), meta: { label: 1 } }
    const cases: [unknown, RegExp][] = [
      [
        { ...good, image: new Float32Array(3) },
        /field 'image' of example 1 has the shape \[3\], but .*\[4\] in example 0/,
      ],
      [{ ...good, image: new Float64Array(4) }, /field 'image' of example 1 is Float64Array/],
      [{ ...good, meta: { label: '1' } }, /field 'meta.label' of example 1 is a text, but it is a number in example 0/],
      [{ ...good, meta: {} }, /field 'meta.label' of example 1 is missing/],
      [{ ...good, more: 1 }, /field 'more' of example 1 is there/],
      [7, /the value of example 1 is a number, but it is an object/],
      [{ ...good, image: { data: new Float32Array(4), shape: [3] } }, /has 4 numbers, but a shape of \[3\] needs 3/],
      [{ ...good, image: [[1], [1, 2]] }, /lists of different lengths/],
    ]
    for (const [bad, message] of cases) {
      const loader = new DataLoader<unknown[]>([good, bad], { batchSize: 2 })
      await assert.rejects(
        async () => {
          for await (const _ of loader) break
        },
        { name: 'BatchError', message },
      )
    }
    // the number of the example is that in the data, not in the batch
    const shuffled = new DataLoader([1, 2, 3, 4, 'x' as unknown], { batchSize: 5, shuffle: true, seed: 3 })
    await assert.rejects(async () => {
      for await (const _ of shuffled) break
    }, /example 4 is a text|in example 4: make/)
    assert.throws(() => collate([{ a: 1 }], { dtypes: { b: 'int32' } }), /'b', which has no numbers: .* 'a'/)
    assert.throws(() => collate([Number.NaN], { dtypes: { '': 'int32' } }), BatchError)
    assert.throws(() => collate([]), BatchError)
  })
})

describe('a loader', () => {
  it('refuses data and options that it cannot use', () => {
    const make =
      (data: unknown, rest = {}) =>
      () =>
        new DataLoader(data as number[], { batchSize: 2, ...rest })
    assert.throws(make(numbers(3), { batchSize: 0 }), OptionsError)
    assert.throws(make([]), /no example/)
    assert.throws(make(7), /must be a list of examples/)
    assert.throws(make({}), /must be a list of examples/)
    assert.throws(make(tensor(1)), /one number/)
    assert.throws(make({ x: tensor([1, 2]), y: [1] }), /column 'y' has 1 examples, but 'x' has 2/)
    assert.throws(make({ data: new Float32Array(3), shape: [2, 2] }), /has 3 numbers/)
    assert.throws(make([1], { dropLast: true }), /do not fill a batch of 2/)
    assert.throws(make(new Set([1]), { shuffle: true }), /shuffle needs/)
    assert.throws(make([1], { collate: () => 1, dtypes: {} }), /default collate/)
  })

  it('is what fit takes, over epochs', async () => {
    const x = tensor(numbers(8).map(i => [i / 8]))
    const y = tensor(numbers(8).map(i => [(2 * i) / 8]))
    const model = new Linear(1, 1)
    const loader = new DataLoader({ x, y }, { batchSize: 4, shuffle: true })
    const { metrics } = await fit({
      objective: { model, loss: ({ x, y }) => model.forward(x).sub(y).square().mean() },
      batches: loader,
      optimizer: new SGD(model, { learningRate: 0.3 }),
      steps: 200,
      guard: false,
    })
    const last = metrics.at(-1) as { losses: { total: number } }
    assert.ok(last.losses.total < 1e-3, `${last.losses.total}`)
    assert.deepEqual([loader.state().epoch, loader.state().batch], [100, 0])
  })

  it('runs in a browser: its bundle has no module of Node', async () => {
    const { metafile } = await bundle(`export * from './src/entries/fit.ts'`)
    const imports = Object.values(metafile.inputs).flatMap(input => input.imports.map(({ path }) => path))
    assert.deepEqual(
      imports.filter(path => path.startsWith('node:') || builtinModules.includes(path)),
      [],
    )
  })
})
