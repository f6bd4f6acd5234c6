// The order of the elements of a line, by merging: runs of one element become runs of two, of four, and so on. A thread
// computes one position of a merged run: it searches for the number of elements before it that come from the first of the two
// runs. A line of n elements takes log₂ n kernel calls of n threads with log₂ n steps each; nothing is read by the host.

import { contiguousStrides, sizeOf } from '../shape.ts'
import { along, thread } from './code.ts'
import type { Handle, Runtime, Strided } from './runtime.ts'

/** Whether p stays before q, which follows it. NaN is the largest. */
const isInOrder = (descending: boolean, p: string, q: string) =>
  descending ? `${p}>=${q} || ${p}!==${p}` : `${p}<=${q} || ${q}!==${q}`

/** The positions along an axis in the order of their elements. */
export function argsort(runtime: Runtime, x: Strided, axis: number, descending: boolean): Handle {
  const n = x.shape[axis]
  const size = sizeOf(x.shape)
  if (size === 0) return runtime.empty()
  if (n === 1) return runtime.upload(new Float32Array(size))
  let order: Handle | undefined
  for (let width = 1; width < n; width *= 2) {
    const merged = merge(runtime, x, axis, descending, width, order)
    if (order) runtime.free(order)
    order = merged
  }
  return order!
}

/**
 * Merges every two sorted runs that follow each other.
 * @param width length of a run
 * @param order positions along the axis, sorted in each run; undefined if they are in the order of the axis
 */
function merge(
  runtime: Runtime,
  x: Strided,
  axis: number,
  descending: boolean,
  width: number,
  order: Handle | undefined,
): Handle {
  const n = x.shape[axis]
  const length = sizeOf(x.shape)
  const step = x.strides[axis]
  const still = x.strides.map((s, i) => (i === axis ? 0 : s))
  const ordered = contiguousStrides(x.shape)
  const stillOrdered = ordered.map((s, i) => (i === axis ? 0 : s))
  const sorted = order ? [{ handle: order, shape: x.shape, strides: ordered, offset: 0 }] : []
  return runtime.run({
    name: 'argsort',
    signature: `argsort ${x.shape} ${still} ${step} ${axis} ${descending} ${order === undefined}`,
    length,
    inputs: [x, ...sorted],
    // one kernel for all widths but the first; multiplication by a power of two is exact
    scalars: [width, 1 / (2 * width)],
    body(code, starts) {
      const at = code.coordinates(thread(length), x.shape)
      const place = at[axis].text
      const base = code.base(at, still, starts[0])
      const list = order && code.base(at, stillOrdered)
      /** the position along the axis that stands at a place of the sorted runs */
      const [steps, orderedSteps, count] = [code.factor(step), code.factor(ordered[axis]), code.size(n)]
      const positionAt = (text: string) => (list ? `a1[${along(list, text, orderedSteps)}]` : text)
      const valueAt = (text: string) => `a0[${along(base, text, steps)}]`
      // the two runs begin at `left` and `right`
      code.add(`const left=Math.floor(${place}*s1)*(s0+s0);`)
      code.add(`const before=${place}-left;`)
      code.add(`const right=Math.min(left+s0,${count});`)
      code.add(`const inRight=Math.min(${count}-right,s0);`)
      // of `before` elements, `low` … `high` are from the left run
      code.add('let low=Math.max(0,before-inRight);')
      code.add('let high=Math.min(before,right-left);')
      code.add(`for (let t=0;t<${code.passes(Math.ceil(Math.log2(n)))};t++) { if (low<high) {`)
      code.add('const middle=Math.floor((low+high)*0.5);')
      code.add(`const c=${positionAt('(left+middle)')}; const d=${positionAt('(right+before-middle-1)')};`)
      code.add(`const u=${valueAt('c')}; const v=${valueAt('d')};`)
      code.add(`if (${isInOrder(descending, 'u', 'v')}) { low=middle+1; } else { high=middle; } } }`)
      code.add('const next=before-low;')
      code.add(`if (low>=right-left) { return ${positionAt('(right+next)')}; }`)
      code.add(`const e=${positionAt('(left+low)')};`)
      code.add('if (next>=inRight) { return e; }')
      code.add(`const f=${positionAt('(right+next)')};`)
      code.add(`const p=${valueAt('e')}; const q=${valueAt('f')};`)
      code.add(`if (${isInOrder(descending, 'p', 'q')}) { return e; }`)
      code.add('return f;')
    },
  })
}
