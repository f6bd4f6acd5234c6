// Reads a folder of numbers that another implementation computed: a model's configuration and weights, inputs with intermediate
// results and outputs, gradients, a training run and captions. Missing or damaged files are errors; verify.ts compares.
//
//     config.json  weights.safetensors  io.safetensors  grads.safetensors  batches.safetensors
//     trajectory.json  generation.json  final.safetensors (may be missing)

import { join } from 'node:path'
import { z } from 'zod'
import {
  DataError,
  namesIn,
  nonFiniteIn,
  readJson,
  readSafetensors,
  type SafetensorsTensor,
  toInt32,
} from '../io/index.ts'
import type { CoCaConfig } from '../models/index.ts'
import { sameShape, show } from '../tensor/index.ts'
import { imageShape } from '../tensor/sides.ts'

/** A folder of golden numbers that is incomplete or inconsistent. */
export class GoldenError extends DataError {}

/** Images and their texts, on the host. */
export interface GoldenBatch {
  readonly images: { readonly data: Float32Array; readonly shape: readonly number[] }
  readonly text: { readonly data: Int32Array; readonly shape: readonly number[] }
}

/** Tensors of a file, by name and expected shape. */
export class GoldenTensors {
  readonly file: string
  readonly #tensors: ReadonlyMap<string, SafetensorsTensor>

  constructor(file: string, tensors: ReadonlyMap<string, SafetensorsTensor>) {
    this.file = file
    this.#tensors = tensors
  }

  get names(): string[] {
    return [...this.#tensors.keys()]
  }

  /** @throws GoldenError unless there is a finite float32 tensor of this name and shape; undefined matches any extent */
  floats(name: string, shape: readonly (number | undefined)[]): { data: Float32Array; shape: readonly number[] } {
    const found = this.#get(name, shape)
    if (!(found.data instanceof Float32Array)) throw this.#error(`tensor '${name}' is ${found.dtype}, not F32`)
    for (const { value, index } of nonFiniteIn(name, found.shape, found.data))
      throw this.#error(`tensor '${name}' has ${value} at ${index}: only finite values can be compared`)
    return { data: found.data, shape: found.shape }
  }

  /** @throws GoldenError unless there is a batch of valid inputs for this model */
  batch({ image, text }: CoCaConfig, suffix = ''): GoldenBatch {
    const images = this.floats(`images${suffix}`, [undefined, ...imageShape(image.size, image.channels)])
    const name = `text${suffix}`
    const found = this.#get(name, [images.shape[0], undefined])
    if (found.data instanceof Float32Array || found.data instanceof Float64Array)
      throw this.#error(`tensor '${name}' is ${found.dtype}, but token ids are integers`)
    const data = toInt32(found, name)
    if (found.shape[1] < 2 || found.shape[1] > text.context)
      throw this.#error(`tensor '${name}' is ${show(found.shape)}, but texts have 2 to ${text.context} tokens`)
    const stranger = data.find(id => id < 0 || id >= text.vocabulary)
    if (stranger !== undefined)
      throw this.#error(`tensor '${name}' has id ${stranger}, but the model has ${text.vocabulary} ids`)
    return { images, text: { data, shape: found.shape } }
  }

  #get(name: string, shape: readonly (number | undefined)[]): SafetensorsTensor {
    const found = this.#tensors.get(name)
    if (!found) throw this.#error(`has no tensor '${name}'`)
    const wanted = shape.map((extent, axis) => extent ?? found.shape[axis])
    if (!sameShape(found.shape, wanted))
      throw this.#error(`tensor '${name}' is ${show(found.shape)}, not [${shape.map(n => n ?? 'any').join(', ')}]`)
    return found
  }

  #error(reason: string): GoldenError {
    return new GoldenError(reason, { file: this.file })
  }
}

const id = z.int().min(0)
const finite = z.number()
const trajectorySchema = z.object({
  optimizer: z.object({
    name: z.literal('AdamW'),
    beta1: finite,
    beta2: finite,
    eps: finite,
    weight_decay: finite,
  }),
  grad_clip: z.object({ type: z.literal('global norm'), max: finite }),
  clamp_logit_scale: z.tuple([finite, finite]),
  losses: z.object({
    float32: z
      .array(z.object({ lr: finite, contrastive: finite, caption: finite, total: finite, grad_norm: finite }))
      .min(1),
  }),
})
const generationSchema = z.object({
  greedy: z.object({
    start: id,
    new_tokens: z.int().min(1),
    ids: z.array(z.array(id)),
    top2_logit_gap: z.array(z.array(finite)),
  }),
  beam: z.object({
    width: z.int().min(1),
    new_tokens: z.int().min(1),
    results: z.array(z.array(z.object({ ids: z.array(id).min(1), log_prob: finite })).min(1)),
  }),
})

export type GoldenTrajectory = z.infer<typeof trajectorySchema>
export type GoldenGeneration = z.infer<typeof generationSchema>

/** The numbers of a folder, without its model. */
export interface Golden {
  readonly io: GoldenTensors
  readonly gradients: GoldenTensors
  readonly batches: GoldenTensors
  readonly trajectory: GoldenTrajectory
  readonly generation: GoldenGeneration
  readonly final?: GoldenTensors
}

/** @throws GoldenError or another DataError naming the file, and its part that is missing or damaged */
export async function readGolden(folder: string): Promise<Golden> {
  const names = await namesIn(folder)
  const pathOf = (name: string) => {
    if (!names.includes(name)) throw new GoldenError(`has no ${name}`, { file: folder })
    return join(folder, name)
  }
  const tensors = async (name: string) => {
    const file = pathOf(name)
    return new GoldenTensors(file, (await readSafetensors(file)).tensors)
  }
  return {
    io: await tensors('io.safetensors'),
    gradients: await tensors('grads.safetensors'),
    batches: await tensors('batches.safetensors'),
    trajectory: await read(pathOf('trajectory.json'), trajectorySchema),
    generation: await read(pathOf('generation.json'), generationSchema),
    ...(names.includes('final.safetensors') ? { final: await tensors('final.safetensors') } : {}),
  }
}

async function read<T>(file: string, schema: z.ZodType<T>): Promise<T> {
  const parsed = schema.safeParse(await readJson(file))
  if (parsed.success) return parsed.data
  const { path, message } = parsed.error.issues[0]
  throw new GoldenError(`${path.join('.') || 'the file'}: ${message}`, { file, cause: parsed.error })
}
