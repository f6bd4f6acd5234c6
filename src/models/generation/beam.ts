// Beam search (Graves 2012), and diverse groups of beams that avoid each other's tokens (Vijayakumar et al. 2016). Finished
// hypotheses are kept; the search for an image ends when no running hypothesis can become better than the worst that is kept.

import { descending, type Tensor } from '../../tensor/index.ts'
import { type CaptionDecoder, Decoding, type Prediction } from './decoding.ts'
import { type Caption, type GenerateSettings, rank } from './options.ts'
import { adjusted, checkAllowed, largest } from './sampling.ts'

interface Hypothesis {
  readonly ids: readonly number[]
  /** log p of the model, without penalties */
  readonly logProbability: number
  /** log p with repetitions penalised */
  readonly sum: number
}

/** A running hypothesis, and the row of the last step that it continues. */
interface Beam extends Hypothesis {
  readonly row: number
}

/** Beams of one image that compete with each other. */
interface Group {
  running: Beam[]
  /** finished hypotheses, best first */
  done: Caption[]
}

/**
 * The most likely caption of each image of a batch, with the other hypotheses as alternatives.
 * @param from number of the first image
 * @throws LogitsError if the model computes NaN or excludes every token
 */
export async function beamSearch(
  model: CaptionDecoder,
  images: Tensor,
  settings: GenerateSettings,
  from = 0,
): Promise<Caption[]> {
  const { prompts, beams, groups: groupCount, maximumLength } = settings
  const start = prompts[0].length
  if (prompts.some(prompt => prompt.length !== start)) return oneByOne(model, images, settings)
  const searches = prompts.map((ids, row) =>
    Array.from({ length: groupCount }, (): Group => ({ running: [{ ids, logProbability: 0, sum: 0, row }], done: [] })),
  )
  const decoding = new Decoding(model, images, settings.cache, from)
  try {
    for (let length = start; length < maximumLength; length++) {
      const running = searches.flat().flatMap(group => group.running)
      if (running.length === 0) break
      decoding.select(running.map(({ row }) => row))
      const predictions = await decoding.next(running.map(({ ids }) => ids))
      const rows = new Map(running.map((beam, row) => [beam, { row, ...predictions[row] }]))
      for (const groups of searches) extend(groups, beam => rows.get(beam)!, start, settings)
    }
  } finally {
    decoding.end()
  }
  return searches.map(groups => {
    const found = groups.flatMap(({ running, done }) => [
      ...done,
      ...running.map(beam => captionOf(beam, false, start, settings)),
    ])
    // two groups may find the same caption
    const distinct = new Map(found.map(caption => [caption.ids.join(), caption])).values()
    const [first, ...alternatives] = [...distinct].sort(byScore).slice(0, beams)
    return { ...first, alternatives }
  })
}

/** All beams of a batch have the same length, so images with prompts of different lengths are searched one by one. */
async function oneByOne(model: CaptionDecoder, images: Tensor, settings: GenerateSettings): Promise<Caption[]> {
  const captions: Caption[] = []
  for (const [i, prompt] of settings.prompts.entries()) {
    const image = images.slice([{ start: i, stop: i + 1 }])
    captions.push(...(await beamSearch(model, image, { ...settings, prompts: [prompt] }, i)))
  }
  return captions
}

/** Extends every group of one image by a token; a group is penalised for tokens that earlier groups chose at this position. */
function extend(
  groups: readonly Group[],
  look: (beam: Beam) => Prediction & { readonly row: number },
  start: number,
  settings: GenerateSettings,
): void {
  const { diversity, end } = settings
  const width = settings.beams / groups.length
  const taken = new Map<number, number>()
  for (const group of groups) {
    const candidates = group.running
      .flatMap(beam => {
        const { row, logs, place } = look(beam)
        const values = adjusted(logs, beam.ids, settings)
        checkAllowed(values, place)
        const wishes = values.map((x, id) => (taken.has(id) ? x - diversity * taken.get(id)! : x))
        // of one beam, at most `width` tokens can continue and one can end
        return largest(wishes, width + 1).map(id => ({
          row,
          id,
          ids: [...beam.ids, id],
          logProbability: beam.logProbability + logs[id],
          sum: beam.sum + values[id],
          wish: beam.sum + wishes[id],
        }))
      })
      .filter(({ wish }) => wish > -Infinity)
      .sort((a, b) => descending(a.wish, b.wish))
    group.running = []
    const chosen: number[] = []
    for (const { id, ...beam } of candidates) {
      if (group.running.length === width) break
      chosen.push(id)
      if (id === end) group.done.push(captionOf(beam, true, start, settings))
      else group.running.push(beam)
    }
    for (const id of chosen) taken.set(id, (taken.get(id) ?? 0) + 1)
    group.done = group.done.sort(byScore).slice(0, width)
    if (!canImprove(group, width, start, settings)) group.running = []
  }
}

const byScore = (a: Caption, b: Caption): number => descending(a.score, b.score)

function captionOf(
  { ids, logProbability, sum }: Hypothesis,
  finished: boolean,
  start: number,
  settings: GenerateSettings,
) {
  return { ids, logProbability, finished, score: rank(sum, ids.length - start, settings), alternatives: [] }
}

/** Whether a running hypothesis could become better than the worst that is kept. */
function canImprove({ running, done }: Group, width: number, start: number, settings: GenerateSettings): boolean {
  if (running.length === 0 || done.length < width) return true
  // the sum only decreases; the score is highest at the maximum length, or at the next if length is penalised
  const likeliest = Math.max(...running.map(({ sum }) => sum))
  const lengths = [running[0].ids.length + 1 - start, settings.maximumLength - start]
  return Math.max(...lengths.map(length => rank(likeliest, length, settings))) > done[done.length - 1].score
}
