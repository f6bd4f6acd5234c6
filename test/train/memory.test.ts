// In a separate process, because the garbage of other tests would be counted here.

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { device } from '../../src/tensor/index.ts'
import { train } from '../../src/train/index.ts'
import { temporaryFolder } from '../data/folder.ts'
import { pictures, tinyConfig, tinyModel } from './tiny.ts'

test('memory stays flat over hundreds of steps', async t => {
  const folder = await temporaryFolder(t)
  const image = { ...tinyModel.image, patch: 8, layers: 0 }
  const config = tinyConfig(await pictures(folder), {
    steps: 300,
    batchSize: 2,
    model: { ...tinyModel, image, pooler: { queries: 1, heads: 1 } },
    checkpointEvery: 100,
    evaluateEvery: 100,
    evaluationExamples: 4,
    guard: { every: 50 },
  })
  const buffers: number[] = []
  const bytes: number[] = []
  await train(join(folder, 'run'), config, {
    onStep: () => {
      const memory = device.get('reference').memory()
      buffers.push(memory.buffers)
      bytes.push(memory.bytes)
    },
  })
  assert.deepEqual([buffers[299], bytes[299]], [buffers[1], bytes[1]])
  assert.deepEqual([Math.max(...buffers.slice(1)), Math.max(...bytes.slice(1))], [buffers[1], bytes[1]])
})
