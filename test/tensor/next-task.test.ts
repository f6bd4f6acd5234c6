// A loop that computes and reads returns to the event loop, so that timers, signals and messages come in.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import '../../src/autograd/index.ts'
import { device, fromData, nextTask, ones, scope } from '../../src/tensor/index.ts'

/** The ticks of a timer while work is done. */
async function ticksDuring(work: () => Promise<void>): Promise<number> {
  let ticks = 0
  const timer = setInterval(() => ticks++, 5)
  await work()
  clearInterval(timer)
  return ticks
}

describe('timers while a program computes', () => {
  const busy = () => {
    const until = performance.now() + 10
    while (performance.now() < until);
  }

  for (const name of ['cpu', 'reference'] as const)
    test(`tick between reads on ${name}`, async () => {
      const x = device.with(name, () => fromData(Float32Array.of(2), [1]))
      const ticks = await ticksDuring(async () => {
        for (let i = 0; i < 40; i++) {
          busy()
          assert.equal(await scope(() => x.mul(x).item()), 4)
        }
      })
      assert.ok(ticks >= 10, `${ticks} ticks in 400 ms`)
    })

  test('tick when nextTask is awaited, and not without it', async () => {
    const run = (between: () => unknown) =>
      ticksDuring(async () => {
        for (let i = 0; i < 10; i++) {
          busy()
          await between()
        }
      })
    assert.ok((await run(nextTask)) >= 5)
    assert.equal(await run(() => ones([1]).dataSync()), 0)
  })
})
