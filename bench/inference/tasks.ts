// The tasks that are timed, under the same names here and in openclip.py.

export const tasks = {
  'encode images': 'embeddings of 64 images of 224²',
  'encode texts': 'embeddings of 64 texts of 76 tokens',
  greedy: 'captions of 20 tokens for 8 images, the most probable token each time',
  'greedy, recomputed':
    "the same without a cache of keys and values of the text; OpenCLIP computes the image's again too",
  'six beams': 'captions of 20 tokens for 8 images by beam search',
  'six beams, recomputed':
    "the same without a cache of keys and values of the text; OpenCLIP computes the image's again too",
} as const

export type TaskName = keyof typeof tasks
export const taskNames = Object.keys(tasks) as TaskName[]

/** Milliseconds of one task. */
export interface Time {
  readonly median: number
  readonly least: number
}

/** The last line of a program. */
export interface InferenceResult {
  readonly version: string
  /** milliseconds until the model is in memory */
  readonly load: number
  readonly times: Partial<Record<TaskName, Time>>
  readonly peakMb: number
  /** the tokens of the first greedy caption, which must be equal */
  readonly caption?: readonly number[]
}

/** OpenCLIP's coca_ViT-B-32. */
export const config = {
  embed_dim: 512,
  vision_cfg: {
    image_size: 224,
    layers: 12,
    width: 768,
    patch_size: 32,
    attentional_pool: true,
    attn_pooler_heads: 8,
    output_tokens: true,
  },
  text_cfg: {
    context_length: 76,
    vocab_size: 49408,
    width: 512,
    heads: 8,
    layers: 12,
    embed_cls: true,
    output_tokens: true,
  },
  multimodal_cfg: { context_length: 76, vocab_size: 49408, width: 512, heads: 8, layers: 12, attn_pooler_heads: 8 },
}

/** Ids that start and end a text, and the length of a caption without the start. */
export const [start, end, length] = [49406, 49407, 20]
