// Captions, token by token: greedy or sampled, in batches, or as a stream that shows where the decoder looked.

import type { Tensor } from '../tensor/index.ts'
import { beamSearch } from './beam.ts'
import { drawFrom, largestOf, shape } from './choose.ts'
import { type CaptionDecoder, Decoding } from './decoding.ts'
import { type Caption, type GenerateOptions, promptsFor, type StreamedToken, settle } from './generate-options.ts'

/** One step of greedy or sampled decoding for every row. */
interface Step {
  readonly rows: readonly {
    readonly image: number
    readonly id: number
    readonly logProbability: number
    readonly forced: boolean
  }[]
  readonly attention?: Tensor
}

/** Greedy and sampled decoding; captions that end leave the batch, longer prompts are followed to their end. */
async function* steps(
  model: CaptionDecoder,
  images: Tensor,
  options: GenerateOptions,
  look: boolean,
): AsyncGenerator<Step> {
  const settings = settle(model, options)
  const prompts = promptsFor(images, options)
  const decoding = new Decoding(model, images, settings.cache)
  try {
    const shortest = Math.min(...prompts.map(prompt => prompt.length))
    let active = prompts.map((prompt, image) => ({ image, ids: prompt.slice(0, shortest) }))
    while (active.length > 0 && active[0].ids.length < settings.maximumLength) {
      const { logs, attention } = await decoding.next(
        active.map(({ ids }) => ids),
        look,
      )
      const rows = active.map(({ image, ids }, row) => {
        const forced = ids.length < prompts[image].length
        const shaped = shape(logs[row], ids, settings)
        const id = forced
          ? prompts[image][ids.length]
          : settings.sample
            ? drawFrom(shaped, settings)
            : largestOf(shaped)
        ids.push(id)
        return { image, id, logProbability: logs[row][id], forced }
      })
      yield { rows, attention }
      const going = active.map((_, row) => row).filter(row => rows[row].forced || rows[row].id !== settings.end)
      active = going.map(row => active[row])
      if (active.length > 0) decoding.select(going)
    }
  } finally {
    decoding.end()
  }
}

/** Captions for a batch of images. See GenerateOptions; the best one of a beam search, with the others beside it. */
export async function generate(model: CaptionDecoder, images: Tensor, options: GenerateOptions): Promise<Caption[]> {
  if ((options.beams ?? 1) > 1) return beamSearch(model, images, options)
  const captions = promptsFor(images, options).map(ids => ({ ids, logProbability: 0, finished: false }))
  for await (const { rows } of steps(model, images, options, false)) {
    for (const { image, id, logProbability, forced } of rows) {
      if (forced) continue
      captions[image].ids.push(id)
      captions[image].logProbability += logProbability
      captions[image].finished = id === options.end
    }
  }
  return captions.map(caption => ({ ...caption, score: caption.logProbability, alternatives: [] }))
}

/** The tokens of one caption as they are chosen, [1, 3, size, size]. */
export async function* stream(
  model: CaptionDecoder,
  image: Tensor,
  options: GenerateOptions,
): AsyncGenerator<StreamedToken> {
  for await (const { rows, attention } of steps(model, image, options, true)) {
    const [{ id, logProbability, forced }] = rows
    if (!forced) yield { id, logProbability, attention: Float32Array.from(await attention!.data()) }
  }
}
