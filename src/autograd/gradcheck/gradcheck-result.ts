// The result of gradcheck, as data and as text.

import { isFloating, show, type Tensor } from '../../tensor/index.ts'
import type { Comparison, GradcheckVerdict } from './differences.ts'

export type Order = 1 | 2 | 3

/** One derivative of a vector with respect to tensors: positions are flat. */
export interface Derivative {
  readonly input: number
  readonly element?: number
  readonly direction?: number
  readonly output?: number
}

/** A derivative that was not confirmed. */
export interface GradientMismatch extends Comparison {
  /** order of the derivative: 1, 2 or 3 */
  readonly order: Order
  /** position of the input, counted from 0 */
  readonly input: number
  /** index of the element of that input; undefined if the input was moved along a random direction */
  readonly element?: readonly number[]
  /** number of that direction */
  readonly direction?: number
  /**
   * mode jacobian: position of the result, and of its element. At order 2 and 3 the results are the derivatives of the
   * previous order with respect to each floating input.
   */
  readonly output?: number
  /** index of that element, with a number for each axis */
  readonly outputElement?: readonly number[]
}

/** All derivatives of one order with respect to one input. */
export interface GradcheckPart {
  /** order of the derivatives: 1, 2 or 3 */
  readonly order: Order
  /** position of the input, from 0 */
  readonly input: number
  /** number of derivatives compared */
  readonly checked: number
  /** largest ratio of error to tolerance; above 1 is wrong */
  readonly worst: number
  /** the most severe verdict of these derivatives */
  readonly verdict: GradcheckVerdict
}

/** What `gradcheck` found: whether the derivatives agree with finite differences, and where they do not. */
export interface GradcheckResult {
  /** whether the verdict is 'pass' */
  readonly ok: boolean
  /** most severe of all: not deterministic, mismatch, not finite, not differentiable here, not resolved, pass, in this order */
  readonly verdict: GradcheckVerdict
  /** largest ratio of error to tolerance */
  readonly worst: number
  /** number of derivatives compared */
  readonly checked: number
  /** the same for every order and input */
  readonly parts: readonly GradcheckPart[]
  /** derivatives that were not confirmed, each with its own verdict */
  readonly mismatches: readonly GradientMismatch[]
  /** conversions of the inputs before the check, and conditions that weaken the check */
  readonly notes: readonly string[]
  /** the result as text */
  readonly message: string
}

/** Collects comparisons. */
export class GradcheckFindings {
  readonly #inputs: readonly Tensor[]
  /** positions of the floating inputs among all inputs */
  readonly #floating: readonly number[]
  readonly #notes: string[]
  readonly #mismatches: GradientMismatch[] = []
  #outputs: readonly Tensor[] = []
  #warning = ''
  #unstable: Order | undefined
  readonly #parts: GradcheckPart[] = []

  /** @param where device of the check */
  constructor(inputs: readonly Tensor[], where: string) {
    this.#inputs = inputs
    this.#floating = inputs.flatMap((x, i) => (isFloating(x.dtype) ? [i] : []))
    this.#notes = this.#floating.flatMap(i => {
      const { dtype, device: on } = inputs[i]
      return dtype === 'float64' ? [] : [`input ${i} is ${dtype} on ${on}: it was checked as float64 on ${where}`]
    })
  }

  /** The results of f at the inputs. */
  sees(outputs: readonly Tensor[]): void {
    this.#outputs = outputs
    const lower = outputs.find(({ dtype }) => dtype === 'float32')
    if (!lower) return
    this.#warning =
      'warning: f returns float32, whose seven digits are too few for finite differences; use float64 for all constants of f'
    this.#notes.push(this.#warning)
  }

  isNotDeterministic(order: Order): void {
    this.#unstable = order
  }

  add(order: Order, { input, element, direction, output, ...compared }: Comparison & Derivative): void {
    const at = this.#floating[input]
    this.#count(order, at, compared)
    if (compared.verdict === 'pass') return
    this.#mismatches.push({
      order,
      input: at,
      ...(element === undefined ? { direction } : { element: unravel(element, this.#inputs[at].shape) }),
      ...(output === undefined ? {} : this.#place(order, output)),
      ...compared,
    })
  }

  #count(order: Order, input: number, { ratio, verdict }: Comparison): void {
    const i = this.#parts.findIndex(part => part.order === order && part.input === input)
    const { checked, worst, verdict: before } = this.#parts[i] ?? { checked: 0, worst: 0, verdict: 'pass' }
    const part: GradcheckPart = {
      order,
      input,
      checked: checked + 1,
      worst: Math.max(worst, ratio),
      verdict: worstOf([before, verdict]),
    }
    if (i < 0) this.#parts.push(part)
    else this.#parts[i] = part
  }

  get #checked(): number {
    return this.#parts.reduce((sum, { checked }) => sum + checked, 0)
  }

  /** The result and element at a position in the vector of all results. */
  #place(order: Order, flat: number): Pick<GradientMismatch, 'output' | 'outputElement'> {
    const results = order === 1 ? this.#outputs : this.#floating.map(i => this.#inputs[i])
    let output = 0
    let rest = flat
    while (rest >= results[output].size) rest -= results[output++].size
    return {
      output: order === 1 ? output : this.#floating[output],
      outputElement: unravel(rest, results[output].shape),
    }
  }

  result(): GradcheckResult {
    const verdict = this.#unstable ? 'not deterministic' : worstOf(this.#parts.map(part => part.verdict))
    return {
      ok: verdict === 'pass',
      verdict,
      worst: this.#parts.reduce((largest, { worst }) => Math.max(largest, worst), 0),
      checked: this.#checked,
      parts: this.#parts,
      mismatches: this.#mismatches,
      notes: this.#notes,
      message: this.#message(verdict),
    }
  }

  #message(verdict: GradcheckVerdict): string {
    const lines = this.#mismatches.slice(0, 5).map(mismatch => `  ${this.#describe(mismatch)}`)
    if (this.#warning) lines.push(`  ${this.#warning}`)
    return [this.#headline(verdict), ...lines].join('\n')
  }

  #headline(verdict: GradcheckVerdict): string {
    const count = this.#mismatches.filter(each => each.verdict === verdict).length
    const some = `${count} of ${this.#checked} derivatives`
    switch (verdict) {
      case 'pass':
        return this.#checked === 0
          ? 'nothing was checked: the inputs have no elements'
          : `${this.#checked} derivatives agree with finite differences`
      case 'mismatch':
        return `${some} disagree with finite differences`
      case 'not finite':
        return `${some} are not finite, or f is not finite near the inputs`
      case 'not differentiable here':
        return `${some} are taken at a kink or a jump, where the gradient does not exist: move the inputs away from it`
      case 'not resolved':
        return `${some} cannot be distinguished from rounding in f, at any step: make f or its inputs smaller, or check parts of it`
      case 'not deterministic':
        return `the same inputs gave two different results at order ${this.#unstable}: seed the random numbers in f`
    }
  }

  #describe({ order, input, element, direction, output, outputElement, ...compared }: GradientMismatch): string {
    const { analytic, numeric, doubt, ratio, verdict } = compared
    const place = element ? `at ${show(element)}` : `along direction ${direction}`
    const of =
      output === undefined
        ? ''
        : `, ${order === 1 ? 'output' : 'derivative by input'} ${output} at ${show(outputElement!)}`
    const where = `order ${order}, input ${input} ${show(this.#inputs[input].shape)} ${place}${of}`
    const error =
      verdict === 'mismatch'
        ? `${ratio.toPrecision(3)} times the tolerance`
        : verdict === 'not resolved'
          ? `${verdict}: they may be off by ${doubt.toPrecision(2)}`
          : verdict === 'not finite' && !Number.isFinite(analytic) && Number.isFinite(numeric)
            ? 'the tape is not finite, but f is'
            : verdict
    return `${where}: the tape gives ${analytic}, finite differences give ${numeric} (${error})`
  }
}

const severity: readonly GradcheckVerdict[] = [
  'not deterministic',
  'mismatch',
  'not finite',
  'not differentiable here',
  'not resolved',
]

/** The most severe of some verdicts. */
export const worstOf = (verdicts: readonly GradcheckVerdict[]): GradcheckVerdict =>
  severity.find(each => verdicts.includes(each)) ?? 'pass'

/** Position of a flat index in a shape. */
function unravel(flat: number, shape: readonly number[]): number[] {
  const position = new Array<number>(shape.length)
  let rest = flat
  for (let i = shape.length - 1; i >= 0; i--) {
    position[i] = rest % shape[i]
    rest = Math.floor(rest / shape[i])
  }
  return position
}
