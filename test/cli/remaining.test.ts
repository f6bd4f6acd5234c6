// The remaining time, with a clock that the test controls.

import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { RemainingTime } from '../../src/cli/remaining.ts'
import { TrainingProgress } from '../../src/cli/train-progress.ts'
import { Generator } from '../../src/tensor/index.ts'
import type { StepMetrics, TrainingStart } from '../../src/train/index.ts'
import { fc, runs } from '../support.ts'

/** What is said after each step, of steps that take so many seconds. */
function estimates(seconds: readonly number[], total = seconds.length): (number | undefined)[] {
  let time = 1234
  const remaining = new RemainingTime(total, 0, () => time)
  return seconds.map((each, step) => {
    time += each
    return remaining.after(step + 1)
  })
}

const sum = (numbers: readonly number[]) => numbers.reduce((a, b) => a + b, 0)

describe('the remaining time', () => {
  it('is not known after the first steps, even if they are long', () => {
    const compiling = fc.array(fc.double({ min: 0.01, max: 600, noNaN: true }), { minLength: 6, maxLength: 6 })
    fc.assert(
      fc.property(compiling, seconds => {
        assert.deepEqual(
          estimates(seconds, 8000),
          seconds.map(() => undefined),
        )
      }),
      runs(100),
    )
  })

  it('is right to a factor of two from its first estimate, with slow first steps and some slow ones later', () => {
    const property = fc.property(
      fc.double({ min: 0.01, max: 60, noNaN: true }),
      fc.double({ min: 1, max: 500, noNaN: true }),
      fc.integer({ min: 50, max: 200 }),
      fc.nat(),
      (step, slow, every, number) => {
        const generator = new Generator(number)
        const count = Math.max(100, Math.ceil(40 / step))
        // two steps that compile, and a checkpoint or an evaluation now and then
        const seconds = Array.from({ length: count }, (_, i) => {
          const noise = 0.8 + 0.4 * generator.uniform()
          return step * noise * (i < 2 ? slow : i % every === 0 ? 20 : 1)
        })
        const said = estimates(seconds)
        const known = said.findIndex(each => each !== undefined)
        assert.ok(known >= 0 && (known < 25 || known * step < 20), `known after ${known} steps of ${step} s`)
        let left = 0
        for (let i = count - 1; i >= known; left += seconds[i--])
          if (count - i > 50) assert.ok(said[i]! > left / 2 && said[i]! < 2 * left, `${said[i]} for ${left} at ${i}`)
      },
    )
    fc.assert(property, runs(50))
  })

  it('is estimated early if steps are long, and follows steps that become faster', () => {
    const minutes = estimates(Array.from({ length: 20 }, () => 60))
    assert.deepEqual(minutes.slice(0, 8), [...new Array(6).fill(undefined), 13 * 60, 12 * 60])
    const faster = estimates([...new Array(50).fill(10), ...new Array(50).fill(1)])
    assert.deepEqual([faster[49], faster[79]], [500, 20])
  })

  it('counts steps, not calls', () => {
    let time = 0
    const remaining = new RemainingTime(1000, 100, () => time)
    const said = [164, 228, 292, 356, 420, 484, 484, 548, 612].map(done => {
      time += 6.4
      return remaining.after(done)
    })
    assert.deepEqual(said.slice(0, 7), new Array(7).fill(undefined))
    // the call between two steps took its time too
    assert.ok(Math.abs(said[8]! - 38.8) < 1e-9, String(said[8]))
  })

  it('is 0 at the end', () => {
    const said = estimates(Array.from({ length: 40 }, () => 1))
    assert.equal(said[39], 0)
    assert.equal(sum(said.map(each => each ?? 0)), sum(Array.from({ length: 34 }, (_, i) => i)))
  })
})

describe('the progress of a training', () => {
  /** The lines that stderr gets of a training whose steps take so many seconds. */
  function linesOf(t: TestContext, seconds: readonly number[]): { line: string; left: number }[] {
    let time = 5000
    const lines: { line: string; left: number }[] = []
    let left = sum(seconds)
    t.mock.method(process.stderr, 'write', (line: string) => lines.push({ line, left }))
    const progress = new TrainingProgress(() => time)
    const start = {
      config: { batchSize: 16, guard: {} },
      model: { parameterCount: () => 1 },
      images: { validation: 0 },
    }
    progress.onStart({
      ...start,
      step: 0,
      steps: seconds.length,
      folder: 'run',
      changes: [],
    } as unknown as TrainingStart)
    for (const [i, each] of seconds.entries()) {
      time += each
      left -= each
      progress.onStep({
        step: i + 1,
        losses: { total: 1, contrastive: 1, captioning: 1 },
        learningRate: 1,
        examplesPerSecond: 1,
      } as unknown as StepMetrics)
    }
    t.mock.restoreAll()
    return lines.filter(({ line }) => line.startsWith('step '))
  }

  it('names the rank that the others wait for, over the last steps', t => {
    const lines: string[] = []
    t.mock.method(process.stderr, 'write', (line: string) => lines.push(line))
    let time = 0
    const progress = new TrainingProgress(() => time)
    const step = { losses: { total: 1 }, learningRate: 1, seconds: 2 }
    const shown = (at: number, communication?: readonly number[]) => {
      time += 10
      progress.onStep({ ...step, step: at, communication } as unknown as StepMetrics)
      return lines.at(-1)!
    }
    assert.match(shown(1, [0.5, 0.4, 0.1]), /waiting for rank 2 20 % of the time/)
    assert.match(shown(2, [1.5, 0.6, 0.9]), /waiting for rank 1 25 % of the time/)
    for (let i = 3; i < 23; i++) shown(i, [0.2, 0.3, 0.3])
    assert.doesNotMatch(lines.at(-1)!, /waiting/, 'a wait of a twentieth is not worth a word')
    assert.doesNotMatch(shown(23), /waiting/, 'one process')
    // resumed with another number of processes
    assert.match(shown(24, [0, 1]), /waiting for rank 0 50 % of the time/)
    t.mock.restoreAll()
  })

  it('does not print hours at the start of a run of two minutes', t => {
    // the first step takes 0.8 s, the next hundred become faster, and then it is 14 ms each
    const seconds = Array.from({ length: 8000 }, (_, i) => (i === 0 ? 0.8 : 0.014 + 0.12 * Math.exp(-i / 15)))
    const lines = linesOf(t, seconds)
    assert.match(lines[0].line, /^step 1\/8000 {2}loss 1\.00 .* 1 images\/s$/m)
    assert.ok(lines.length > 20)
    for (const [i, { line, left }] of lines.entries()) {
      const said = /(?:(\d+) min )?(?:([\d.]+) s )?left/.exec(line)
      assert.ok(said || i < 4, `nothing is promised ${5 * i} seconds after the start`)
      const promised = said ? 60 * Number(said[1] ?? 0) + Number(said[2] ?? 0) : left
      assert.ok(Math.abs(promised - left) < 5 + 0.25 * left, `${line} with ${left} s left`)
    }
  })
})
