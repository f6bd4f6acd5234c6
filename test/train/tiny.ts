// A run small enough to be repeated in tests: a model of width 8 on a few pictures.

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { writeShapes } from '../../src/data/index.ts'
import { checkRunConfig, type RunConfig, readMetrics } from '../../src/train/index.ts'

export const tinyModel = {
  image: { size: 8, patch: 4, width: 8, layers: 1, heads: 2 },
  text: { vocabulary: 64, context: 6, width: 8, heads: 2, unimodalLayers: 1, multimodalLayers: 1, pad: 0 },
  pooler: { queries: 3, heads: 2 },
  embedding: 8,
}

/** Writes pictures of one shape each into a folder and returns its path. */
export async function pictures(folder: string, count = 20): Promise<string> {
  const out = join(folder, 'pictures')
  await writeShapes({ out, count, objects: 1 })
  return out
}

/** A short run on the reference device as JSON, with nobody watching its gradient, and what differs from it. */
export const tinyJson = (data: string, others: Record<string, unknown> = {}): Record<string, unknown> => ({
  model: tinyModel,
  data,
  validation: 0.25,
  batchSize: 3,
  steps: 12,
  device: 'reference',
  checkpointEvery: 3,
  guard: { every: 0 },
  ...others,
})

export const tinyConfig = (data: string, others: Record<string, unknown> = {}): RunConfig<'coca'> =>
  checkRunConfig(tinyJson(data, others)) as RunConfig<'coca'>

/** All that training computed by a step: the bytes of its checkpoint, and what was measured, except how long it took. */
export async function outcome(run: string, step: number): Promise<{ checkpoint: string[]; metrics: unknown[] }> {
  const folder = join(run, 'checkpoints', `step-${String(step).padStart(6, '0')}`)
  const files = ['model.safetensors', 'optimizer.safetensors', 'state.json']
  const checkpoint = await Promise.all(files.map(async file => (await readFile(join(folder, file))).toString('base64')))
  const metrics = await readMetrics(run)
  return { checkpoint, metrics: metrics.map(line => ({ ...line, seconds: 0, waiting: 0, examplesPerSecond: 0 })) }
}
