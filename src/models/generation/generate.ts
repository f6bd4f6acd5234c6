// Generates captions token by token: greedy or sampled, in batches, or as a stream with the attention to the patches.

import { checkArguments } from '../../tensor/arguments.ts'
import { ShapeError, show, type Tensor } from '../../tensor/index.ts'
import * as is from '../../tensor/kinds.ts'
import { beamSearch } from './beam.ts'
import { type CaptionDecoder, Decoding } from './decoding.ts'
import {
  type Caption,
  checkGenerateOptions,
  GenerateOptionError,
  type GenerateOptions,
  type GenerateSettings,
  rank,
  type StreamedToken,
} from './options.ts'
import { adjusted, checkAllowed, drawFrom, largestOf } from './sampling.ts'

/** A token of one image's caption. */
interface Choice {
  readonly image: number
  readonly id: number
  /** log p of the model, without penalties */
  readonly logProbability: number
  /** the same with repetitions penalised */
  readonly penalised: number
  /** log p of every token */
  readonly logs: Float64Array
  readonly attention?: Float32Array
}

/**
 * Greedy and sampled decoding: yields the tokens chosen in every step. Finished captions leave the batch. If prompts have
 * different lengths, the tokens of the longer ones are taken from the prompts.
 */
async function* steps(
  model: CaptionDecoder,
  images: Tensor,
  settings: GenerateSettings,
  look: boolean,
): AsyncGenerator<readonly Choice[]> {
  const { prompts, maximumLength, sample, end } = settings
  const decoding = new Decoding(model, images, settings.cache)
  try {
    const shortest = Math.min(...prompts.map(prompt => prompt.length))
    let active = prompts.map((prompt, image) => ({ image, ids: prompt.slice(0, shortest) }))
    for (let length = shortest; length < maximumLength && active.length > 0; length++) {
      const predictions = await decoding.next(
        active.map(({ ids }) => ids),
        look,
      )
      const choices: Choice[] = []
      const going: number[] = []
      for (const [row, { image, ids }] of active.entries()) {
        const { logs, place, attention } = predictions[row]
        if (length < prompts[image].length) {
          ids.push(prompts[image][length])
          going.push(row)
          continue
        }
        const values = adjusted(logs, ids, settings)
        checkAllowed(values, place)
        const id = sample ? drawFrom(values, settings) : largestOf(values)
        ids.push(id)
        choices.push({ image, id, logProbability: logs[id], penalised: values[id], logs, attention })
        if (id !== end) going.push(row)
      }
      yield choices
      active = going.map(row => active[row])
      if (active.length > 0) decoding.select(going)
    }
  } finally {
    decoding.end()
  }
}

/**
 * Captions for images [batch, channels, height, width]; with beam search the best one of each image, with the others as alternatives.
 * Several calls may run at the same time.
 * @throws GenerateOptionError, and LogitsError if the model computes NaN or excludes every token
 */
export async function generate(model: CaptionDecoder, images: Tensor, options: GenerateOptions): Promise<Caption[]> {
  const call = 'model.generate(images, options)'
  checkArguments(call, [is.tensor], [images])
  const settings = checkGenerateOptions(model, images.shape[0], options, call)
  if (settings.beams > 1) return beamSearch(model, images, settings)
  const captions = settings.prompts.map(prompt => ({ ids: [...prompt], logProbability: 0, sum: 0, finished: false }))
  for await (const choices of steps(model, images, settings, false)) {
    for (const { image, id, logProbability, penalised } of choices) {
      const caption = captions[image]
      caption.ids.push(id)
      caption.logProbability += logProbability
      caption.sum += penalised
      caption.finished = id === settings.end
    }
  }
  return captions.map(({ sum, ...caption }, image) => {
    const length = caption.ids.length - settings.prompts[image].length
    return { ...caption, score: rank(sum, length, settings), alternatives: [] }
  })
}

/**
 * The tokens of one image's caption as they are chosen, greedy or sampled: image [1, channels, height, width].
 * @throws as {@link generate}, and ShapeError for more than one image
 */
export async function* stream(
  model: CaptionDecoder,
  image: Tensor,
  options: GenerateOptions,
): AsyncGenerator<StreamedToken> {
  const call = 'model.stream(image, options)'
  checkArguments(call, [is.tensor], [image])
  if (image.shape[0] !== 1) throw new ShapeError(`stream: one image [1, …], not ${show(image.shape)}`, image.shape)
  const settings = checkGenerateOptions(model, 1, options, call)
  if (settings.beams > 1) throw new GenerateOptionError('beams', settings.beams, 'a stream follows one caption')
  for await (const choices of steps(model, image, settings, true)) {
    for (const { id, logProbability, logs, attention = new Float32Array() } of choices)
      yield { id, logProbability, logProbabilities: logs, attention }
  }
}
