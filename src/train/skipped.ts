// Samples that a run could not use: each is reported once, and recorded with its shard and key.

import { appendFileSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import {
  type BadSample,
  examplePixels,
  type ImageTextSource,
  type MultiImageSource,
  type OnBadSample,
  placeOf,
  selectExamples,
} from '../data/index.ts'
import { shareOf } from '../data/ranks.ts'
import { DataError, fileError, namesIn, readText } from '../io/index.ts'
import type { Communicator } from '../mpi/index.ts'

export class SkippedSamples {
  readonly #listener: OnBadSample | undefined
  readonly #known = new Set<string>()
  /** lines to write once the run's folder exists */
  #waiting: string[] = []
  #file: string | undefined

  constructor(listener?: OnBadSample) {
    this.#listener = listener
  }

  /** The number of different ones in this run so far. */
  get count(): number {
    return this.#known.size
  }

  readonly tell: OnBadSample = bad => {
    const line = lineOf(bad)
    if (this.#known.has(line)) return
    this.#known.add(line)
    this.#waiting.push(line)
    this.#write()
    this.#listener?.(bad)
  }

  /** Appends them to a file from now on. */
  async writeInto(file: string): Promise<void> {
    const before = (await namesIn(dirname(file))).includes(basename(file)) ? (await readText(file)).split('\n') : []
    const known = new Set(before.filter(line => line !== ''))
    for (const line of known) this.#known.add(line)
    this.#waiting = this.#waiting.filter(line => !known.has(line))
    this.#file = file
    this.#write()
  }

  #write(): void {
    if (this.#file === undefined || this.#waiting.length === 0) return
    try {
      appendFileSync(this.#file, this.#waiting.map(line => `${line}\n`).join(''))
    } catch (error) {
      throw fileError(this.#file, error)
    }
    this.#waiting = []
  }
}

const lineOf = ({ file, key, reason }: BadSample): string => JSON.stringify({ file, key, reason })

/** A source without the undecodable ones among its first examples, of which each of several processes decodes a part. */
export async function withoutBad<Source extends ImageTextSource | MultiImageSource>(
  source: Source,
  first: number,
  tell: OnBadSample,
  ranks?: Communicator,
): Promise<ImageTextSource | MultiImageSource> {
  const { start, stop } = shareOf(Math.min(first, source.length), ranks)
  const own: [index: number, reason: string][] = []
  const check = async (index: number) => {
    try {
      await examplePixels(source, index)
    } catch (error) {
      if (!(error instanceof DataError)) throw error
      own.push([index, error.reason])
    }
  }
  await Promise.all(Array.from({ length: stop - start }, (_, i) => check(start + i)))
  const texts = ranks?.allGatherText(JSON.stringify(own)) ?? [JSON.stringify(own)]
  const bad = new Map(texts.flatMap(text => JSON.parse(text) as typeof own).sort(([a], [b]) => a - b))
  if (bad.size === 0) return source
  for (const [index, reason] of bad) tell({ ...placeOf(source, index), reason })
  const kept = Array.from({ length: source.length }, (_, index) => index).filter(index => !bad.has(index))
  return selectExamples(source, kept)
}
