// Workers change where examples are prepared, and nothing else: the same batches in the same order, and errors that say which example.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import fc from 'fast-check'
import '../../reference.ts'
import { DataLoader, type DataLoaderOptions, ExampleError } from '../../../src/entries/data.ts'
import { Tensor } from '../../../src/tensor/index.ts'
import { root } from '../../browser/chromium.ts'
import { temporaryFolder } from '../folder.ts'
import tones, { byName, growing, misnamed, type TonesOptions, threads } from './tones.ts'

/** A batch with the bits of its numbers. */
async function bitsOf(value: unknown): Promise<unknown> {
  if (value instanceof Tensor) {
    const data = await value.data()
    return `${value.dtype} [${value.shape}] ${Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('hex')}`
  }
  if (Array.isArray(value)) return Promise.all(value.map(bitsOf))
  if (typeof value !== 'object' || value === null || value instanceof Date) return value
  return Object.fromEntries(
    await Promise.all(Object.entries(value).map(async ([name, each]) => [name, await bitsOf(each)])),
  )
}

async function batchesOf(loader: AsyncIterable<unknown>, most = Number.POSITIVE_INFINITY): Promise<unknown[]> {
  const batches: unknown[] = []
  if (most === 0) return batches
  for await (const batch of loader) {
    batches.push(await bitsOf(batch))
    if (batches.length >= most) break
  }
  return batches
}

type Options = Omit<DataLoaderOptions<never>, 'map' | 'collate'>
const loaderOf = async (options: Partial<Options>, made: TonesOptions = {}) =>
  new DataLoader(await tones(made), { batchSize: 3, ...options })

/** The error of an iteration. */
const errorOf = async (loader: AsyncIterable<unknown>): Promise<Error & { cause?: Error }> => {
  try {
    await batchesOf(loader)
  } catch (error) {
    return error as Error & { cause?: Error }
  }
  assert.fail('there was no error')
}

describe('workers', () => {
  it('give the same batches in the same order, to the bit', () =>
    fc.assert(
      fc.asyncProperty(
        fc.record({
          workers: fc.integer({ min: 1, max: 3 }),
          length: fc.integer({ min: 1, max: 13 }),
          batchSize: fc.integer({ min: 1, max: 5 }),
          shuffle: fc.boolean(),
          seed: fc.nat(),
          prefetch: fc.integer({ min: 0, max: 3 }),
        }),
        async ({ workers, length, ...rest }) => {
          const [alone, helped] = await Promise.all(
            [0, workers].map(workers => loaderOf({ ...rest, workers }, { length })),
          )
          for (let epoch = 0; epoch < 2; epoch++) assert.deepEqual(await batchesOf(helped), await batchesOf(alone))
          await batchesOf(helped, 1)
        },
      ),
      { numRuns: 4 },
    ))

  it('have a part of each batch, stay for the next epoch, and end when an epoch is left', async () => {
    const beats = new Int32Array(new SharedArrayBuffer(4 * 64))
    const loader = new DataLoader(await threads(beats), { batchSize: 4, workers: 2 })
    const epoch = async () => {
      const ids: number[][] = []
      for await (const batch of loader) ids.push(Array.from(batch.dataSync()))
      return ids
    }
    const first = await epoch()
    const [one, , other] = first[0]
    assert.ok(one > 0 && other > 0 && one !== other, `${first}`)
    assert.deepEqual(
      first,
      [0, 1].map(() => [one, one, other, other]),
    )
    assert.deepEqual(await epoch(), first)
    for await (const _ of loader) {
      // both are seen to run before they are left
      while (beats[one % 64] === 0 || beats[other % 64] === 0) await wait(1)
      break
    }
    const then = Array.from(beats)
    await wait(50)
    assert.deepEqual(Array.from(beats), then)
  })

  it('continue at a position', async () => {
    const whole = await batchesOf(await loaderOf({ shuffle: true, seed: 5 }))
    const first = await loaderOf({ shuffle: true, seed: 5, workers: 2 })
    assert.deepEqual(await batchesOf(first, 2), whole.slice(0, 2))
    assert.deepEqual(first.state(), { ...first.state(), epoch: 0, batch: 2 })
    const resumed = await loaderOf({ shuffle: true, seed: 5, workers: 1 })
    resumed.load(JSON.parse(JSON.stringify(first.state())))
    assert.deepEqual(await batchesOf(resumed), whole.slice(2))
    await batchesOf(resumed, 1)
  })

  it('throw the error of the first example that fails, with its number, its message and its stack', async () => {
    for (const [fault, name, message] of [
      ['throws', 'RangeError', 'the tone is too high'],
      ['rejects', 'TypeError', 'the tone is late'],
    ] as const) {
      const loader = await loaderOf({ workers: 2, batchSize: 4 }, { faults: { 5: fault, 6: 'throws', 9: 'throws' } })
      assert.equal((await batchesOf(loader, 1)).length, 1)
      const error = await errorOf(loader)
      assert.ok(error instanceof ExampleError)
      assert.equal(error.index, 5)
      assert.equal(error.message, `example 5 could not be prepared: ${message}`)
      assert.equal(error.cause?.name, name)
      if (fault === 'throws') assert.match(error.cause?.stack ?? '', /tones\.ts:\d+/)
      assert.equal(loader.state().batch, 1)
    }
  })

  it('say what cannot be sent, and that the default generator is not theirs', async () => {
    for (const [fault, message] of [
      ['returns a function', /example 1 .*'tone.play' is a function, which cannot be sent/],
      ['returns an instance', /example 1 .*'url' is an object of the class URL/],
      ['returns a set of functions', /could not be cloned/],
      ['draws from the default generator', /example 1 .*default generator .*take those of `random`/],
    ] as const)
      assert.match((await errorOf(await loaderOf({ workers: 1 }, { faults: { 1: fault } }))).message, message)
    const own = new DataLoader(await tones({}), { batchSize: 2, workers: 1, collate: items => items.length })
    assert.match((await errorOf(own)).message, /'tensor' is an object of the class Tensor/)
  })

  it('that are killed are an error that names their examples', async () => {
    for (const [fault, message] of [
      ['ends', /^worker \d of 2 has ended, with exit code 3; it was to prepare the examples /],
      ['crashes', /^worker \d of 2 has ended: crashed in a timer; it was to prepare/],
    ] as const) {
      const loader = await loaderOf({ workers: 2, batchSize: 5, prefetch: 0 }, { faults: { 6: fault } })
      const error = await errorOf(loader)
      assert.match(error.message, message)
      assert.equal(loader.state().batch, 1)
    }
  })

  it('open the dataset of a named export, and say if there is none or another one', async () => {
    const loader = new DataLoader(await byName(), { batchSize: 4, workers: 1 })
    assert.deepEqual(await batchesOf(loader), await batchesOf(new DataLoader([0, 1, 2, 3], { batchSize: 4 })))
    await batchesOf(loader, 1)
    assert.match(
      (await errorOf(new DataLoader(await misnamed(), { batchSize: 4, workers: 1 }))).message,
      /tones\.ts: it does not export the dataset as other: write export const other = defineDataset/,
    )
    assert.match(
      (await errorOf(new DataLoader(await growing(), { batchSize: 4, workers: 1 }))).message,
      /has 5 examples in a worker, but 4 on the main thread/,
    )
    const withFunction = await tones({ faults: (() => {}) as never })
    assert.match(
      (await errorOf(new DataLoader(withFunction, { batchSize: 4, workers: 1 }))).message,
      /arguments of the dataset/,
    )
  })

  it('need a dataset of a module, and no map', async () => {
    assert.throws(() => new DataLoader([1, 2], { batchSize: 1, workers: 2 }), /workers = 2: .*defineDataset/)
    const data = await byName()
    assert.throws(
      () => new DataLoader(data, { batchSize: 1, workers: 1, map: i => i }),
      /map is a function of this thread/,
    )
  })

  it('do not keep a program alive, cannot run the program itself, and need Node', async t => {
    const folder = await temporaryFolder(t)
    const source = (name: string) => JSON.stringify(pathToFileURL(join(import.meta.dirname, name)).href)
    const loading = `import { DataLoader } from ${source('../../../src/data/loading/loader.ts')}\n`
    const answerOf = async (code: string, first = '') => {
      const file = join(folder, 'program.mts')
      await writeFile(file, code)
      await writeFile(join(folder, 'first.mjs'), first)
      const flags = ['--conditions=source', '--import', 'tsx', '--import', join(folder, 'first.mjs')]
      const { NODE_TEST_CONTEXT: _, ...env } = process.env
      const { stdout } = await promisify(execFile)(process.execPath, [...flags, file], { cwd: root, env })
      return stdout.trim()
    }
    const epoch = `${loading}import { byName } from ${source('./tones.ts')}
      try {
        const loader = new DataLoader(await byName(), { batchSize: 2, workers: 1 })
        for await (const batch of loader) console.log(String(batch.dataSync()))
      } catch (error) { console.log(error.message) }`
    const began = performance.now()
    assert.equal(await answerOf(epoch), '0,1\n2,3')
    // workers wait for half a minute for another epoch
    assert.ok(performance.now() - began < 30_000)
    assert.match(
      await answerOf(epoch, 'process.getBuiltinModule = () => { throw new Error() }'),
      /^workers = 1: workers need Node 20\.16 or later, and a browser has none: leave workers out$/,
    )
    const own = `${loading}import { defineDataset } from ${source('../../../src/data/loading/module.ts')}
      export const own = defineDataset(import.meta.url, () => ({ length: 2, get: i => i }), { name: 'own' })
      try {
        for await (const _ of new DataLoader(await own(), { batchSize: 1, workers: 1 })) console.log('a batch')
      } catch (error) { console.log(error.message) }`
    assert.match(
      await answerOf(own),
      /^file:.*program\.mts is the program itself, .*: put the dataset into a module of its own$/,
    )
  })
})
