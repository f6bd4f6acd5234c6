// The messages between the page and the thread that runs the visitor's function.

/** What a rule of an operation can do wrong. */
export const faults = {
  sign: { label: 'a wrong sign', code: 'g => rule(g).neg()' },
  factor: { label: 'a forgotten factor', code: 'g => g' },
  broadcast: { label: 'a forgotten sum over broadcast axes', code: 'g => firstOf(rule(g))   // not the sum' },
  scale: { label: 'one percent too much', code: 'g => rule(g).mul(1.01)' },
  detached: { label: 'a value where a function was needed', code: 'g => rule(g).stopGradient()' },
} as const
export type Fault = keyof typeof faults

/** A bug in the gradient of all operations of a name. */
export interface Bug {
  readonly operation: string
  readonly fault: Fault
}

export type Order = 1 | 2

export interface Request {
  readonly code: string
  /** 1: the tape of the function; 2: the tape of its gradient */
  readonly order: Order
  readonly bug?: Bug
}

/** The numbers of a tensor, or the first of them. */
export interface Values {
  readonly shape: readonly number[]
  readonly dtype: string
  /** at most 256, in row-major order */
  readonly numbers: Float64Array
}

/** A tensor in the graph: an input, a constant, or the result of an operation. */
export interface Node {
  readonly kind: 'input' | 'constant' | 'operation'
  readonly name: string
  /** arguments that are no tensors, such as an axis */
  readonly options: string
  readonly values: Values
  /** whether a tape for the second order recorded it in the backward pass of the first */
  readonly isBackward: boolean
  /** whether its rule has the planted bug */
  readonly isFaulty: boolean
  readonly x: number
  readonly y: number
}

export interface Edge {
  readonly from: number
  readonly to: number
  readonly points: readonly { readonly x: number; readonly y: number }[]
}

/** What one operation adds to the gradient of one of its arguments. */
export interface Addition {
  readonly node: number
  /** the operations of the rule, as an expression; g is the gradient of the result, y the result */
  readonly expression: string
  /** shape of what the rule gives, if it is summed over broadcast axes afterwards */
  readonly summedFrom?: readonly number[]
  /** the gradient of the argument afterwards */
  readonly gradient: Values
  /** how many operations have added to it, this one included */
  readonly count: number
}

/** One step of the backward pass. */
export interface Step {
  readonly node: number
  readonly additions: readonly Addition[]
}

export interface Trace {
  readonly order: Order
  readonly nodes: readonly Node[]
  readonly edges: readonly Edge[]
  readonly width: number
  readonly height: number
  readonly result: number
  /** gradient of the result with which the pass begins */
  readonly seed: Values
  readonly steps: readonly Step[]
  /** names of the operations that a bug can be planted in */
  readonly operations: readonly string[]
  /** the tape as it prints itself */
  readonly text: string
  /** whether the pass agrees with that of the tape, bit for bit */
  readonly agrees: boolean
}

export interface Check {
  readonly ok: boolean
  readonly verdict: string
  readonly message: string
  readonly checked: number
  readonly mismatches: readonly {
    readonly input: string
    readonly element: string
    readonly order: number
    readonly analytic: number
    readonly numeric: number
  }[]
  /** whether the planted bug changed any gradient */
  readonly bugActs: boolean
}

export type Report =
  | { readonly kind: 'traced'; readonly trace: Trace }
  | { readonly kind: 'checked'; readonly check: Check }
  | {
      readonly kind: 'failed'
      readonly message: string
      /** in the visitor's code, counted from 1 */
      readonly line?: number
    }

/** Size of a node in the drawing. */
export const NODE = { width: 184, height: 64 } as const
