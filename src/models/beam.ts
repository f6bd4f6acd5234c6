// Beam search (Graves 2012), and diverse groups of beams that avoid each other's tokens (Vijayakumar et al. 2016). A
// hypothesis that has ended waits; the search of an image is over when nothing running can overtake the worst that is kept.

import type { Tensor } from '../tensor/index.ts'
import { best, shape } from './choose.ts'
import { type CaptionDecoder, Decoding } from './decoding.ts'
import { type Caption, type GenerateOptions, promptsFor, rank, type Settings, settle } from './generate-options.ts'

/** A hypothesis that goes on, and the row of the last step that it goes on from. */
interface Beam {
  readonly ids: readonly number[]
  readonly logProbability: number
  readonly row: number
}

/** Beams of one image that compete with each other. */
interface Group {
  running: Beam[]
  /** ended, best first */
  done: Caption[]
}

/** The likeliest captions of a batch of images: the best one each, with the other hypotheses as alternatives. */
export async function beamSearch(model: CaptionDecoder, images: Tensor, options: GenerateOptions): Promise<Caption[]> {
  const settings = settle(model, options)
  const prompts = promptsFor(images, options)
  const promptLength = prompts[0].length
  if (prompts.some(prompt => prompt.length !== promptLength)) return oneByOne(model, images, options, prompts)
  const decoding = new Decoding(model, images, settings.cache)
  try {
    const searches = prompts.map((ids, row) =>
      Array.from({ length: settings.groups }, (): Group => ({ running: [{ ids, logProbability: 0, row }], done: [] })),
    )
    for (let length = promptLength; length < settings.maximumLength; length++) {
      const running = searches.flat().flatMap(group => group.running)
      if (running.length === 0) break
      decoding.select(running.map(({ row }) => row))
      const { logs } = await decoding.next(running.map(({ ids }) => ids))
      const rows = new Map(running.map((beam, row) => [beam, row]))
      for (const groups of searches)
        extend(groups, beam => ({ row: rows.get(beam)!, logs: logs[rows.get(beam)!] }), promptLength, settings)
    }
    return searches.map(groups => {
      const unfinished = groups
        .flatMap(({ running }) => running)
        .map(({ ids, logProbability }) => ({ ids, logProbability, finished: false }))
      const all = [
        ...groups.flatMap(({ done }) => done),
        ...unfinished.map(hypothesis => rank(hypothesis, promptLength, settings.lengthPenalty)),
      ]
      const [first, ...alternatives] = all.sort((a, b) => b.score - a.score).slice(0, settings.beams)
      return { ...first, alternatives }
    })
  } finally {
    decoding.end()
  }
}

/** Beams of one batch move in step, so prompts of different lengths are searched one after the other. */
async function oneByOne(
  model: CaptionDecoder,
  images: Tensor,
  options: GenerateOptions,
  prompts: readonly number[][],
): Promise<Caption[]> {
  const captions: Caption[] = []
  for (const [i, prompt] of prompts.entries()) {
    const image = images.slice([{ start: i, stop: i + 1 }])
    captions.push(...(await beamSearch(model, image, { ...options, prompts: [prompt] })))
  }
  return captions
}

/** Moves every group of one image on by a token; a group loses by repeating what earlier ones chose at this place. */
function extend(
  groups: readonly Group[],
  look: (beam: Beam) => { row: number; logs: Float64Array },
  promptLength: number,
  settings: Settings,
): void {
  const { beams, diversity, lengthPenalty, end } = settings
  const width = beams / groups.length
  const taken = new Map<number, number>()
  for (const group of groups) {
    const candidates = group.running
      .flatMap(beam => {
        const { row, logs } = look(beam)
        const wish = shape(logs, beam.ids, settings).map((x, id) => x - diversity * (taken.get(id) ?? 0))
        // of one beam at most `width` tokens can go on, and one can end
        return best(wish, width + 1).map(id => ({
          beam,
          row,
          id,
          logProbability: beam.logProbability + logs[id],
          rank: beam.logProbability + wish[id],
        }))
      })
      .sort((a, b) => b.rank - a.rank)
    group.running = []
    for (const { beam, row, id, logProbability, rank: wished } of candidates) {
      if (group.running.length === width || wished === -Infinity) break
      const ids = [...beam.ids, id]
      if (id === end) group.done.push(rank({ ids, logProbability, finished: true }, promptLength, lengthPenalty))
      else group.running.push({ ids, logProbability, row })
    }
    for (const { ids } of group.running) taken.set(ids[ids.length - 1], (taken.get(ids[ids.length - 1]) ?? 0) + 1)
    group.done = group.done.sort((a, b) => b.score - a.score).slice(0, width)
    if (!canImprove(group, width, promptLength, settings)) group.running = []
  }
}

/** Whether a hypothesis still running could end up better than the worst that is kept. */
function canImprove(
  { running, done }: Group,
  width: number,
  promptLength: number,
  { lengthPenalty, maximumLength }: Settings,
): boolean {
  if (running.length === 0 || done.length < width) return true
  // log p only falls; dividing by the longest length is the kindest that can happen to it
  const likeliest = Math.max(...running.map(({ logProbability }) => logProbability))
  return likeliest / (maximumLength - promptLength) ** Math.max(0, lengthPenalty) > done[done.length - 1].score
}
