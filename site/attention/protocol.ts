// The messages between the page and the thread that computes gradients.

export interface MaskRequest {
  readonly kind: 'mask'
  readonly id: number
  readonly length: number
  /** row by row */
  readonly mask: readonly boolean[]
  readonly layers: number
}

export interface PoolRequest {
  readonly kind: 'pool'
  readonly id: number
  readonly queries: number
  readonly heads: number
  /** of each patch, whether it is hidden */
  readonly hidden: readonly boolean[]
}

export type Request = MaskRequest | PoolRequest

export interface MaskReport {
  readonly kind: 'mask'
  readonly id: number
  /** size of ∂ output i / ∂ input j, row by row: the root of the sum of squares of its elements */
  readonly gradients: Float64Array
}

export interface PoolReport {
  readonly kind: 'pool'
  readonly id: number
  /** [heads, queries, patches] */
  readonly weights: Float64Array
  /** size of ∂ query's output / ∂ patch, [queries, patches] */
  readonly gradients: Float64Array
  /** size of ∂ summary / ∂ patch of the pooler for the embedding, which pools the queries' outputs, [patches] */
  readonly summary: Float64Array
  /** largest change of an output when the patches come in another order */
  readonly shuffled: number
}

export type Report = MaskReport | PoolReport | { readonly kind: 'failed'; readonly message: string }

/** Patches along a side of the picture. */
export const SIDE = 4
export const PATCHES = SIDE * SIDE
