// Arithmetic of shapes, strides, axes and broadcasting, with the error that names all shapes involved.

/** Sizes of the axes, outermost first; `[]` is a scalar. */
export type Shape = readonly number[]

/** Shapes that do not match. `shapes` has all of them, in the order of the message. */
export class ShapeError extends Error {
  override readonly name = 'ShapeError'
  /** the shapes that do not fit */
  readonly shapes: readonly Shape[]

  constructor(message: string, ...shapes: Shape[]) {
    super(message)
    this.shapes = shapes
  }
}

/** An axis that the shape does not have. */
export class AxisError extends Error {
  override readonly name = 'AxisError'
  /** the axis that was given */
  readonly axis: number
  /** the shape that does not have it */
  readonly shape: Shape

  constructor(operation: string, axis: number, shape: Shape) {
    const n = shape.length
    const axes = n === 0 ? 'a scalar has none' : `its axes are 0 … ${n - 1}, or -${n} … -1 from the end`
    super(`${operation}: ${show(shape)} has no axis ${axis}: ${axes}`)
    this.axis = axis
    this.shape = shape
  }

  /** The same error, of the operation that was called. */
  of(operation: string): AxisError {
    return new AxisError(operation, this.axis, this.shape)
  }
}

/** The axis that an index is for. */
interface IndexPlace {
  readonly axis: number
  readonly shape: Shape
  /** whether negative indices count from the end */
  readonly fromBack?: boolean
}

/** An index that an axis does not have. */
export class IndexError extends Error {
  override readonly name = 'IndexError'
  /** the index that was given */
  readonly index: number
  /** number of positions on the axis */
  readonly size: number
  readonly #place: IndexPlace | undefined

  constructor(operation: string, index: number, size: number, place?: IndexPlace) {
    const first = place?.fromBack ? -size : 0
    const where = place ? ` on axis ${place.axis} of ${show(place.shape)}` : ''
    super(`${operation}: index ${index} is outside of ${first} … ${size - 1}${where}`)
    this.index = index
    this.size = size
    this.#place = place
  }

  /** The axis, where the operation knows it. */
  get axis(): number | undefined {
    return this.#place?.axis
  }

  /** The same error, of the operation that was called. */
  of(operation: string): IndexError {
    return new IndexError(operation, this.index, this.size, this.#place)
  }
}

/** A shape as text: `[2, 3]`. */
export const show = (shape: Shape): string => `[${shape.join(', ')}]`

/** Number of elements. */
export function sizeOf(shape: Shape): number {
  let size = 1
  for (const n of shape) size *= n
  return size
}

/** Whether two shapes have the same sizes in the same order. */
export const sameShape = (a: Shape, b: Shape): boolean => a.length === b.length && a.every((n, i) => n === b[i])

/** Checks that all sizes are non-negative integers. */
export function checkShape(operation: string, shape: Shape): void {
  for (const n of shape) {
    if (!Number.isSafeInteger(n) || n < 0) throw new ShapeError(`${operation}: ${show(shape)} is not a shape`, shape)
  }
}

/** The most elements that a tensor can have in memory: the longest array of numbers in every version of Node that is supported. */
export const MOST_ELEMENTS = 2 ** 32

/**
 * Checks that memory can be asked for: a view, such as a result of `expand`, may have more elements than that.
 * @throws ShapeError naming the shape and the limit
 */
export function checkElements(operation: string, shape: Shape): void {
  const size = sizeOf(shape)
  if (size > MOST_ELEMENTS) throw tooManyElements(`${operation}: ${show(shape)}`, size, shape)
}

/**
 * The error for more elements than a tensor can hold.
 * @param what the tensor, for the message
 */
export function tooManyElements(what: string, size: number, ...shapes: Shape[]): ShapeError {
  const [count, most] = [size, MOST_ELEMENTS].map(n => n.toLocaleString('en'))
  return new ShapeError(`${what} has ${count} elements; a tensor in memory has at most ${most}`, ...shapes)
}

/** Row-major strides, in elements. */
export function contiguousStrides(shape: Shape): number[] {
  const strides = new Array<number>(shape.length)
  let step = 1
  for (let i = shape.length - 1; i >= 0; i--) {
    strides[i] = step
    step *= shape[i]
  }
  return strides
}

/** Whether the elements are in row-major order without gaps; axes of size 1 may have any stride. */
export function isContiguous(shape: Shape, strides: readonly number[]): boolean {
  let step = 1
  for (let i = shape.length - 1; i >= 0; i--) {
    if (shape[i] !== 1 && strides[i] !== step) return sizeOf(shape) === 0
    step *= shape[i]
  }
  return true
}

/** The non-negative number of an axis; negative axes count from the last. */
export function normalizeAxis(operation: string, axis: number, shape: Shape): number {
  const positive = axis < 0 ? axis + shape.length : axis
  if (!Number.isInteger(axis) || positive < 0 || positive >= shape.length) throw new AxisError(operation, axis, shape)
  return positive
}

/** Distinct axes in ascending order; all axes if none are given. */
export function normalizeAxes(operation: string, axes: number | readonly number[] | undefined, shape: Shape): number[] {
  if (axes === undefined) return shape.map((_, i) => i)
  const list = (typeof axes === 'number' ? [axes] : axes).map(axis => normalizeAxis(operation, axis, shape))
  const distinct = [...new Set(list)].sort((a, b) => a - b)
  if (distinct.length !== list.length)
    throw new ShapeError(`${operation}: axes ${show(list)} name an axis of ${show(shape)} twice`, shape)
  return distinct
}

/** The common shape by NumPy's rule: aligned at the last axis, sizes are equal or one of them is 1. */
export function broadcastShapes(operation: string, ...shapes: Shape[]): number[] {
  const rank = Math.max(0, ...shapes.map(shape => shape.length))
  const result = new Array<number>(rank).fill(1)
  for (const shape of shapes) {
    for (let i = 0; i < shape.length; i++) {
      const at = rank - shape.length + i
      if (shape[i] === 1 || shape[i] === result[at]) continue
      if (result[at] !== 1)
        throw new ShapeError(
          `${operation}: ${shapes.map(show).join(' and ')} do not broadcast: ${result[at]} ≠ ${shape[i]}`,
          ...shapes,
        )
      result[at] = shape[i]
    }
  }
  return result
}

/** Whether a shape broadcasts to another: it has no more axes, and each has the same size or size 1. */
export function broadcastsTo(shape: Shape, target: Shape): boolean {
  const shift = target.length - shape.length
  return shift >= 0 && shape.every((n, i) => n === 1 || n === target[i + shift])
}

/** The strides of a tensor viewed with the broadcast shape: a repeated axis has stride 0. */
export function broadcastStrides(shape: Shape, strides: readonly number[], target: Shape): number[] {
  const shift = target.length - shape.length
  return target.map((n, i) => {
    if (i < shift) return 0
    return shape[i - shift] === 1 && n !== 1 ? 0 : strides[i - shift]
  })
}

/** The shape after a reduction: the axes are removed, or kept with size 1. */
export function reducedShape(shape: Shape, axes: readonly number[], keepDims: boolean): number[] {
  if (keepDims) return shape.map((n, i) => (axes.includes(i) ? 1 : n))
  return shape.filter((_, i) => !axes.includes(i))
}

/** Replaces a single -1 in a new shape by the inferred size. */
export function resolveReshape(shape: Shape, target: Shape): number[] {
  const size = sizeOf(shape)
  const unknown = target.indexOf(-1)
  const known = sizeOf(target.filter(n => n !== -1))
  const resolved = target.map((n, i) => (i === unknown ? (known === 0 ? 0 : size / known) : n))
  if (resolved.some(n => !Number.isSafeInteger(n) || n < 0) || sizeOf(resolved) !== size)
    throw new ShapeError(
      `reshape: ${show(shape)} has ${size} elements and cannot become ${show(target)}`,
      shape,
      target,
    )
  return resolved
}

/** The strides of the same memory with a new shape, or undefined if elements would have to move. */
export function reshapeStrides(shape: Shape, strides: readonly number[], target: Shape): number[] | undefined {
  if (isContiguous(shape, strides)) return contiguousStrides(target)
  const result = new Array<number>(target.length)
  // compare both shapes from the front in groups of equal size; the old axes of a group must be contiguous
  const old = shape.map((n, i) => ({ n, stride: strides[i] })).filter(axis => axis.n !== 1)
  let i = 0
  let j = 0
  while (i < old.length) {
    let oldSize = old[i].n
    let newSize = 1
    const first = i
    const firstNew = j
    do {
      while (newSize < oldSize && j < target.length) newSize *= target[j++]
      while (oldSize < newSize && i + 1 < old.length) {
        i++
        if (old[i - 1].stride !== old[i].stride * old[i].n) return undefined
        oldSize *= old[i].n
      }
    } while (oldSize !== newSize)
    let step = old[i].stride
    for (let k = j - 1; k >= firstNew; k--) {
      result[k] = step
      step *= target[k]
    }
    i = Math.max(i, first) + 1
  }
  for (; j < target.length; j++) result[j] = 1
  return result
}
