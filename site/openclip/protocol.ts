// The messages between the page and the thread that has the checkpoint.

/** Where the files of a checkpoint are. */
export interface Files {
  /** open_clip_model.safetensors: a file, or its URL */
  readonly weights: File | string
  /** the texts of open_clip_config.json and tokenizer_config.json */
  readonly config?: string
  readonly tokenizerConfig?: string
  /** OpenCLIP's name of it, in place of a configuration */
  readonly architecture?: string
  /** tokenizer.json, or bpe_simple_vocab_16e6.txt, plain or compressed */
  readonly tokenizer: ArrayBuffer
}

/** What a checkpoint is, before its weights are read. */
export interface Summary {
  /** only a CoCa writes captions */
  readonly kind: 'CoCa' | 'CLIP' | 'SigLIP'
  readonly parameters: number
  /** of the weights in the file */
  readonly bytes: number
  /** of the weights in memory */
  readonly needed: number
  /** height and width of its pictures */
  readonly size: readonly [number, number]
  /** most tokens of a text */
  readonly context: number
  readonly vocabulary: number
}

/** Words with the probability that the model gives them. */
export interface Choice {
  readonly text: string
  readonly probability: number
}

/** A token of a caption. */
export interface Token extends Choice {
  /** the most probable tokens at this place, best first */
  readonly next: readonly Choice[]
  /** attention to each patch, row by row; only of a caption that is written word by word */
  readonly attention?: Float32Array
}

export type Request =
  | { readonly kind: 'open'; readonly files: Files }
  | { readonly kind: 'read' }
  /** Adds a picture. */
  | { readonly kind: 'picture'; readonly id: number; readonly bitmap: ImageBitmap }
  | { readonly kind: 'remove'; readonly id: number }
  /** With one beam the most probable token is taken every time. */
  | { readonly kind: 'caption'; readonly id: number; readonly beams: number; readonly longest: number }
  /** Zero-shot classification. */
  | { readonly kind: 'names'; readonly id: number; readonly labels: readonly string[]; readonly template: string }
  /** Ranks the pictures by their similarity to a text. */
  | { readonly kind: 'find'; readonly text: string }

/** What can fail without the end of everything. */
export type Task = 'open' | 'read' | 'picture' | 'caption' | 'names' | 'find'

export type Report =
  | { readonly kind: 'opened'; readonly summary: Summary }
  | { readonly kind: 'progress'; readonly done: number; readonly count: number }
  | { readonly kind: 'ready'; readonly device: string; readonly seconds: number }
  | { readonly kind: 'embedded'; readonly id: number }
  | { readonly kind: 'token'; readonly id: number; readonly token: Token }
  | {
      readonly kind: 'caption'
      readonly id: number
      readonly text: string
      readonly tokens: readonly Token[]
      /** the other hypotheses of a search, best first, with log p */
      readonly others: readonly { readonly text: string; readonly logProbability: number }[]
      readonly seconds: number
    }
  | { readonly kind: 'names'; readonly id: number; readonly names: readonly (Choice & { readonly cosine: number })[] }
  | { readonly kind: 'found'; readonly text: string; readonly cosines: ReadonlyMap<number, number> }
  | { readonly kind: 'mistake'; readonly task: Task; readonly message: string }
