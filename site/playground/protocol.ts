// The messages between the page and the thread that trains.

/** What a run is made of; a change of any starts a new one. */
export interface Settings {
  /** λ_Con */
  readonly contrastive: number
  /** λ_Cap */
  readonly captioning: number
  readonly batch: number
  readonly learningRate: number
  /** number of queries of the generative pooler */
  readonly queries: number
  /** whether the contrastive pooler reads the output of the generative one (the paper's) or the patches */
  readonly arrangement: 'cascade' | 'parallel'
  /** learned [CLS] tokens, and their place: at the end of the context, or after the last word */
  readonly classTokens: number
  readonly classPosition: 'last' | 'next'
  /** layers of the decoder that see text only, and those that see the image too */
  readonly unimodalLayers: number
  readonly multimodalLayers: number
  /** of the contrastive loss at the start */
  readonly temperature: number
  /** length of the run; the learning rate falls to 0 until then */
  readonly steps: number
  readonly seed: number
  readonly device: 'cpu' | 'gpu'
}

export const defaults: Settings = {
  contrastive: 1,
  captioning: 2,
  batch: 16,
  learningRate: 2e-3,
  queries: 8,
  arrangement: 'cascade',
  classTokens: 1,
  classPosition: 'last',
  unimodalLayers: 1,
  multimodalLayers: 1,
  temperature: 0.07,
  steps: 8000,
  seed: 0,
  device: 'cpu',
}

/** Side of all pictures in pixels. */
export const SIDE = 32

/** A picture that is never trained on. */
export interface Picture {
  /** red, green and blue bytes, [side, side, 3] */
  readonly pixels: Uint8Array
  /** the right caption */
  readonly caption: string
  /** whether a pair of colour and shape in it is held out of training */
  readonly isHeldOut: boolean
}

/** The place of a picture among those that are shown, or the one that the visitor made. */
export type PictureId = number | 'own'

/** A run whose checkpoints are kept in this browser. */
export interface KeptRun {
  readonly id: string
  readonly settings: Settings
  /** the steps that have a checkpoint, ascending, at least one */
  readonly steps: readonly number[]
  readonly bytes: number
  /** whether the browser lost it when the page is closed, because it stores nothing for this page */
  readonly isLost?: boolean
}

/** A file that a visitor gave, with its path in a folder. */
export interface GivenFile {
  readonly name: string
  readonly file: Blob
}

export type Request =
  /** A new model with these settings, or the trained one, whose weights lie at this address. */
  | { readonly kind: 'start'; readonly settings: Settings; readonly weights?: string }
  /** A run that is kept in this browser, at its last checkpoint. */
  | { readonly kind: 'resume'; readonly id: string }
  /** A run in files: a tar, or everything in a run's folder. */
  | { readonly kind: 'import'; readonly files: readonly GivenFile[] }
  /** Goes back to a checkpoint of the run. */
  | { readonly kind: 'rewind'; readonly step: number }
  /** Asks for the run as one file. */
  | { readonly kind: 'export' }
  /** Asks which runs are kept in this browser. */
  | { readonly kind: 'list' }
  /** Removes a run that is kept in this browser. */
  | { readonly kind: 'forget'; readonly id: string }
  | { readonly kind: 'run' }
  | { readonly kind: 'pause' }
  /** One step. */
  | { readonly kind: 'step' }
  /** Ranks the pictures by their similarity to a text. */
  | { readonly kind: 'find'; readonly text: string }
  /** Looks at one picture, word by word: red, green and blue bytes, [side, side, 3]. */
  | { readonly kind: 'inspect'; readonly picture: PictureId; readonly pixels: Uint8Array }
  /** Computes views now and at every look from now on. */
  | { readonly kind: 'watch'; readonly watched: Watched }

/** Which views are open. */
export interface Watched {
  /** the picture whose attention is shown: red, green and blue bytes, [side, side, 3] */
  readonly attention?: Uint8Array
  /** the map of embeddings */
  readonly map?: boolean
  readonly values?: ValuesQuery
}

/** What is shown of a module. */
export type Quantity = 'output' | 'outputGradient' | 'parameter' | 'parameterGradient'

export interface ValuesQuery {
  /** a path of a module or a parameter, in which * stands for one part, and ** for any number of them */
  readonly query: string
  readonly quantity: Quantity
  /** the number of the picture whose part of an output is shown */
  readonly picture: number
}

/** Weights of an attention. */
export interface AttentionWeights {
  /** the path of its module */
  readonly path: string
  readonly heads: number
  readonly queries: number
  readonly keys: number
  /** [heads, queries, keys]; each row has the sum 1 */
  readonly weights: Float32Array
}

/** Where the poolers and the decoder look, head by head. */
export interface AttentionView {
  readonly kind: 'attention'
  readonly step: number
  /** rows and columns of patches */
  readonly grid: readonly [number, number]
  /** the queries attend to patches */
  readonly generative: AttentionWeights
  /** the query attends to the image tokens that the generative pooler makes, or to patches */
  readonly contrastive?: AttentionWeights
  readonly contrastiveOver: 'tokens' | 'patches'
  /** the words of the caption and its end */
  readonly words: readonly string[]
  /** each layer of the decoder: its words, as queries, attend to image tokens */
  readonly decoder: readonly AttentionWeights[]
}

/** Pictures and captions in the plane of their two principal axes. */
export interface MapView {
  readonly kind: 'map'
  readonly step: number
  /** [pictures, 2], x and y */
  readonly pictures: Float32Array
  /** [captions, 2], of the same pairs */
  readonly captions: Float32Array
  readonly pairs: readonly { readonly caption: string; readonly colour: string; readonly shape: string }[]
  /** share of the variance in the plane */
  readonly share: number
  /** mean cosine of a picture with its own caption, and with the others */
  readonly own: number
  readonly others: number
}

/** A tensor, or a part of it, as rows and columns. */
export interface ValuePicture {
  readonly path: string
  /** of the whole tensor */
  readonly shape: readonly number[]
  readonly rows: number
  readonly columns: number
  /** [rows, columns]; where a cell stands for several values, that with the largest magnitude */
  readonly cells: Float32Array
  /** the number of values of a cell, rows by columns */
  readonly together: readonly [number, number]
  /** of the whole tensor */
  readonly min: number
  readonly max: number
  readonly mean: number
  /** shares of its values */
  readonly zeros: number
  readonly notFinite: number
}

/** Values and gradients of modules. */
export interface ValuesView {
  readonly kind: 'values'
  readonly step: number
  readonly query: ValuesQuery
  /** paths that the query may name */
  readonly paths: readonly string[]
  /** the number of paths that it names */
  readonly matches: number
  /** those of the first few that have such a value */
  readonly shown: readonly ValuePicture[]
}

export type View = AttentionView | MapView | ValuesView

/** The losses of one step. */
export interface StepReport {
  readonly step: number
  readonly contrastive?: number
  readonly captioning?: number
}

/** What the model makes of the pictures. */
export interface Look {
  readonly step: number
  readonly captions: readonly { readonly text: string; readonly isRight: boolean }[]
  /** cosine of each picture (row) with each caption (column), [pictures, pictures] */
  readonly similarities: Float32Array
  /** share of 128 other pictures whose own caption is written word for word */
  readonly exact: number
  /** share of those pictures whose caption is the nearest of all 128 */
  readonly recall: number
}

/** A caption as it is written, and names that are compared with the picture. */
export interface Inspection {
  readonly picture: PictureId
  readonly words: readonly {
    readonly text: string
    readonly probability: number
    /** the most probable words at this place, best first */
    readonly next: readonly { readonly text: string; readonly probability: number }[]
    /** attention of the decoder to each patch, row by row, with sum 1 */
    readonly attention: Float32Array
  }[]
  /** the most probable of 96 names, such as "a small red circle" (zero-shot classification) */
  readonly names: readonly { readonly text: string; readonly probability: number }[]
}

export type Report =
  | {
      readonly kind: 'ready'
      readonly pictures: readonly Picture[]
      readonly parameters: number
      readonly device: string
      readonly settings: Settings
      /** updates made before */
      readonly step: number
      /** why this model cannot be trained on here */
      readonly obstacle?: string
      /** what is different from where the run was made */
      readonly note?: string
    }
  /** All steps so far, in place of those that were reported. */
  | { readonly kind: 'history'; readonly steps: readonly StepReport[] }
  /** The last step was made. */
  | { readonly kind: 'finished' }
  /** The run is kept, or why it is not. */
  | { readonly kind: 'saved'; readonly run?: KeptRun; readonly problem?: string }
  /** The runs that are kept in this browser, the newest first. */
  | { readonly kind: 'kept'; readonly runs: readonly KeptRun[] }
  | { readonly kind: 'file'; readonly name: string; readonly file: Blob }
  | {
      readonly kind: 'steps'
      readonly steps: readonly StepReport[]
      /** of one step */
      readonly milliseconds: number
    }
  | { readonly kind: 'look'; readonly look: Look }
  | { readonly kind: 'found'; readonly text: string; readonly similarities: Float32Array }
  | { readonly kind: 'inspection'; readonly inspection: Inspection }
  | { readonly kind: 'view'; readonly view: View }
  | { readonly kind: 'mistake'; readonly text: string; readonly message: string }
  | { readonly kind: 'failed'; readonly message: string }
