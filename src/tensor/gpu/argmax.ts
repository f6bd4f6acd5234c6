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
      const [steps, count] = [code.factor(step), code.size(chunk)]
      code.add(`const first=${at[at.length - 1].text}*${count};`)
      code.add(`let best=first; let m=a0[${along(base, 'first', steps)}];`)
      code.add(`for (let t=1;t<${code.passes(chunk)};t++) {`)
      if (n % chunk !== 0) code.add(`if (first+t<${code.size(n)}) {`)
      code.add(`const x0=a0[${along(base, '(first+t)', steps)}]; ${keepLarger('first+t')}`)
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
      const steps = code.factor(step)
      code.add(`let best=a1[${list}]; let m=a0[${along(base, 'best', steps)}];`)
      code.add(`for (let t=1;t<${code.passes(parts)};t++) { const c=a1[${along(list, 't', code.factor(1))}];`)
      code.add(`const x0=a0[${along(base, 'c', steps)}]; ${keepLarger('c')} }`)
      code.add('return best;')
    },
  })
  runtime.free(candidates)
  return result
}
