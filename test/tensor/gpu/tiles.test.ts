// Products by tiles on webgpu: every tile, with sizes around its own, and every way in which an operand may lie in memory.

import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import '../../../src/autograd/index.ts'
import { Runtime } from '../../../src/tensor/gpu/runtime.ts'
import {
  type Device,
  device,
  fromData,
  Generator,
  type Shape,
  scope,
  sizeOf,
  type Tensor,
} from '../../../src/tensor/index.ts'
import '../../support.ts'
import { onBackends } from './swiftshader.ts'

const used = new Set<string>()
const { shade } = Runtime.prototype
Runtime.prototype.shade = function (call) {
  used.add(call.shader.key)
  return shade.call(this, call)
}

const lies = ['plain', 'transposed', 'after another', 'every other', 'backwards', 'repeated'] as const
type Lies = (typeof lies)[number]

/** A stack of matrices on a device, with the same values on every device. */
function make(on: Device, shape: Shape, lie: Lies, seed: number): Tensor {
  const generator = new Generator(seed)
  const stack = shape.slice(0, -2)
  const [rows, columns] = shape.slice(-2)
  const fresh = (...sizes: number[]) =>
    fromData(
      Float32Array.from({ length: sizeOf(sizes) }, () => generator.uniform() - 0.5),
      sizes,
      on,
    )
  const inner = stack.map((_, i) => sizeOf(stack.slice(i + 1)))
  const of = (n: number) => inner.map(s => s * n)
  switch (lie) {
    case 'plain':
      return fresh(...shape)
    case 'transposed':
      return fresh(...stack, columns, rows).transpose()
    case 'after another':
      return fresh(sizeOf(shape) + 3).view(shape, [...of(rows * columns), columns, 1], 3)
    case 'every other':
      return fresh(2 * sizeOf(shape)).view(shape, [...of(2 * rows * columns), 2 * columns, 2], 0)
    case 'backwards':
      return fresh(sizeOf(shape)).view(shape, [...of(rows * columns), -columns, 1], (rows - 1) * columns)
    case 'repeated':
      return fresh(rows, columns).view(shape, [...of(0), columns, 1])
  }
}

interface Case {
  readonly tile: number
  readonly stack: Shape
  readonly m: readonly number[]
  readonly n: readonly number[]
  readonly k: readonly number[]
}

/** By the number of matrices, the larger tiles are busy enough. */
const cases: readonly Case[] = [
  { tile: 128, stack: [65, 2], m: [32, 31, 129], n: [32, 21, 66], k: [16, 15] },
  { tile: 64, stack: [8, 5], m: [65, 68], n: [66, 68], k: [16, 9, 17] },
  { tile: 32, stack: [3], m: [225, 200], n: [204, 223], k: [8, 31, 36] },
  { tile: 16, stack: [], m: [8, 15, 17, 64], n: [8, 17, 33, 68], k: [129, 511, 513, 1026] },
]

await onBackends(import.meta.url, { webgpu: 1 }, backend =>
  describe(`on ${backend}`, () => {
    before(() => device.open('gpu', { backend }))

    const compare = async (what: string, f: (on: Device) => Tensor, k: number) => {
      const [actual, expected] = [f(device.get('gpu')), f(device.get('reference'))]
      assert.deepEqual(actual.shape, expected.shape)
      const [x, y] = [await actual.data(), await expected.data()]
      let worst = 0
      for (let i = 0; i < y.length; i++) worst = Math.max(worst, Math.abs(x[i] - y[i]))
      assert.ok(worst <= 4e-7 * Math.sqrt(k), `${what}: ${worst}`)
    }

    for (const { tile, stack, m, n, k } of cases)
      test(`tiles of ${tile} rows`, async () => {
        const before = new Set(used)
        for (let i = 0; i < 8; i++) {
          const [rows, depth, columns] = [
            m[i % m.length],
            k[Math.floor(i / 2) % k.length],
            n[Math.floor(i / 3) % n.length],
          ]
          const [left, right] = [lies[i % lies.length], lies[(i + Math.floor(i / lies.length)) % lies.length]]
          await scope(() =>
            compare(
              `[${stack}, ${rows}, ${depth}] ${left} times [${depth}, ${columns}] ${right}`,
              on =>
                on.kernels.matmul(
                  make(on, [...stack, rows, depth], left, 1),
                  make(on, [...stack, depth, columns], right, 2),
                ),
              depth,
            ),
          )
        }
        const keys = [...used].filter(key => !before.has(key))
        assert.ok(keys.length > 4, 'several ways to read')
        for (const key of keys) assert.match(key, new RegExp(`^product ${tile} `))
      })

    test('a linear map adds its bias, wherever that lies, to rows of several axes', async () => {
      for (const lead of [[], [3], [2, 5], [130, 4]])
        for (const [inputs, outputs] of [
          [1, 1],
          [7, 5],
          [33, 68],
        ])
          for (const lie of lies)
            await scope(() => {
              const f = (on: Device) => {
                const x = make(on, [...lead, 1, inputs], lie, 1)
                const rows = x.view([...lead, inputs], x.strides.toSpliced(-2, 1), x.offset)
                const bias = make(on, [1, 2 * outputs], 'plain', 3).view([outputs], [2], 1)
                const weight = make(on, [outputs, inputs], lies[(lies.indexOf(lie) + inputs) % 5], 2)
                return (
                  on.kernels.linear?.(rows, weight, bias) ??
                  on.kernels.binary('add', rows.matmul(weight.transpose()), bias, 'float32')
                )
              }
              return compare(`linear [${lead}, ${inputs}] to ${outputs}, ${lie}`, f, inputs)
            })
    })

    test('the gradients of a linear map are a product and the sums of its left factor, in tiles of every size', async () => {
      const sizes: readonly [tile: number, outputs: number, inputs: number, rows: number][] = [
        [128, 1409, 705, 17],
        [64, 705, 768, 9],
        [32, 385, 352, 530],
        [32, 353, 385, 31],
        [16, 17, 8, 1026],
        [16, 64, 66, 64],
      ]
      for (const [i, [tile, outputs, inputs, rows]] of sizes.entries())
        for (const lie of [lies[i], lies[(i + 3) % lies.length]]) {
          used.clear()
          const both = (on: Device) => {
            const g = make(on, [rows, outputs], lie, 1)
            const x = make(on, [rows, inputs], lies[(i + 1) % lies.length], 2)
            return (
              on.kernels.linearGradient?.(g, x) ??
              ([g.transpose().matmul(x), on.kernels.reduce('sum', g, [0]).reshape([outputs])] as const)
            )
          }
          for (const [position, name] of ['weight', 'bias'].entries())
            await scope(() => compare(`${name} of ${outputs}, ${inputs}, ${lie}`, on => both(on)[position], rows))
          assert.match([...used].find(key => key.endsWith('sums')) ?? 'none', new RegExp(`^product ${tile} `))
        }
    })

    test('long sums keep their digits, and those of few results are left to the generated kernel', () =>
      scope(async () => {
        const k = 40_000
        const rows = fromData(new Float32Array(48 * k).fill(0.1), [48, k], device.get('gpu'))
        const product = async (n: number) => {
          used.clear()
          const x = rows.view([n, k], [k, 1])
          const data = await x.matmul(x.transpose()).data()
          return { data, isTiled: [...used].some(key => key.startsWith('product')) }
        }
        const { data, isTiled } = await product(48)
        assert.ok(isTiled)
        for (const x of data) assert.ok(Math.abs(x / 400 - 1) < 3e-6, `${x}`)
        const few = await product(8)
        assert.ok(!few.isTiled)
        for (const x of few.data) assert.ok(Math.abs(x / 400 - 1) < 1e-5, `${x}`)
      }))

    test('a stack of more matrices than a dispatch has groups is left to the generated kernel', () =>
      scope(async () => {
        const on = device.get('gpu')
        const [x, y] = [make(on, [8, 128], 'plain', 1), make(on, [128, 8], 'plain', 2)]
        const many = on.kernels.matmul(x.view([65_537, 8, 128], [0, 128, 1]), y.view([65_537, 128, 8], [0, 8, 1]))
        const one = await on.kernels.matmul(x, y).data()
        const last = await many.view([64], [1], 65_536 * 64).data()
        for (let i = 0; i < one.length; i++) assert.ok(Math.abs(one[i] - last[i]) < 4e-6)
      }))
  }),
)
