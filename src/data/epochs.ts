// Assigns the examples of an epoch to batches. The plan is a pure function of the seed and the epoch's label, so a position
// in training is a few integers, and any batch can be made again.

import { Generator } from '../tensor/index.ts'

/** One example of a batch: the index of the image, and of its caption. */
export interface Choice {
  readonly index: number
  readonly caption: number
}

export interface EpochOptions {
  readonly seed: number
  readonly batchSize: number
  /** a new order every epoch, rather than the order of the data */
  readonly shuffle: boolean
  /** leave out batches that are not full */
  readonly dropLast: boolean
  /** no two equal captions in a batch */
  readonly distinctCaptions: boolean
}

/** The information about captions that a plan needs: their number per example, and a key that equal captions share. */
export interface CaptionTable {
  readonly length: number
  count(index: number): number
  key(index: number, caption: number): number
}

/**
 * The batches of one epoch, each example in at most one of them.
 * @param label names the epoch: equal labels give equal batches
 */
export function planEpoch(table: CaptionTable, label: string, options: EpochOptions): Choice[][] {
  const { seed, batchSize, shuffle, dropLast, distinctCaptions } = options
  const generator = new Generator(seed).fork(`epoch ${label}`)
  const order = shuffle ? generator.permutation(table.length) : Int32Array.from({ length: table.length }, (_, i) => i)
  const choices = Array.from(order, index => ({ index, caption: generator.integer(table.count(index)) }))
  const batches = distinctCaptions ? packDistinct(choices, batchSize, table) : packInOrder(choices, batchSize)
  return dropLast ? batches.filter(batch => batch.length === batchSize) : batches
}

function packInOrder(choices: readonly Choice[], batchSize: number): Choice[][] {
  return Array.from({ length: Math.ceil(choices.length / batchSize) }, (_, b) =>
    choices.slice(b * batchSize, (b + 1) * batchSize),
  )
}

/**
 * First fit: in order, every example is put into the first batch that is not full and comes after the last one with an equal
 * caption.
 */
function packDistinct(choices: readonly Choice[], batchSize: number, table: CaptionTable): Choice[][] {
  const batches: Choice[][] = []
  const next: number[] = [] // for a full batch, the batch at which the search continues
  const earliest = new Map<number, number>()
  for (const choice of choices) {
    const key = table.key(choice.index, choice.caption)
    const b = firstNotFull(earliest.get(key) ?? 0, next)
    earliest.set(key, b + 1)
    batches[b] ??= []
    batches[b].push(choice)
    if (batches[b].length === batchSize) next[b] = b + 1
  }
  return batches
}

/** The first batch from `b` on that is not full. Shortens the search path for later calls. */
function firstNotFull(b: number, next: number[]): number {
  let found = b
  while (next[found] !== undefined) found = next[found]
  for (let on = b; on < found; ) {
    const after = next[on]
    next[on] = found
    on = after
  }
  return found
}
