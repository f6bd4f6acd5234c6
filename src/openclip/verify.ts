// Compares the results of a checkpoint with those of another implementation: every number of a folder of golden numbers, with
// the largest difference of each tensor. The tolerances follow from float32: in the forward pass 1e-5 of the largest entry, in
// gradients 1e-4 of it, in the losses of a training run 1e-4.

import { grad, stack } from '../autograd/index.ts'
import type { CoCa } from '../models/index.ts'
import { lossAndGradients } from '../nn/index.ts'
import { AdamW, clipGradients, withoutDecay } from '../optim/index.ts'
import { fromData, scope, type Tensor } from '../tensor/index.ts'
import { openClip } from './checkpoint.ts'
import { type GoldenBatch, GoldenError, type GoldenGeneration, type GoldenTensors, readGolden } from './golden.ts'
import { toOpenClipState } from './names.ts'

/** A number or tensor that was compared. */
export interface AgreementCheck {
  /** what was compared */
  readonly name: string
  /** the largest difference: relative to the largest entry, absolute for a loss, or the number of differing captions */
  readonly error: number
  /** the largest error that agrees */
  readonly tolerance: number
  /** whether the error is within the tolerance */
  readonly ok: boolean
}

const TOLERANCE = { forward: 1e-5, gradient: 1e-4, loss: 1e-4, weights: 1e-4 } as const

/** Two logits that are closer than this may be ranked differently. */
const TIE = 1e-3

const check = (name: string, error: number, tolerance: number): AgreementCheck => ({
  name,
  error: Number.isNaN(error) ? Infinity : error,
  tolerance,
  ok: error <= tolerance,
})

/** The largest |a - b|, relative to the largest |b| unless that is 0; NaN if a number is NaN. */
export function difference(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  let [largest, worst] = [0, 0]
  for (let i = 0; i < expected.length; i++) {
    // a NaN is kept
    worst = Math.max(worst, Math.abs(actual[i] - expected[i]))
    largest = Math.max(largest, Math.abs(expected[i]))
  }
  return largest === 0 ? worst : worst / largest
}

/**
 * Compares a folder of golden numbers with the results of its model on the current device: outputs and intermediate results,
 * losses, the gradient of every parameter and of the images, captions, and a training run.
 * @throws DataError naming the file that is missing or damaged
 */
export async function* agreement(folder: string): AsyncGenerator<AgreementCheck, void, undefined> {
  const golden = await readGolden(folder)
  const { model } = await openClip(folder)
  const batch = golden.io.batch(model.config)
  yield* forward(model, batch, golden.io)
  yield* gradients(model, batch, golden.gradients)
  yield* generation(model, batch, golden.generation, folder)
  yield* trajectory(model, golden)
}

const imagesOf = ({ images }: GoldenBatch): Tensor => fromData(images.data, images.shape)
const idsOf = ({ text }: GoldenBatch): Tensor => fromData(text.data, text.shape)

/** The losses as they are stored: weighted, and the sum of both. */
function lossOf(model: CoCa, images: Tensor, ids: Tensor) {
  const { image, text, scale, logits } = model.forward(images, ids)
  const [contrastive, captioning] = [model.contrastive(image, text, scale), model.captioning(logits, ids)]
  const { total } = model.weigh(contrastive, captioning)
  return { total, contrastive, caption: captioning.mul(model.lossWeights.captioning) }
}

async function* forward(model: CoCa, batch: GoldenBatch, io: GoldenTensors): AsyncGenerator<AgreementCheck> {
  const outputs = scope(() => {
    const [images, ids] = [imagesOf(batch), idsOf(batch)]
    const image = model.imageFeatures(images)
    const text = model.textFeatures(ids)
    const { total, contrastive, caption } = lossOf(model, images, ids)
    return {
      image_embs: image.tokens,
      image_features_unnormalized: model.imageProjection.forward(image.summary),
      image_features: image.embedding,
      text_embs: text.tokens,
      text_features_unnormalized: model.textProjection.forward(text.summary),
      text_features: text.embedding,
      logits: model.multimodal.forward(text.tokens, image.tokens, { mask: text.mask }),
      logit_scale: model.logScale.exp().reshape([1]),
      contrastive_loss: contrastive.reshape([1]),
      caption_loss: caption.reshape([1]),
      total_loss: total.reshape([1]),
    }
  })
  for (const [name, output] of Object.entries(outputs)) {
    const { data } = io.floats(name, output.shape)
    yield check(`forward ${name}`, difference(await output.data(), data), TOLERANCE.forward)
    output.storage.free('its comparison')
  }
}

async function* gradients(model: CoCa, batch: GoldenBatch, golden: GoldenTensors): AsyncGenerator<AgreementCheck> {
  const computed = scope(() => {
    const [images, ids] = [imagesOf(batch), idsOf(batch)]
    const own = lossAndGradients(model, () => lossOf(model, images, ids)).gradients
    const ofImages = grad((x: Tensor) => model.loss(x, ids).total)(images)
    return new Map([...toOpenClipState(model, own), ['images', ofImages]])
  })
  yield* tensors('gradient', computed, golden, TOLERANCE.gradient)
}

/**
 * Compares every tensor by its name; other tensors in the file are errors.
 * @param part selects the entries of a tensor to compare; default all
 */
async function* tensors(
  what: string,
  computed: ReadonlyMap<string, Tensor>,
  golden: GoldenTensors,
  tolerance: number,
  part: (name: string, data: Float32Array) => Float32Array = (_, data) => data,
): AsyncGenerator<AgreementCheck> {
  const stranger = golden.names.find(name => !computed.has(name))
  if (stranger !== undefined)
    throw new GoldenError(`has a tensor '${stranger}', which the model does not have`, { file: golden.file })
  for (const [name, value] of computed) {
    const [own, theirs] = [(await value.data()) as Float32Array, golden.floats(name, value.shape).data]
    yield check(`${what} ${name}`, difference(part(name, own), part(name, theirs)), tolerance)
  }
}

/**
 * A bias of keys does not change the result of a softmax, so its exact gradient is 0. AdamW turns the rounding error that
 * is computed instead into updates, which differ between implementations.
 */
function withoutKeyBias(name: string, data: Float32Array): Float32Array {
  const third = data.length / 3
  return name.endsWith('in_proj_bias') ? data.filter((_, i) => i < third || i >= 2 * third) : data
}

async function* generation(
  model: CoCa,
  batch: GoldenBatch,
  { greedy, beam }: GoldenGeneration,
  folder: string,
): AsyncGenerator<AgreementCheck> {
  const [count] = batch.images.shape
  for (const [name, rows] of Object.entries({ greedy: greedy.ids, gaps: greedy.top2_logit_gap, beam: beam.results }))
    if (rows.length !== count)
      throw new GoldenError(`generation.json: ${name} is for ${rows.length} images, but there are ${count}`, {
        file: folder,
      })
  const images = imagesOf(batch)
  const written = await model.generate(images, { start: greedy.start, maximumLength: 1 + greedy.new_tokens })
  const wrong = written.filter(({ ids }, i) => {
    const at = greedy.ids[i].findIndex((id, t) => id !== ids[t])
    return at >= 0 && !(greedy.top2_logit_gap[i][at - 1] <= TIE)
  })
  yield check('generation greedy', wrong.length, 0)

  const found = await model.generate(images, {
    start: greedy.start,
    prompts: beam.results.map(([{ ids }]) => ids.slice(0, 1)),
    beams: beam.width,
    maximumLength: 1 + beam.new_tokens,
  })
  let differing = 0
  const [own, theirs]: [number[], number[]] = [[], []]
  for (const [i, caption] of found.entries()) {
    const ranked = [caption, ...caption.alternatives]
    for (const [rank, { ids, log_prob }] of beam.results[i].entries()) {
      const logProbability = ranked[rank]?.logProbability ?? Number.NaN
      const isSame = ids.join() === ranked[rank]?.ids.join()
      if (!isSame && !(Math.abs(logProbability - log_prob) <= TIE)) differing++
      own.push(logProbability)
      theirs.push(log_prob)
    }
  }
  yield check(`generation beams of ${beam.width}`, differing, 0)
  yield check('generation beams, log-probability', difference(own, theirs), TOLERANCE.forward)
}

async function* trajectory(
  model: CoCa,
  { trajectory, batches, final }: Awaited<ReturnType<typeof readGolden>>,
): AsyncGenerator<AgreementCheck> {
  const { optimizer: settings, grad_clip, clamp_logit_scale, losses } = trajectory
  const count = batches.names.filter(name => name.startsWith('images.')).length
  if (count === 0) throw new GoldenError("has no tensor 'images.0'", { file: batches.file })
  const all = Array.from({ length: count }, (_, i) => batches.batch(model.config, `.${i}`))
  const optimizer = new AdamW(model, {
    betas: [settings.beta1, settings.beta2],
    epsilon: settings.eps,
    weightDecay: settings.weight_decay,
    groups: [withoutDecay],
  })
  const [min, max] = clamp_logit_scale
  const worst = { contrastive: 0, caption: 0, total: 0, grad_norm: 0 }
  for (const [step, expected] of losses.float32.entries()) {
    const batch = all[step % count]
    const { report, clipped } = scope(() => {
      const [images, ids] = [imagesOf(batch), idsOf(batch)]
      const { loss, gradients } = lossAndGradients(model, () => lossOf(model, images, ids))
      const { gradients: clipped, norm } = clipGradients(gradients, grad_clip.max)
      return { report: stack([loss.contrastive, loss.caption, loss.total, norm]), clipped }
    })
    const [contrastive, caption, total, norm] = await report.data()
    const note = (name: keyof typeof worst, error: number) => {
      worst[name] = Math.max(worst[name], error)
    }
    note('contrastive', Math.abs(contrastive - expected.contrastive))
    note('caption', Math.abs(caption - expected.caption))
    note('total', Math.abs(total - expected.total))
    note('grad_norm', difference([norm], [expected.grad_norm]))
    scope(() => {
      optimizer.step(clipped, expected.lr)
      model.logScale.assign(model.logScale.clamp({ min, max }))
    })
    for (const { storage } of [report, ...clipped.values()]) storage.free('its step')
  }
  for (const [name, error] of Object.entries(worst)) yield check(`trajectory ${name}`, error, TOLERANCE.loss)
  if (final) yield* tensors('trajectory final', toOpenClipState(model), final, TOLERANCE.weights, withoutKeyBias)
}
