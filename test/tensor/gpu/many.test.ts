// Optimizers and clipping on webgpu, where one dispatch changes many parameters: of every shape, some of them at a time.

import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { Parameter } from '../../../src/nn/index.ts'
import { AdamW, clipGradients } from '../../../src/optim/index.ts'
import {
  device,
  fromData,
  Generator,
  randn,
  type Shape,
  scope,
  sizeOf,
  type Tensor,
} from '../../../src/tensor/index.ts'
import '../../support.ts'
import { onBackends } from './swiftshader.ts'

/** More than one dispatch has, around the number of elements of a workgroup, and empty. */
const shapes: readonly Shape[] = [
  ...[[3], [1024], [0], [1023], [1025], [], [2, 0, 3], [5, 7], [40, 70], [2, 3, 4], [1, 1], [33]],
  ...Array.from({ length: 30 }, (_, i) => [i + 1, 3]),
]

type DeviceName = 'gpu' | 'reference'

const onDevice = (name: DeviceName, shape: Shape, generator: Generator): Tensor =>
  fromData(
    Float32Array.from({ length: sizeOf(shape) }, () => generator.uniform() - 0.5),
    shape,
    device.get(name),
  )

/** The same values with their axes in another order in memory. */
function turned(x: Tensor): Tensor {
  const axes = x.shape.map((_, i) => i)
  const [order, back] =
    x.rank === 3
      ? [
          [1, 0, 2],
          [1, 0, 2],
        ]
      : [axes.toReversed(), axes.toReversed()]
  const kernels = device.get(x.device).kernels
  return kernels.copy(x.permute(order)).permute(back)
}

interface Run {
  readonly parameters: Map<string, Parameter>
  readonly optimizer: AdamW
  /** Steps with new gradients of some parameters. */
  step(
    chosen: (i: number) => boolean,
    change?: (x: Tensor, i: number) => Tensor,
    maximumNorm?: number,
  ): Tensor | undefined
}

function start(name: DeviceName): Run {
  const generator = new Generator(7)
  const parameters = new Map(shapes.map((shape, i) => [`p${i}`, new Parameter(onDevice(name, shape, generator))]))
  const optimizer = new AdamW([...parameters], { learningRate: 0.1, betas: [0.5, 0.75] })
  return {
    parameters,
    optimizer,
    step: (chosen, change = x => x, maximumNorm) =>
      scope(() => {
        const gradients = new Map<string, Tensor>()
        for (const [i, shape] of shapes.entries())
          if (chosen(i)) gradients.set(`p${i}`, change(onDevice(name, shape, generator), i))
        const norm = maximumNorm === undefined ? undefined : clipGradients(gradients, maximumNorm).norm
        optimizer.step(gradients)
        return norm
      }),
  }
}

async function agree(a: Run, b: Run): Promise<void> {
  const all = (run: Run) => [...run.parameters, ...run.optimizer.stateDict().tensors]
  const expected = new Map(all(b))
  assert.equal(all(a).length, expected.size)
  for (const [name, x] of all(a)) {
    const [actual, wanted] = [await x.data(), await expected.get(name)!.data()]
    for (const [i, value] of wanted.entries())
      assert.ok(
        Math.abs(actual[i] - value) <= 1e-5 * (1 + Math.abs(value)),
        `${name} [${i}]: ${actual[i]}, not ${value}`,
      )
  }
}

/** The same on the gpu and on the reference. */
async function both(steps: (run: Run) => unknown): Promise<void> {
  const runs = (['gpu', 'reference'] as const).map(start)
  for (const run of runs) {
    await device.use(run === runs[0] ? 'gpu' : 'reference')
    steps(run)
  }
  await agree(runs[0], runs[1])
}

await onBackends(import.meta.url, { cpu: 1, webgpu: 1 }, backend =>
  describe(`on ${backend}`, () => {
    before(() => device.open('gpu', { backend }))
    const everything = () => true

    test('many parameters make the steps of the reference', () =>
      both(run => {
        for (let i = 0; i < 3; i++) run.step(everything)
      }))

    test('some parameters at a time, some of them alone', () =>
      both(run => {
        run.step(i => i % 3 === 0)
        run.step(i => i % 2 === 0)
        run.step(i => i === 8)
        run.step(everything)
        run.step(i => i > 20)
      }))

    test('gradients with their axes in another order', () => both(run => run.step(everything, turned)))

    test('a parameter that is assigned between two steps', () =>
      both(run => {
        run.step(everything)
        const p = run.parameters.get('p8')!
        scope(() => p.assign(p.mul(2)))
        run.step(everything)
      }))

    test('a gradient that is a parameter itself', () =>
      both(run => {
        const own = (_: Tensor, i: number) => run.parameters.get(`p${i}`)! as Tensor
        run.step(everything)
        run.step(everything, own)
      }))

    test('parameters share no value: a copy of one stays when it moves', async () => {
      const run = start('gpu')
      await device.use('gpu')
      run.step(everything)
      const p = run.parameters.get('p8')!
      const copy = device.get('gpu').kernels.copy(p)
      const before = await p.data()
      run.step(everything)
      assert.deepEqual(await copy.data(), before)
      assert.notDeepEqual(await p.data(), before)
    })

    test('clipping has the norm and the gradients of the reference', () =>
      both(run => {
        const norm = run.step(everything, x => x, 0.5)!
        run.step(everything, turned, 0.5)
        run.step(
          i => i === 8,
          x => x,
          1e6,
        )
        return norm
      }))

    test('a gradient that is not finite makes all of them zero', async () => {
      await device.use('gpu')
      for (const bad of [Infinity, Number.NaN]) {
        const gradients = new Map(shapes.map((shape, i) => [`${i}`, randn(shape)]))
        gradients.set('bad', fromData(Float32Array.of(1, bad), [2], device.get('gpu')))
        const { norm } = clipGradients(gradients, 1)
        assert.ok(!Number.isFinite(await norm.item()))
        for (const gradient of gradients.values()) assert.ok((await gradient.data()).every(x => x === 0))
      }
    })

    test('the norm of large gradients is accurate', async () => {
      await device.use('gpu')
      const ones = fromData(new Float32Array(300_000).fill(0.1), [300, 1000], device.get('gpu'))
      const { norm } = clipGradients(
        new Map([
          ['a', ones],
          ['b', turned(ones)],
        ]),
        1e9,
      )
      assert.ok(Math.abs((await norm.item()) - Math.sqrt(6000)) < 1e-4)
    })

    test('memory that parameters shared is freed with the last of them', async () => {
      await device.use('gpu')
      const gpu = device.get('gpu')
      const before = gpu.memory()
      const run = start('gpu')
      run.step(everything)
      run.step(everything)
      for (const x of [...run.parameters.values(), ...run.optimizer.stateDict().tensors.values()])
        x.storage.free('the test')
      assert.deepEqual(gpu.memory(), before)
    })
  }),
)
