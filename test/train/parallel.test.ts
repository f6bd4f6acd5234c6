// The exchange between parts of a batch: sequentially in this process, and concurrently as between processes.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { concat } from '../../src/autograd/index.ts'
import type { LossBatch } from '../../src/evaluate/inputs.ts'
import { CoCa } from '../../src/models/index.ts'
import { seed, type Tensor, tensor } from '../../src/tensor/index.ts'
import {
  accumulate,
  batchGradients,
  CoCaObjective,
  type Reducer,
  type Steps,
  type Sums,
} from '../../src/train/index.ts'
import { assertCloseNumbers } from '../support.ts'
import { tinyModel } from './tiny.ts'

const batch: LossBatch = {
  images: Float64Array.from({ length: 4 * 192 }, (_, i) => Math.sin(i)),
  imageShape: [4, 3, 8, 8],
  // the first and the last caption are equal, in different parts
  tokens: Int32Array.of(1, 4, 5, 2, 0, 0, 1, 6, 2, 0, 0, 0, 1, 7, 8, 9, 2, 0, 1, 4, 5, 2, 0, 0),
  tokenShape: [4, 6],
}

function objective(): CoCaObjective {
  seed(4)
  return new CoCaObjective(new CoCa(tinyModel), { positives: true })
}

const numbersOf = (gradients: ReadonlyMap<string, Tensor>) => [...gradients.values()].flatMap(g => [...g.dataSync()])

/** Parts that know of each other only what they send: each waits for the messages of all. */
class Messages {
  readonly #boxes: {
    readonly sent: unknown[]
    readonly all: Promise<unknown[]>
    readonly ready: (all: unknown[]) => void
  }[] = []
  readonly #parts: number

  constructor(parts: number) {
    this.#parts = parts
  }

  reducer(part: number): Reducer {
    let count = 0
    const exchange = <T>(own: T) => this.#exchange(part, count++, own)
    return {
      parts: this.#parts,
      *gather(own, of) {
        const all = yield* exchange(own)
        const start = all.slice(0, part).reduce((sum, [first]) => sum + first.shape[0], 0)
        const value = of(own.map((_, i) => concat(all.map(each => each[i]))))
        return { value, rows: [{ start, stop: start + own[0].shape[0] }] }
      },
      *sum(own) {
        const all = yield* exchange(own)
        return all.reduce(
          (a, b): Sums => ({
            losses: Object.fromEntries(
              Object.entries(b.losses).map(([name, loss]) => [name, loss.add(a.losses[name])]),
            ),
            gradients: new Map([...b.gradients].map(([name, g]) => [name, g.add(a.gradients.get(name)!)])),
          }),
        )
      },
    }
  }

  *#exchange<T>(part: number, count: number, own: T): Steps<T[]> {
    this.#boxes[count] ??= { sent: [], ...both() }
    const { sent, all, ready } = this.#boxes[count]
    sent[part] = own
    if (Object.keys(sent).length === this.#parts) ready(sent)
    yield all
    return sent as T[]
  }
}

function both() {
  let ready = (_: unknown[]) => {}
  const all = new Promise<unknown[]>(resolve => {
    ready = resolve
  })
  return { all, ready }
}

/** Computes one part as a process would. */
async function inProcess<T>(steps: Steps<T>): Promise<T> {
  for (;;) {
    const { done, value } = steps.next()
    if (done) return value
    await value
  }
}

describe('the gradient of a batch', () => {
  it('is the same in sequential parts and in parts of several processes', async () => {
    const one = objective()
    const whole = batchGradients(one, batch, 1)
    const parts = batchGradients(one, batch, 3)
    assertCloseNumbers(numbersOf(parts.gradients), numbersOf(whole.gradients), 1e-6)
    const messages = new Messages(2)
    const processes = [one.slice(batch, 0, 1), one.slice(batch, 1, 4)].map((part, i) =>
      inProcess(one.gradients(part, messages.reducer(i))),
    )
    for (const { loss, gradients } of await Promise.all(processes)) {
      for (const name of Object.keys(whole.loss))
        assertCloseNumbers([...loss[name].dataSync()], [...whole.loss[name].dataSync()], 1e-6)
      assertCloseNumbers(numbersOf(gradients), numbersOf(whole.gradients), 1e-6)
    }
  })
})

it('equal captions of a batch stay in one group in a part of a part', () => {
  const one = objective()
  const part = one.slice(one.slice(batch, 1, 4), 1, 3)
  assert.deepEqual([...part.groups!], [2, 0])
})

describe('accumulate', () => {
  const rows = [tensor([[1], [2]]), tensor([[3]]), tensor([[4], [5], [6]])]

  it('gathers the tensors of all parts, and gives each part its own rows', () => {
    let computed = 0
    const seen: unknown[] = []
    accumulate(rows, function* (own, reducer) {
      const { value, rows: where } = yield* reducer.gather([own], ([all]) => {
        computed++
        return all.mul(10)
      })
      seen.push([...value.slice(where).dataSync()])
      assert.equal(reducer.parts, 3)
    })
    assert.deepEqual(seen, [[10, 20], [30], [40, 50, 60]])
    assert.equal(computed, 1)
  })

  it('sums over all parts', () => {
    const sums = accumulate(rows, function* (own, reducer) {
      return yield* reducer.sum({ losses: { size: own.sum() }, gradients: new Map([['x', own.sum()]]) })
    })
    assert.deepEqual([[...sums.losses.size.dataSync()], [...sums.gradients.get('x')!.dataSync()]], [[21], [21]])
  })

  it('throws if the parts do not make the same exchanges', () => {
    assert.throws(
      () =>
        accumulate(rows, function* (own, reducer) {
          if (own.shape[0] === 1) yield* reducer.gather([own], ([all]) => all)
        }),
      /2 of 3 parts ended while the others wait for them/,
    )
  })
})
