// Tiles that are chosen by measurement or given: every choice computes the same products, it is the one that runs, and what is
// wrong in one is named.

import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import '../../../src/autograd/index.ts'
import { webgpuAdapter } from '../../../src/tensor/gpu/backends.ts'
import { loadGpuJs } from '../../../src/tensor/gpu/gpujs.ts'
import { Runtime } from '../../../src/tensor/gpu/runtime.ts'
import { checkTiles, ruleFor, TileChoices } from '../../../src/tensor/gpu/tile-choices.ts'
import { tiledMatmul } from '../../../src/tensor/gpu/tiles.ts'
import { tune } from '../../../src/tensor/gpu/tune.ts'
import { webgpuEngine } from '../../../src/tensor/gpu/webgpu-engine.ts'
import {
  type Device,
  DeviceError,
  device,
  fromData,
  Generator,
  OptionsError,
  type Shape,
  scope,
  sizeOf,
  type Tensor,
  type Tiles,
} from '../../../src/tensor/index.ts'
import { onBackends } from './swiftshader.ts'

const used: string[] = []
const { shade } = Runtime.prototype
Runtime.prototype.shade = function (call) {
  used.push(call.shader.key)
  return shade.call(this, call)
}
/** The tiles of the products since the last call, by their rows. */
const rowsUsed = () => used.splice(0).map(key => Number(/^product (\d+)/.exec(key)?.[1]))

const names = ['128x64', '64x64', '32x32', '16x16']

const random = (on: Device, shape: Shape, seed: number): Tensor => {
  const generator = new Generator(seed)
  return fromData(
    Float32Array.from({ length: sizeOf(shape) }, () => generator.uniform() - 0.5),
    shape,
    on,
  )
}

const refused = (pattern: RegExp) => (error: unknown) => error instanceof DeviceError && pattern.test(error.message)

test('tiles that are wrong are refused by name before a device opens', async () => {
  const use = (tiles: unknown) => device.use('gpu', { tiles: tiles as Tiles })
  await assert.rejects(use({ '64x64x64': '64x63' }), refused(/tiles\['64x64x64'\] is '64x63'; the tiles are 128x64, /))
  await assert.rejects(use({ '64x64x64': 3 }), refused(/tiles\['64x64x64'\] is 3; the tiles are/))
  await assert.rejects(use({ '64x60x64': '64x64' }), refused(/the entry '64x60x64', which is no class of products/))
  await assert.rejects(use({ '0*64x64x64': '64x64' }), refused(/the entry '0\*64x64x64'/))
  await assert.rejects(use({ products: '64x64' }), refused(/the entry 'products'.*pass what device\.tiles had/))
  await assert.rejects(use(['64x64']), refused(/tiles must be an object of tiles by class, not \['64x64'\]/))
  await assert.rejects(
    device.use('cpu', { tiles: {} }),
    refused(/tiles is an option of gpu; cpu has nothing of the kind/),
  )
})

test('a backend without tiles says so', async () => {
  await assert.rejects(
    device.use('gpu', { backend: 'cpu', tiles: { '64x64x64': '64x64' } }),
    refused(/tiles are those of webgpu; cpu has none to choose from/),
  )
  await device.open('gpu', { backend: 'cpu' })
  await assert.rejects(device.tune(), refused(/cpu has none to choose from/))
  assert.deepEqual(device.tiles, {})
})

test('a tile that needs more groups than a dispatch may have leaves a product to the rule', () => {
  const choices = new TileChoices()
  choices.replace(checkTiles({ '1048576x8x8': '16x16' }))
  const tileOf = (m: number) => {
    const view = { handle: { memory: null, length: 0 }, shape: [m, 8], strides: [8, 1], offset: 0 }
    const stack = { a: [0, 0], b: [0, 0], inner: 1, count: 1 } as const
    const product = { name: 'matmul', a: view, b: { ...view, shape: [8, 8] }, m, n: 8, k: 8, stack }
    return choices.choose(product, ruleFor(product)).name
  }
  assert.equal(tileOf(16 * 65_535), '16x16')
  assert.equal(tileOf(16 * 65_535 + 1), '128x64')
})

await onBackends(import.meta.url, { webgpu: 1 }, backend =>
  describe(`on ${backend}`, () => {
    /** Products of four classes, with operands that lie in several ways. */
    const products: readonly ((on: Device) => Tensor)[] = [
      on => on.kernels.matmul(random(on, [70, 33], 1), random(on, [33, 68], 2)),
      on => on.kernels.matmul(random(on, [3, 40, 129], 3), random(on, [3, 36, 129], 4).transpose()),
      on => on.kernels.matmul(random(on, [24, 140], 5), random(on, [140, 24], 6).view([140, 24], [-24, 1], 139 * 24)),
      // a view into a larger memory, such as that of parameters that an optimizer moved
      on => on.kernels.matmul(random(on, [16, 64], 7), random(on, [50_000], 8).view([64, 16], [16, 1], 48_003)),
    ]
    const classes = ['128x128x64', '4*64x64x256', '32x32x256', '16x16x64']
    const values = (on: Device) =>
      scope(async () => Promise.all(products.map(async product => Array.from(await product(on).data()))))

    const assertClose = (actual: number[][], expected: number[][], what: string) => {
      for (const [i, xs] of expected.entries())
        for (const [j, x] of xs.entries())
          assert.ok(Math.abs(actual[i][j] - x) <= 1e-5, `${what}, product ${i}, element ${j}: ${actual[i][j]} and ${x}`)
    }

    test('no product ran yet: there is nothing to measure', async () => {
      await device.open('gpu', { backend })
      await assert.rejects(device.tune(), refused(/no product of matrices ran yet .*run a step first/))
      await assert.rejects(device.tune({ second: 1 } as object), OptionsError)
      await assert.rejects(device.tune({ seconds: 0 }), OptionsError)
    })

    test('each tile can be chosen for each class, is the one that runs, and agrees with reference', async () => {
      const expected = await values(device.get('reference'))
      await values(device.get('gpu'))
      const rule = rowsUsed()
      for (const name of names) {
        const tiles = Object.fromEntries(classes.map(key => [key, name]))
        await device.open('gpu', { backend, tiles })
        assert.deepEqual(device.tiles, tiles)
        assertClose(await values(device.get('gpu')), expected, name)
        assert.deepEqual(
          rowsUsed(),
          products.map(() => Number.parseInt(name, 10)),
        )
      }
      await device.open('gpu', { backend, tiles: {} })
      await values(device.get('gpu'))
      assert.deepEqual(rowsUsed(), rule, 'the rule again')
    })

    test('tiles given one class leave the others to the rule', async () => {
      await device.open('gpu', { backend, tiles: { '128x128x64': '64x64' } })
      await values(device.get('gpu'))
      assert.deepEqual(rowsUsed(), [64, 16, 16, 16])
      await device.open('gpu', { backend, tiles: {} })
    })

    test('what is measured is chosen, can be asked and given back, and gives the same bits', async () => {
      const gpu = device.get('gpu')
      const before = gpu.memory()
      const { measured, left } = await device.tune({ seconds: 60 })
      const timed = new Set(used.splice(0))
      assert.equal(left, 0)
      assert.deepEqual(measured.map(({ products }) => products).sort(), [...classes].sort())
      for (const { products, tile, rule, milliseconds } of measured) {
        assert.deepEqual(Object.keys(milliseconds).sort(), [...names].sort())
        for (const time of Object.values(milliseconds)) assert.ok(time > 0, `${products} took ${time} ms`)
        assert.equal(device.tiles[products], tile)
        if (tile !== rule) assert.ok(milliseconds[tile] < milliseconds[rule])
        assert.ok(milliseconds[tile] <= 1.06 * Math.min(...Object.values(milliseconds)) || tile === rule)
      }
      assert.deepEqual(gpu.memory(), before, 'what was measured with is freed')
      const first = await values(gpu)
      for (const key of used) assert.ok(timed.has(key), `${key} is another kernel than those that were measured`)
      const rows = rowsUsed()
      assert.deepEqual(
        rows,
        classes.map(key => Number.parseInt(device.tiles[key], 10)),
      )
      assert.deepEqual(await values(gpu), first)
      const tiles = JSON.parse(JSON.stringify(device.tiles)) as Tiles
      assert.deepEqual(await device.tune(), { measured: [], left: 0 }, 'nothing is measured twice')
      await device.open('gpu', { backend, tiles: {} })
      await device.open('gpu', { backend, tiles })
      assert.deepEqual(await values(gpu), first)
      assertClose(first, await values(device.get('reference')), 'measured')
    })

    test('when the time is over the rest is left to the rule, and measured by the next call', async () => {
      await device.open('gpu', { backend, tiles: {} })
      assert.deepEqual(await device.tune({ seconds: Number.MIN_VALUE }), { measured: [], left: 4 })
      assert.deepEqual(device.tiles, {})
      await device.open('gpu', { backend, tiles: { [classes[0]]: '64x64', [classes[1]]: '64x64' } })
      const { measured } = await device.tune({ seconds: 60 })
      assert.equal(measured.length, 2)
      assert.equal(Object.keys(device.tiles).length, 4)
    })

    test('a card without timestamps is measured by the time until its work is done', async () => {
      const adapter = await webgpuAdapter()
      const plain = await adapter.requestDevice()
      assert.ok(!plain.features.has('timestamp-query'))
      const runtime = new Runtime(webgpuEngine(await loadGpuJs(), adapter, plain, 'webgpu for a test'))
      const handle = runtime.upload(new Float32Array(64 * 64).fill(1))
      const x = { handle, shape: [64, 64], strides: [64, 1], offset: 0 }
      const product = () => runtime.read(tiledMatmul(runtime, x, x)!, 0, 1)
      assert.equal((await product())[0], 64)
      const { measured } = await tune(runtime, 60)
      assert.equal(measured.length, 1)
      for (const time of Object.values(measured[0].milliseconds)) assert.ok(time > 0)
      assert.equal((await product())[0], 64)
      runtime.close()
    })

    after(() => device.use('reference'))
  }),
)
