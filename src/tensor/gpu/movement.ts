// Operations that only move elements: gather, its transpose scatterAdd, pad and concat.

import { allocate } from '../dtype.ts'
import { contiguousStrides, type Shape, sizeOf } from '../shape.ts'
import { along, joinAxes, thread } from './code.ts'
import { checkIndices, segmentsOf } from './indices.ts'
import { type Handle, type Runtime, type Strided, wholeOf } from './runtime.ts'

/** The strides of a view, with stride 0 along one axis. */
const stillAlong = (axis: number, strides: readonly number[]) => strides.map((s, i) => (i === axis ? 0 : s))

/** out[…, i, …] = x[…, indices[…, i, …], …] */
export function gather(runtime: Runtime, x: Strided, axis: number, indices: Strided): Handle {
  const { shape } = indices
  const length = sizeOf(shape)
  if (length === 0) return runtime.empty()
  checkIndices('gather', indices, x.shape, axis)
  const joined = joinAxes(shape, [stillAlong(axis, x.strides), indices.strides])
  const step = x.strides[axis]
  return runtime.run({
    name: 'gather',
    signature: `gather ${joined.shape} ${joined.strides.join(';')} ${step}`,
    length,
    inputs: [x, indices],
    body(code, starts) {
      const at = code.coordinates(thread(length), joined.shape)
      const base = code.base(at, joined.strides[0], starts[0])
      code.add(`const index=a1[${code.position(at, joined.strides[1], starts[1])}];`)
      code.add(`return a0[${along(base, 'index', code.factor(step))}];`)
    },
  })
}

/**
 * Zeros of `shape` with out[…, indices[…, i, …], …] += updates[…, i, …]. Several threads cannot add to one place on a GPU,
 * so every result searches for its updates: in lists sorted by the host, if the host has the indices,
 * otherwise among all of them.
 */
export function scatterAdd(runtime: Runtime, shape: Shape, axis: number, indices: Strided, updates: Strided): Handle {
  const length = sizeOf(shape)
  if (length === 0 && sizeOf(indices.shape) === 0) return runtime.empty()
  if (sizeOf(indices.shape) === 0) return runtime.upload(new Float32Array(length))
  checkIndices('scatterAdd', indices, shape, axis)
  const count = indices.shape[axis]
  const base = stillAlong(axis, updates.strides)
  const step = updates.strides[axis]
  const segments = segmentsOf(indices, axis, shape[axis])
  if (segments) {
    const start = wholeOf(runtime.upload(segments.start))
    const order = wholeOf(runtime.upload(segments.order))
    const result = runtime.run({
      name: 'scatterAdd',
      signature: `scatter sorted ${shape} ${indices.shape} ${axis} ${base} ${step} ${segments.strides}`,
      length,
      inputs: [updates, start, order],
      body(code, starts) {
        const at = code.coordinates(thread(length), shape)
        const from = code.base(at, base, starts[0])
        const segment = code.base(at, segments.strides)
        code.add(`const first=a1[${segment}];`)
        code.add(`const n=a1[add2(${segment},1)]-first;`)
        code.add('let r=0.0;')
        code.add(
          `for (let t=0;t<n;t++) { const index=a2[add2(first,t)]; r=r+a0[${along(from, 'index', code.factor(step))}]; }`,
        )
        code.add('return r;')
      },
    })
    runtime.free(start.handle)
    runtime.free(order.handle)
    return result
  }

  const look = stillAlong(axis, indices.strides)
  return runtime.run({
    name: 'scatterAdd',
    signature: `scatter ${shape} ${indices.shape} ${axis} ${base} ${step} ${indices.strides}`,
    length,
    inputs: [updates, indices],
    body(code, starts) {
      const at = code.coordinates(thread(length), shape)
      const from = code.base(at, base, starts[0])
      const index = code.base(at, look, starts[1])
      code.add(`const own=${at[axis].text};`)
      const read = along(index, 't', code.factor(indices.strides[axis]))
      const add = along(from, 't', code.factor(step))
      code.add('let r=0.0;')
      code.add(`for (let t=0;t<${code.passes(count)};t++) { if (a1[${read}]===own) { r=r+a0[${add}]; } }`)
      code.add('return r;')
    },
  })
}

/** Pads with a constant. */
export function pad(
  runtime: Runtime,
  x: Strided,
  padding: readonly (readonly [number, number])[],
  value: number,
): Handle {
  const shape = x.shape.map((n, i) => n + padding[i][0] + padding[i][1])
  const length = sizeOf(shape)
  if (length === 0) return runtime.empty()
  if (sizeOf(x.shape) === 0) return runtime.upload(allocate('float32', shape, 'pad').fill(value) as Float32Array)
  const padded = (axis: number) => padding[axis][0] + padding[axis][1] > 0
  const joined = joinAxes(shape, [x.strides], padded)
  const bounds = joined.axes.map(i => (padded(i) ? { before: padding[i][0], n: x.shape[i] } : null))
  return runtime.run({
    name: 'pad',
    signature: `pad ${joined.shape} ${joined.strides[0]} ${bounds.map(b => (b ? `${b.before}:${b.n}` : '-'))}`,
    length,
    inputs: [x],
    scalars: [value],
    body(code, starts) {
      const at = code.coordinates(thread(length), joined.shape)
      const shifted = at.map((coordinate, i) => {
        const bound = bounds[i]
        if (!bound) return coordinate
        const { before, n } = bound
        code.add(`if (${coordinate.text}>=${code.size(before + n)}) { return s0; }`)
        if (before === 0) return { ...coordinate, max: n - 1 }
        const first = code.size(before)
        code.add(`if (${coordinate.text}<${first}) { return s0; }`)
        return code.name({ text: `${coordinate.text}-${first}`, max: n - 1 })
      })
      code.add(`return a0[${code.position(shifted, joined.strides[0], starts[0])}];`)
    },
  })
}

/** Joins tensors along an axis. */
export function concat(runtime: Runtime, parts: readonly Strided[], axis: number): Handle {
  const xs = parts.filter(x => sizeOf(x.shape) > 0)
  if (xs.length === 0) return runtime.empty()
  const { maxArrays } = runtime.engine
  if (xs.length > maxArrays) {
    // in groups first: the number of arrays that a kernel can read is limited
    const size = Math.ceil(xs.length / Math.ceil(xs.length / maxArrays))
    const groups: Strided[] = []
    for (let i = 0; i < xs.length; i += size) {
      const group = xs.slice(i, i + size)
      const shape = joinedShape(group, axis)
      groups.push({ handle: concat(runtime, group, axis), shape, strides: contiguousStrides(shape), offset: 0 })
    }
    const result = concat(runtime, groups, axis)
    for (const group of groups) runtime.free(group.handle)
    return result
  }
  const shape = joinedShape(xs, axis)
  const length = sizeOf(shape)
  return runtime.run({
    name: 'concat',
    signature: `concat ${shape} ${axis} ${xs.map(x => x.shape[axis])} ${xs.map(x => x.strides).join(';')}`,
    length,
    inputs: xs,
    body(code, starts) {
      const at = code.coordinates(thread(length), shape)
      const own = at[axis].text
      let begin = ''
      xs.forEach((x, i) => {
        const last = i === xs.length - 1
        const shift = begin
        begin = last ? '' : code.size(xs.slice(0, i + 1).reduce((sum, part) => sum + part.shape[axis], 0))
        if (!last) code.add(`if (${own}<${begin}) {`)
        const shifted = at.map((coordinate, j) =>
          j === axis && i > 0 ? { text: `(${own}-${shift})`, max: x.shape[axis] - 1 } : coordinate,
        )
        code.add(`return a${i}[${code.position(shifted, x.strides, starts[i])}];`)
        if (!last) code.add('}')
      })
    },
  })
}

function joinedShape(xs: readonly Strided[], axis: number): number[] {
  const shape = [...xs[0].shape]
  shape[axis] = xs.reduce((sum, x) => sum + x.shape[axis], 0)
  return shape
}
