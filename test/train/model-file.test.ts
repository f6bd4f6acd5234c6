// The weights of one's own module in a file, and files of others for it.

import assert from 'node:assert/strict'
import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { openTensors, readSafetensors } from '../../src/io/index.ts'
import { Linear, Module, Parameter } from '../../src/nn/index.ts'
import { fromData, ones, scope, zeros } from '../../src/tensor/index.ts'
import { loadModel, saveModel } from '../../src/train/index.ts'
import { temporaryFolder } from '../data/folder.ts'
import { fc } from '../support.ts'

class Net extends Module {
  layers: Linear[]
  scale = new Parameter(fromData(Float64Array.of(1 / 3), []))
  constructor(widths: readonly number[]) {
    super()
    this.layers = widths.slice(1).map((width, i) => new Linear(widths[i], width))
  }
}

const bits = async (module: Module) =>
  Promise.all(
    [...module.stateDict()].map(async ([name, tensor]) => [name, tensor.dtype, tensor.shape, await tensor.data()]),
  )

test('a module that was saved is read again bit for bit, in float32 and float64', async t => {
  const folder = await temporaryFolder(t)
  await fc.assert(
    fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 2, maxLength: 4 }), async widths => {
      const [net, other] = [new Net(widths), new Net(widths)]
      const path = join(folder, 'net.safetensors')
      await saveModel(path, net, { task: 'xor' })
      assert.notDeepEqual(await bits(other), await bits(net))
      assert.equal(await loadModel(path, other), other)
      assert.deepEqual(await bits(other), await bits(net))
      assert.equal((await readSafetensors(path)).metadata.get('task'), 'xor')
    }),
    { numRuns: 10 },
  )
  assert.deepEqual(await readdir(folder), ['net.safetensors'])
})

test('a file that does not fit changes nothing, and the error names the parameters and the file', async t => {
  const folder = await temporaryFolder(t)
  const path = join(folder, 'net.safetensors')
  await saveModel(path, new Net([2, 3]))
  const net = new Net([2, 4, 1])
  const before = await bits(net)
  await assert.rejects(loadModel(path, net), {
    name: 'CheckpointError',
    file: path,
    message: /layers\.0\.weight is \[4, 2\] here and \[3, 2\] there.*missing: layers\.1\.weight/s,
  })
  await writeFile(path, 'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n')
  await assert.rejects(loadModel(path, net), {
    name: 'DataError',
    file: path,
    message: /pointer of Git LFS.*git lfs pull/,
  })
  await writeFile(path, '\n<!DOCTYPE html>\n<html><body>Not found</body></html>'.padEnd(200))
  await assert.rejects(loadModel(path, net), { name: 'DataError', file: path, message: /is a web page/ })
  assert.deepEqual(await bits(net), before)
})

test('values that are not finite are not saved and not loaded', async t => {
  const folder = await temporaryFolder(t)
  const path = join(folder, 'net.safetensors')
  const net = new Net([1, 1])
  net.layers[0].weight.assign(fromData(Float32Array.of(Number.NaN), [1, 1]))
  await assert.rejects(saveModel(path, net), {
    name: 'NonFiniteWeightsError',
    message: /layers\.0\.weight \[1, 1\] has NaN at 0/,
  })
  assert.deepEqual(await readdir(folder), [])
})

class Affine extends Module {
  weight = new Parameter(scope(() => zeros([1, 2])))
  bias = new Parameter(scope(() => ones([1])))
}

test('a checkpoint of PyTorch is read: wrapped names, and numpy and arguments beside the tensors', async () => {
  const path = new URL('../io/torch/things.pt', import.meta.url).pathname
  assert.deepEqual((await openTensors(path)).names, ['module._orig_mod.weight', 'module._orig_mod.bias'])
  const net = await loadModel(path, new Affine())
  assert.deepEqual([...net.weight.dataSync()], [1, 2])
  assert.deepEqual([...net.bias.dataSync()], [0.5])
})

test('a module whose own part is called module keeps its names', async t => {
  class Outer extends Module {
    module = new Affine()
  }
  const path = join(await temporaryFolder(t), 'outer.safetensors')
  const outer = new Outer()
  outer.module.bias.assign(fromData(Float32Array.of(7), [1]))
  await saveModel(path, outer)
  assert.deepEqual([...(await loadModel(path, new Outer())).module.bias.dataSync()], [7])
  assert.deepEqual([...(await loadModel(path, new Affine())).bias.dataSync()], [7])
})
