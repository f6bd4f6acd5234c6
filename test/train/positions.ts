// A training with dropout and random changes of its examples. As a program it trains into a folder, more slowly, and tells its steps.

import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { DataLoader } from '../../src/data/index.ts'
import { readSafetensors } from '../../src/io/index.ts'
import { Dropout, Linear, Module } from '../../src/nn/index.ts'
import { AdamW } from '../../src/optim/index.ts'
import { type Generator, seed, type Tensor } from '../../src/tensor/index.ts'
import { fit } from '../../src/train/index.ts'

export type Pairs = { x: Tensor; y: Tensor }

/** epoch and index of the examples that were prepared */
export type Prepared = [epoch: number, index: number][]

class Noisy extends Module {
  readonly hidden = new Linear(2, 6)
  readonly dropout = new Dropout(0.5)
  readonly output = new Linear(6, 1)

  forward(x: Tensor): Tensor {
    return this.output.forward(this.dropout.forward(this.hidden.forward(x).tanh()))
  }
}

/** 9 steps of 4 batches an epoch, with a checkpoint after every second one. */
export function training(folder: string, prepared: Prepared, form?: 'stream') {
  seed(11)
  const model = new Noisy()
  const examples = Array.from({ length: 15 }, (_, i) => i)
  const map = (i: number, { epoch, random }: { epoch: number; random: Generator }) => {
    prepared.push([epoch, i])
    return { x: [i / 15, random.normal()], y: [random.uniform()] }
  }
  const options = { batchSize: 4, seed: 3, map, prefetch: 2 }
  const batches =
    form === 'stream'
      ? new DataLoader({ [Symbol.iterator]: () => examples.values() }, options)
      : new DataLoader(examples, { ...options, shuffle: true })
  return {
    objective: { model, loss: ({ x, y }: Pairs) => model.forward(x).sub(y).square().mean() },
    batches: batches as DataLoader<number[], { x: number[]; y: number[] }>,
    optimizer: new AdamW(model, { learningRate: 0.01 }),
    steps: 9,
    guard: false,
    folder,
    checkpointEvery: 2,
  }
}

/** The weights of the last checkpoint. */
export async function weightsIn(folder: string): Promise<Map<string, number[]>> {
  const { RunFolder } = await import('../../src/train/run-folder.ts')
  const run = new RunFolder(folder)
  const step = (await run.steps()).at(-1)!
  const { tensors } = await readSafetensors(join(run.checkpoint(step).path, 'model.safetensors'))
  return new Map([...tensors].map(([name, { data }]) => [name, Array.from(data as Float32Array)]))
}

if (process.argv[1] === import.meta.filename) {
  const { device } = await import('../../src/tensor/index.ts')
  await device.use('reference')
  const options = training(process.argv[2], [])
  const { batches } = options
  const slowly = {
    state: () => batches.state(),
    load: (state: ReturnType<typeof batches.state>) => batches.load(state),
    async *[Symbol.asyncIterator]() {
      for await (const batch of batches) {
        await wait(300)
        yield batch as Pairs
      }
    },
  }
  await fit({ ...options, batches: slowly, onStep: ({ step }) => console.log(step) })
}
