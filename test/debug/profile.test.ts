import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { device, grad, OptionsError, profile, type Tensor, tensor } from '../../src/index.ts'

const x = tensor([[1, 2, 3]])
const f = (y: Tensor) => y.matmul(y.transpose()).exp().sum()

describe('profile', () => {
  it('counts the runs of each kernel, forward, backward and outside of a tape', async () => {
    const { lines, result, runs } = await profile(
      () => {
        grad(f)(x.mul(0.1))
        return x.sin()
      },
      { runs: 3, warmup: 2 },
    )
    const callsOf = (phase: string, kernel: string) =>
      lines.find(line => line.phase === phase && line.kernel === kernel)?.calls
    assert.equal(callsOf('forward', 'matmul'), 3)
    assert.equal(callsOf('backward', 'matmul'), 6)
    assert.equal(callsOf('forward', 'unary exp'), 3)
    assert.equal(callsOf('other', 'unary sin'), 3)
    assert.equal(callsOf('other', 'binary mul'), 3)
    assert.equal(runs, 3)
    assert.deepEqual(result.shape, [1, 3])
  })

  it('has times whose sum is at most the total', async () => {
    const { lines, milliseconds } = await profile(() => f(x), { runs: 5 })
    const inKernels = lines.reduce((sum, line) => sum + line.milliseconds, 0)
    assert.ok(inKernels > 0 && inKernels <= milliseconds)
    assert.ok(lines.every((line, i) => i === 0 || line.milliseconds <= lines[i - 1].milliseconds))
  })

  it('counts a gradient inside of a tape as backward, and operations after it as forward', async () => {
    const second = (y: Tensor) => grad(f)(y).cos().sum()
    const { lines } = await profile(() => grad(second)(x.mul(0.1)))
    assert.equal(lines.find(({ kernel }) => kernel === 'unary cos')?.phase, 'forward')
  })

  it('restores the kernels, also after an error and with two profiles at a time', async () => {
    const { kernels } = device.get()
    await assert.rejects(
      profile(() => Promise.reject(new Error('of f'))),
      /of f/,
    )
    assert.equal(device.get().kernels, kernels)
    const slow = profile(async () => {
      await new Promise(resolve => setTimeout(resolve, 20))
      x.exp()
    })
    const quick = await profile(() => x.exp())
    assert.equal(quick.lines[0].calls, 1)
    assert.deepEqual(
      (await slow).lines.map(({ kernel, calls }) => [kernel, calls]),
      [['unary exp', 2]],
    )
    assert.equal(device.get().kernels, kernels)
  })

  it('profiles the given device', async () => {
    const onReference = tensor([1], { device: 'reference' })
    const work = () => void [onReference.sin(), x.cos()]
    const { lines } = await profile(work, { device: 'reference' })
    assert.deepEqual(
      lines.map(({ kernel }) => kernel),
      ['unary sin'],
    )
  })

  it('prints a table, with the time between kernels', async () => {
    const text = `${await profile(() => f(x))}`
    assert.match(text, /^a run takes [\d.]+ ms, including the overhead of timing\nother +\S/)
    assert.match(text, /all of other +[\d.]+ ms +[\d.]+ % +\d+\nbetween kernels/)
  })

  it('throws for an unknown option', () =>
    assert.rejects(
      profile(() => x, { times: 3 } as object),
      OptionsError,
    ))
})
