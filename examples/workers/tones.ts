// A dataset of noisy tones of three pitches, in a module of its own, which workers import.

import { defineDataset } from 'cocagrad/data'

export interface TonesOptions {
  readonly count: number
  readonly samples: number
}

export default defineDataset(import.meta.url, ({ count, samples }: TonesOptions) => ({
  length: count,
  get(index, { random }) {
    const pitch = index % 3
    const phase = 2 * Math.PI * random.uniform()
    const wave = Float32Array.from({ length: samples }, (_, t) => Math.sin((pitch + 1) * 0.5 * t + phase))
    return { wave: wave.map(x => x + 0.3 * random.normal()), pitch }
  },
}))
