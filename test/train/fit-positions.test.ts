// A training with `fit` that was stopped or killed continues at the position of its DataLoader: to the bit as without an interruption,
// and without preparing the batches that it was trained on.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { describe, it } from 'node:test'
import '../reference.ts'
import { DataLoader } from '../../src/data/index.ts'
import { type FitOptions, fit } from '../../src/train/index.ts'
import { temporaryFolder } from '../data/folder.ts'
import { type Pairs, type Prepared, training, weightsIn } from './positions.ts'

type Rest = Partial<FitOptions<Pairs>>

/** Trains until a step, and returns the steps of metrics.jsonl. */
async function trainUntil(folder: string, stop: number, prepared: Prepared, rest: Rest = {}, form?: 'stream') {
  const ended = new AbortController()
  const options = training(folder, prepared, form)
  const result = await fit({
    ...options,
    ...rest,
    signal: ended.signal,
    onStep: ({ step }) => void (step === stop && ended.abort()),
  })
  const lines = (await readFile(join(folder, 'metrics.jsonl'), 'utf8')).trim().split('\n')
  const steps = lines.map(line => JSON.parse(line)).filter(({ kind }) => kind === 'step')
  return {
    result,
    loader: options.batches,
    weights: await weightsIn(folder),
    steps: steps.map(({ step, epoch, losses }) => ({ step, epoch, losses })),
  }
}

describe('a training with a DataLoader', () => {
  for (const form of ['dataset', 'stream'] as const)
    it(`of a ${form} continues after any step, to the bit, dropout included`, async t => {
      const folder = await temporaryFolder(t)
      const whole = await trainUntil(join(folder, 'whole'), 0, [], {}, form as 'stream')
      assert.equal(whole.steps.length, 9)
      assert.deepEqual(
        whole.steps.map(({ epoch }) => epoch),
        [0, 0, 0, 0, 1, 1, 1, 1, 2],
      )
      for (let stop = 1; stop < 9; stop++) {
        const run = join(folder, `stopped-${stop}`)
        await trainUntil(run, stop, [], {}, form as 'stream')
        const prepared: Prepared = []
        const resumed = await trainUntil(run, 0, prepared, {}, form as 'stream')
        assert.deepEqual(resumed.weights, whole.weights, `after step ${stop}`)
        assert.deepEqual(resumed.steps, whole.steps, `after step ${stop}`)
        // the batches that are left, and those that are prepared in advance
        assert.ok(prepared.length <= 4 * (9 - stop) + 8, `${prepared.length} examples after step ${stop}`)
        assert.ok(!prepared.some(([epoch, index]) => epoch * 4 + Math.floor(index / 4) < stop && form === 'stream'))
      }
    })

  it('is one pass without steps, and is not begun again when it has ended', async t => {
    const folder = await temporaryFolder(t)
    for (const form of [undefined, 'stream'] as const) {
      const run = join(folder, `${form}`)
      const { steps } = await trainUntil(run, 2, [], { steps: undefined }, form)
      assert.equal(steps.length, 2)
      for (let again = 0; again < 2; again++) {
        const { steps, result, loader } = await trainUntil(run, 0, [], { steps: undefined }, form)
        assert.deepEqual([steps.length, result.step, result.finished], [4, 4, true])
        const { epoch, batch } = loader.state()
        assert.ok((epoch === 1 && batch === 0) || (epoch === 0 && batch === 4), `${epoch} ${batch}`)
      }
    }
  })

  it('begins where the loader is, and continues with the same loader too', async t => {
    const folder = await temporaryFolder(t)
    const run = async (name: string, stops: number[]) => {
      const { batches, ...options } = training(join(folder, name), [])
      for await (const _ of batches) break
      for (const stop of stops) {
        const ended = new AbortController()
        const onStep = ({ step }: { step: number }) => void (step === stop && ended.abort())
        await fit({ ...options, batches, signal: ended.signal, onStep })
      }
      return weightsIn(join(folder, name))
    }
    assert.deepEqual(await run('stopped', [3, 4, 0]), await run('whole', [0]))
  })

  it('does not continue with a loader of other options or data, by name', async t => {
    const run = join(await temporaryFolder(t), 'run')
    await trainUntil(run, 2, [])
    const { batches: _, ...options } = training(run, [])
    const other = new DataLoader([{ x: [1, 2], y: [1] }], { batchSize: 1 })
    await assert.rejects(fit({ ...options, batches: other }), {
      name: 'BatchError',
      message:
        /run: the training there cannot continue with these batches: the saved state has seed 3, but this loader has 0/,
    })
  })

  it('continues with other iterables by taking the batches that it was trained on', async t => {
    const folder = await temporaryFolder(t)
    const taken: number[] = []
    const batchesOf = async () => {
      const all: Pairs[] = []
      for await (const batch of training('', []).batches) all.push(batch)
      return {
        *[Symbol.iterator]() {
          for (const [i, batch] of all.entries()) {
            taken.push(i)
            yield batch
          }
        },
      }
    }
    const batches = await batchesOf()
    const whole = await trainUntil(join(folder, 'whole'), 0, [], { batches })
    const run = join(folder, 'run')
    await trainUntil(run, 5, [], { batches })
    taken.length = 0
    const resumed = await trainUntil(run, 0, [], { batches })
    assert.deepEqual(resumed.weights, whole.weights)
    assert.deepEqual(resumed.steps, whole.steps)
    assert.deepEqual(taken, [0, 1, 2, 3, 0, 1, 2, 3, 0])
  })

  it('continues after it was killed', async t => {
    const folder = await temporaryFolder(t)
    const whole = await trainUntil(join(folder, 'whole'), 0, [])
    const run = join(folder, 'run')
    const child = spawn(
      process.execPath,
      ['--conditions=source', '--import', 'tsx', join(import.meta.dirname, 'positions.ts'), run],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    )
    const exit = once(child, 'exit')
    for await (const line of createInterface({ input: child.stdout! })) if (line === '5') child.kill('SIGKILL')
    assert.deepEqual(await exit, [null, 'SIGKILL'])
    const resumed = await trainUntil(run, 0, [])
    assert.deepEqual(resumed.weights, whole.weights)
    assert.deepEqual(resumed.steps, whole.steps)
  })
})
