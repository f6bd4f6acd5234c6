// Iteration over several views of one shape: axes of size one are dropped, axes that are contiguous in every view are
// joined, and a kernel gets the remaining axes three at a time. Nothing is allocated.

import type { Shape } from '../shape.ts'
import type { KernelThreads, Lane } from './threads.ts'

/** A shape with strides, in elements. */
export interface Laid {
  readonly shape: Shape
  readonly strides: readonly number[]
}

/** One element for all positions. */
export const scalar: Laid = { shape: [], strides: [] }

/** The number of elements from which a kernel takes longer than its call, so that walking through memory in order is faster. */
const FEW = 512

/** The stride in elements along an axis of a shape to which a view broadcasts. */
function stepOf(view: Laid, axis: number, rank: number): number {
  const own = axis - rank + view.shape.length
  return own < 0 || view.shape[own] === 1 ? 0 : view.strides[own]
}

/** A kernel's work on the inner axes: the start of each view in bytes, and the number of elements before it. */
type Part = (x: number, y: number, z: number, before: number) => void

/** The same for a part of the three inner axes, n2 × n1 × n0, for one thread. */
type SharedPart = (
  lane: Lane,
  x: number,
  y: number,
  z: number,
  before: number,
  n2: number,
  n1: number,
  n0: number,
) => void

/** The joined axes of up to three views; n0, x0, y0 and z0 belong to the innermost one, and steps are in bytes. */
export class Axes {
  n2 = 1
  n1 = 1
  n0 = 1
  x2 = 0
  x1 = 0
  x0 = 0
  y2 = 0
  y1 = 0
  y0 = 0
  z2 = 0
  z1 = 0
  z0 = 0
  #count = 0
  readonly #sizes: number[] = []
  readonly #x: number[] = []
  readonly #y: number[] = []
  readonly #z: number[] = []

  /** Sets the views, which broadcast to a common shape, each with its element size in bytes. */
  join(shape: Shape, x: Laid, bytesX: number, y: Laid = scalar, bytesY = 4, z: Laid = scalar, bytesZ = 4): void {
    const rank = shape.length
    let last = -1
    for (let axis = 0; axis < rank; axis++) {
      const n = shape[axis]
      if (n === 1) continue
      const stepX = stepOf(x, axis, rank) * bytesX
      const stepY = stepOf(y, axis, rank) * bytesY
      const stepZ = stepOf(z, axis, rank) * bytesZ
      if (last >= 0 && this.#x[last] === stepX * n && this.#y[last] === stepY * n && this.#z[last] === stepZ * n) {
        this.#sizes[last] *= n
      } else this.#sizes[++last] = n
      this.#x[last] = stepX
      this.#y[last] = stepY
      this.#z[last] = stepZ
    }
    this.#count = last + 1
    this.#setInner()
  }

  /**
   * Moves the two largest axes next to the innermost one if a kernel would have few elements otherwise: for work that may be done in any
   * order, and does not need the number of elements before.
   */
  largestInside(): void {
    const last = this.#count - 1
    if (last < 3 || this.n2 * this.n1 * this.n0 >= FEW) return
    const isLarger = (a: number, b: number) => this.#sizes[a] >= this.#sizes[b]
    let [first, second] = isLarger(1, 0) ? [1, 0] : [0, 1]
    for (let axis = 2; axis < last; axis++)
      if (isLarger(axis, first)) [first, second] = [axis, first]
      else if (isLarger(axis, second)) second = axis
    this.#move(Math.max(first, second), last - 1)
    this.#move(Math.min(first, second), last - 2)
    this.#setInner()
  }

  /** Moves an axis inside, past all axes up to a place. */
  #move(axis: number, to: number): void {
    for (const list of [this.#sizes, this.#x, this.#y, this.#z])
      for (let i = axis; i < to; i++) [list[i], list[i + 1]] = [list[i + 1], list[i]]
  }

  #setInner(): void {
    const last = this.#count - 1
    this.n0 = last >= 0 ? this.#sizes[last] : 1
    this.x0 = last >= 0 ? this.#x[last] : 0
    this.y0 = last >= 0 ? this.#y[last] : 0
    this.z0 = last >= 0 ? this.#z[last] : 0
    this.n1 = last >= 1 ? this.#sizes[last - 1] : 1
    this.x1 = last >= 1 ? this.#x[last - 1] : 0
    this.y1 = last >= 1 ? this.#y[last - 1] : 0
    this.z1 = last >= 1 ? this.#z[last - 1] : 0
    this.n2 = last >= 2 ? this.#sizes[last - 2] : 1
    this.x2 = last >= 2 ? this.#x[last - 2] : 0
    this.y2 = last >= 2 ? this.#y[last - 2] : 0
    this.z2 = last >= 2 ? this.#z[last - 2] : 0
  }

  /**
   * Calls `part` for the inner axes, at every position of the outer axes, or at those from one to another.
   * @param from the number of positions before the first
   */
  each(inner: 2 | 3, part: Part, from = 0, to = this.#positions(inner)): void {
    const outer = this.#count - inner
    const size = inner === 3 ? this.n2 * this.n1 * this.n0 : this.n1 * this.n0
    for (let position = from; position < to; position++) {
      let [x, y, z, rest] = [0, 0, 0, position]
      for (let axis = outer - 1; axis >= 0; axis--) {
        const n = this.#sizes[axis]
        const i = rest % n
        rest = (rest - i) / n
        x += i * this.#x[axis]
        y += i * this.#y[axis]
        z += i * this.#z[axis]
      }
      part(x, y, z, position * size)
    }
  }

  /** The number of positions of the outer axes. */
  #positions(inner: 2 | 3): number {
    let positions = 1
    for (let axis = 0; axis < this.#count - inner; axis++) positions *= this.#sizes[axis]
    return positions
  }

  /**
   * Calls `part` for the three inner axes at every position of the outer axes. Each thread gets `grain` elements or more: some of the
   * positions, or if these have many elements, a part of each.
   */
  share(threads: KernelThreads, grain: number, part: SharedPart): void {
    const { n2, n1, n0, x2, y2, z2, x1, y1, z1, x0, y0, z0 } = this
    const positions = this.#positions(3)
    const size = n2 * n1 * n0
    if (positions > 1 && size < 2 * grain) {
      threads.share(positions, Math.ceil(grain / size), (lane, from, to) =>
        this.each(3, (x, y, z, before) => part(lane, x, y, z, before, n2, n1, n0), from, to),
      )
      return
    }
    this.each(3, (x, y, z, before) => {
      if (n2 > 1)
        threads.share(n2, Math.ceil(grain / (n1 * n0)), (lane, from, to) =>
          part(lane, x + from * x2, y + from * y2, z + from * z2, before + from * n1 * n0, to - from, n1, n0),
        )
      else if (n1 > 1)
        threads.share(n1, Math.ceil(grain / n0), (lane, from, to) =>
          part(lane, x + from * x1, y + from * y1, z + from * z1, before + from * n0, 1, to - from, n0),
        )
      else
        threads.share(
          n0,
          grain,
          (lane, from, to) => part(lane, x + from * x0, y + from * y0, z + from * z0, before + from, 1, 1, to - from),
          64,
        )
    })
  }
}
