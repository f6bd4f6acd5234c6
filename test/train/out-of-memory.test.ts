// Memory may end at any allocation of a training step: the error is always the one that says so, and everything is freed.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CoCa } from '../../src/models/index.ts'
import { Adafactor, AdamW, type Optimizer, SGD } from '../../src/optim/index.ts'
import { Heap } from '../../src/tensor/cpu/heap.ts'
import { device, OutOfMemoryError, randn, seed, type Tensor, tensor } from '../../src/tensor/index.ts'
import { fit } from '../../src/train/index.ts'
import { bytesInUse } from '../tensor/cpu/peak.ts'
import { tinyModel } from './tiny.ts'

await device.use('cpu')

/** Runs f; the nth allocation of it fails. Returns the number of allocations. */
async function failingAt(nth: number, f: () => Promise<unknown>): Promise<number> {
  const { take } = Heap.prototype
  let count = 0
  Heap.prototype.take = function (this: Heap, bytes, shape) {
    if (++count === nth) throw new OutOfMemoryError({ device: 'cpu', bytes, used: this.bytes, limit: this.limit })
    return take.call(this, bytes, shape)
  }
  try {
    await f()
  } finally {
    Heap.prototype.take = take
  }
  return count
}

const optimizers: Record<string, (model: CoCa) => Optimizer> = {
  AdamW: model => new AdamW(model),
  Adafactor: model => new Adafactor(model),
  SGD: model => new SGD(model, { momentum: 0.9 }),
}

for (const [name, optimizerOf] of Object.entries(optimizers))
  test(`an allocation that fails during training with ${name} is an OutOfMemoryError`, async () => {
    seed(1)
    const model = new CoCa(tinyModel)
    const images = randn([2, 3, tinyModel.image.size as number, tinyModel.image.size as number])
    const ids = tensor(
      [
        [1, 4, 5, 2],
        [1, 6, 2, 0],
      ],
      { dtype: 'int32' },
    )
    const objective = {
      model,
      loss: (batch: { images: Tensor; ids: Tensor }) => ({ ...model.loss(batch.images, batch.ids) }),
    }
    for (const inBackward of [false, true]) {
      const step = () =>
        fit({
          objective,
          optimizer: optimizerOf(model),
          batches: [{ images, ids }],
          steps: 1,
          inBackward,
          ...(inBackward && { guard: false }),
        })
      const count = await failingAt(-1, step)
      const before = await bytesInUse()
      const stride = Math.max(1, Math.floor(count / 20))
      for (let nth = 1; nth <= count; nth += stride) {
        await assert.rejects(
          failingAt(nth, step),
          (error: unknown) => {
            assert.ok(
              error instanceof OutOfMemoryError,
              `allocation ${nth} of ${count}: ${error} ${(error as Error).stack}`,
            )
            return true
          },
          `allocation ${nth} of ${count}`,
        )
      }
      // what a step leaves would add up
      const after = await bytesInUse()
      assert.ok(after < before + 100_000, `${after} bytes are in use, ${before} before`)
    }
  })
