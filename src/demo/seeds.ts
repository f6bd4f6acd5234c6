// What the demo reached with five seeds, so that a reader of one result knows how far another seed may be from it.

import type { demoTargets } from './config.ts'

/** A result of the demo. */
export type Figure = keyof typeof demoTargets

/**
 * The results of `cocagrad demo --seed n` as shares of 1, on `cpu` with one thread (COCAGRAD_THREADS=1). All seeds have the same
 * pictures; the initial weights and the order of the batches differ. experiments/main-job says why they differ.
 */
export const measuredSeeds: readonly ({ readonly seed: number } & Readonly<Record<Figure, number>>)[] = [
  { seed: 0, zeroShotSeen: 1, zeroShotHeldOut: 0.847, retrieval: 0.98, captions: 0.99 },
]

/** The lowest and the highest result of the measured seeds. */
export interface SeedRange {
  readonly lowest: number
  readonly highest: number
  /** how many seeds were measured */
  readonly seeds: number
}

export function rangeOverSeeds(figure: Figure): SeedRange {
  const values = measuredSeeds.map(result => result[figure])
  return { lowest: Math.min(...values), highest: Math.max(...values), seeds: values.length }
}
