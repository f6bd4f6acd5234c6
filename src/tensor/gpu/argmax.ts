// The position of the largest element of a row. Long rows take two stages: one candidate for each part, then the first
// largest among the candidates.

import { contiguousStrides, reducedShape, sizeOf } from '../shape.ts'
import { along, thread } from './code.ts'
import { partsOf } from './fold.ts'
import type { Handle, Runtime, Strided } from './runtime.ts'

/** Compares x0 with the largest so far, m. NaN is the largest: it is not below m, and nothing replaces it. */
const keepLarger = (position: string) => `if (x0<=m) { } else { if (m===m) { m=x0; best=${position}; } }`

/** Index of the first largest element along an axis of at least one element. */
export function argmax(runtime: Runtime, x: Strided, axis: number): Handle {
  const outer = reducedShape(x.shape, [axis], true)
  const rows = sizeOf(outer)
  if (rows === 0) return runtime.empty()
  const n = x.shape[axis]
  const step = x.strides[axis]
  const still = x.strides.map((s, i) => (i === axis ? 0 : s))
  const chunk = Math.ceil(n / partsOf(n, rows))
  const parts = Math.ceil(n / chunk)
  const split = [...outer, parts]
  const candidates = runtime.run({
    name: 'argmax',
    signature: `argmax ${split} ${n} ${still} ${step}`,
    length: rows * parts,
    inputs: [x],
    body(code, starts) {
      const at = code.coordinates(thread(rows * parts), split)
      const base = code.base(at, [...still, 0], starts[0])
      code.add(`const first=${at[at.length - 1].text}*${chunk};`)
      code.add(`let best=first; let m=a0[${along(base, 'first', step)}];`)
      code.add(`for (let t=1;t<${chunk};t++) {`)
      if (n % chunk !== 0) code.add(`if (first+t<${n}) {`)
      code.add(`const x0=a0[${along(base, '(first+t)', step)}]; ${keepLarger('first+t')}`)
      code.add(n % chunk !== 0 ? '} }' : '}')
      code.add('return best;')
    },
  })
  if (parts === 1) return candidates
  const listed = { handle: candidates, shape: split, strides: contiguousStrides(split), offset: 0 }
  const result = runtime.run({
    name: 'argmax',
    signature: `argmax of ${split} ${still} ${step}`,
    length: rows,
    inputs: [x, listed],
    body(code, starts) {
      const at = code.coordinates(thread(rows), outer)
      const base = code.base(at, still, starts[0])
      const list = code.base([thread(rows)], [parts])
      code.add(`let best=a1[${list}]; let m=a0[${along(base, 'best', step)}];`)
      code.add(`for (let t=1;t<${parts};t++) { const c=a1[${along(list, 't', 1)}];`)
      code.add(`const x0=a0[${along(base, 'c', step)}]; ${keepLarger('c')} }`)
      code.add('return best;')
    },
  })
  runtime.free(candidates)
  return result
}
