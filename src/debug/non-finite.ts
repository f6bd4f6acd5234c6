// Finds the origin of a NaN or an infinity: the first operation whose result is not finite. The loss shows it only many
// operations later.

import { currentPhase, observeOperations, type Phase } from '../autograd/observing.ts'
import { checkArguments } from '../tensor/arguments.ts'
import { type DType, deviceOf, isFloating, keep, type Shape, show, Tensor, type TypedArray } from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'
import { type Settings, settle } from '../tensor/options.ts'

/** A tensor that was passed to an operation. */
export interface OperationInput {
  /** position among the arguments, from 0 */
  readonly position: number
  /** shape of the tensor */
  readonly shape: Shape
  /** dtype of the tensor */
  readonly dtype: DType
  /** least and greatest finite value; undefined if no value is finite */
  readonly range?: readonly [least: number, greatest: number]
  /** false if it was not finite before the operation: it is data or a parameter, not the result of an operation */
  readonly wasFinite: boolean
}

/** The first operation whose result is not finite. */
export interface NonFiniteOperation {
  /** name of the operation */
  readonly operation: string
  /** whether a tape recorded it, or it was part of a backward pass, or neither */
  readonly phase: Phase
  /** shape of the result */
  readonly shape: Shape
  /** the first value that is not finite, in row-major order */
  readonly value: number
  /** position of that value in the result, counted row by row */
  readonly index: number
  /** number of values of the result that are not finite */
  readonly count: number
  /** the tensors that were passed to the operation */
  readonly inputs: readonly OperationInput[]
  /** number of operations before it, whose results were all finite */
  readonly before: number
  /** an error whose stack shows where the operation was called */
  readonly place: Error
  /** all of this as text */
  readonly message: string
}

/** Options of `firstNonFinite`. */
export interface NonFiniteOptions {
  /** whether infinities count, default true; false for a program that masks with -Infinity, for example */
  readonly infinity?: boolean
}
const nonFiniteOptions = { infinity: true } satisfies Settings<NonFiniteOptions>

/** A call whose values are not read yet. */
interface Pending {
  readonly name: string
  readonly phase: Phase
  readonly result: Tensor
  readonly inputs: readonly (readonly [position: number, x: Tensor])[]
  readonly before: number
  readonly place: Error
}

type IsBad = (value: number) => boolean

/**
 * Runs a function and returns the first operation whose result has NaN or an infinity, in the forward pass, the backward pass or
 * outside of a tape; undefined if all results are finite.
 *
 *     const found = await firstNonFinite(() => optimizer.minimize(() => model.loss(x, y)))
 *     console.log(found?.message)
 *
 * Results of operations are checked, not of kernels: only the final result of a fused operation. An optimizer's update is not
 * an operation; a parameter that it makes non-finite is reported as an input of the first operation that uses it. Every result
 * is read, which is slow; on `gpu` copies of all results and inputs are kept until f has finished, so use a small batch there.
 * @param f the function, `async` or not; it runs to its end. An error that it throws after a result was found is ignored
 * @throws any error that f throws before a result is found
 */
export async function firstNonFinite(
  f: () => unknown,
  options?: NonFiniteOptions,
): Promise<NonFiniteOperation | undefined> {
  const call = 'firstNonFinite(f, options)'
  const kinds = [new is.Kind('a function; indexOfNonFinite(values) looks at numbers', is.callback.fits)]
  checkArguments(call, kinds, [f])
  const { infinity } = settle(call, options, nonFiniteOptions)
  const isBad: IsBad = infinity ? value => !Number.isFinite(value) : Number.isNaN
  const pending: Pending[] = []
  let found: NonFiniteOperation | undefined
  let before = 0
  const end = observeOperations((name, args, result) => {
    if (found || !isFloating(result.dtype)) return
    const inputs = args.flatMap((x, i) => (x instanceof Tensor ? [[i, x] as const] : []))
    const { device } = result.storage
    const seen = {
      name,
      phase: currentPhase(),
      result,
      inputs,
      before: before++,
      place: new Error(`${name} was called here`),
    }
    if (device.readSync) found = examine(seen, isBad, x => x.dataSync())
    else pending.push({ ...seen, result: copyOf(result), inputs: inputs.map(([i, x]) => [i, copyOf(x)] as const) })
  })
  let thrown: { readonly error: unknown } | undefined
  try {
    await f()
  } catch (error) {
    thrown = { error }
  } finally {
    end()
  }
  // pending calls came before the result that was found synchronously
  let first: NonFiniteOperation | undefined
  for (const seen of pending) {
    const tensors = [seen.result, ...seen.inputs.map(([, x]) => x)]
    if (!first) {
      const values = new Map<Tensor, TypedArray>()
      for (const x of tensors) values.set(x, await x.data())
      first = examine(seen, isBad, x => values.get(x)!)
    }
    for (const x of tensors) x.storage.free('firstNonFinite')
  }
  first ??= found
  if (thrown && !first) throw thrown.error
  return first
}

/** A copy that is kept until it is read. */
const copyOf = (x: Tensor): Tensor => keep(deviceOf(x).kernels.copy(x))

function examine(seen: Pending, isBad: IsBad, read: (x: Tensor) => TypedArray): NonFiniteOperation | undefined {
  const values = read(seen.result)
  const index = values.findIndex(isBad)
  if (index < 0) return undefined
  const { name, phase, before, place } = seen
  const inputs = seen.inputs.map(([position, x]) => inputOf(position, x, read(x), isBad))
  let count = 0
  for (const value of values) count += Number(isBad(value))
  const found = {
    operation: name,
    phase,
    shape: seen.result.shape,
    value: values[index],
    index,
    count,
    inputs,
    before,
    place,
  }
  return { ...found, message: messageOf(found) }
}

function inputOf(position: number, { shape, dtype }: Tensor, values: TypedArray, isBad: IsBad): OperationInput {
  let [least, greatest] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
  for (const value of values) {
    if (!Number.isFinite(value)) continue
    if (value < least) least = value
    if (value > greatest) greatest = value
  }
  const range = least <= greatest ? ([least, greatest] as const) : undefined
  return { position, shape, dtype, range, wasFinite: !values.some(isBad) }
}

const PLACES: Record<Phase, string> = {
  forward: 'in the forward pass',
  backward: 'in the backward pass',
  other: 'outside of a tape',
}

function messageOf(found: Omit<NonFiniteOperation, 'message'>): string {
  const { operation, phase, shape, value, index, count, inputs, before } = found
  const others = count > 1 ? `, the first of ${count}` : ''
  return [
    `${operation}, ${PLACES[phase]}, gives ${value} at ${index} of ${show(shape)}${others}; operations before it, all finite: ${before}`,
    ...inputs.map(({ position, shape, dtype, range, wasFinite }) => {
      const values = range ? `from ${range[0]} to ${range[1]}` : 'no finite value'
      const was = wasFinite ? '' : ', and was not finite before: it is not the result of an operation'
      return `  argument ${position}: ${show(shape)} ${dtype}, ${values}${was}`
    }),
  ].join('\n')
}
