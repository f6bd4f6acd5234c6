// The data, settings and targets of `cocagrad demo`.

import type { ShapesOptions } from '../data/index.ts'
import type { RunConfigInput } from '../train/index.ts'

/** The three folders of pictures. Seeds differ, so no picture is in two of them. */
export const demoData = {
  /** for training: eight of the 48 colour-shape pairs never occur */
  train: { count: 16_000, seed: 1, pairs: 'seen' },
  /** new pictures of the same pairs */
  unseen: { count: 500, seed: 1002, pairs: 'seen' },
  /** pictures of one object, each of a pair that was never seen */
  'held-out': { count: 320, seed: 1003, pairs: 'held-out', objects: 1 },
} as const satisfies Record<string, ShapesOptions & { readonly count: number }>

/** Many small steps learn Shapes faster than few large ones. */
export const demoSteps = 8000

/** Settings of the run, apart from its data, device and seed. */
export const demoRun = {
  model: {
    preset: 'tiny',
    image: { width: 48 },
    text: { width: 48, context: 12 },
    embedding: 48,
    // a lower final scale of the logits: better on pairs that were never seen
    temperature: { maximumScale: 16 },
  },
  validation: 0,
  batchSize: 16,
  optimizer: { name: 'adamw', learningRate: 2e-3, betas: [0.9, 0.99], weightDecay: 0.1 },
  schedule: 'cosine',
  warmup: 100,
  // approximately the mean and the deviation of the pictures' pixels
  normalize: { mean: [0.4, 0.4, 0.4], std: [0.2, 0.2, 0.2] },
  checkpointEvery: 500,
  keepLast: 2,
} satisfies Partial<RunConfigInput>

/** The target of each figure. */
export const demoTargets = { zeroShotSeen: 0.95, zeroShotHeldOut: 0.8, retrieval: 0.7, captions: 0.85 } as const
