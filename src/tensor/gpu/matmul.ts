// The matrix product over strided operands: transposed, sliced and broadcast operands are read in place. A thread
// computes four neighbouring results if the backend can return four, so that a is read once for all of them.

import { broadcastStrides, contiguousStrides, type Shape, sizeOf } from '../shape.ts'
import { along, thread } from './code.ts'
import { fold } from './fold.ts'
import type { Handle, Runtime, Strided } from './runtime.ts'

/** The number of results below which a long inner axis is divided among more threads, and above which a thread computes four. */
const FEW = 4096
const MANY = 16384

/** Maximum length of a float32 sum: longer ones are added in parts, so that the error does not grow with the length. */
const DEEP = 512

/** [..., m, k] times [..., k, n], k > 0; leading axes broadcast. */
export function matmul(runtime: Runtime, a: Strided, b: Strided): Handle {
  const rank = a.shape.length
  const batch = a.shape.slice(0, -2).map((size, i) => (size === 1 ? b.shape[i] : size))
  const [m, k] = a.shape.slice(-2)
  const n = b.shape[rank - 1]
  const length = sizeOf(batch) * m * n
  if (length === 0) return runtime.empty()

  const parts = length < FEW ? partsOf(k, Math.ceil(FEW / length)) : 1
  if (parts > 1) {
    const partial = matmul(runtime, splitAxis(a, rank - 1, parts), splitAxis(b, rank - 2, parts))
    const shape = [parts, length]
    const stacked = { handle: partial, shape, strides: contiguousStrides(shape), offset: 0 }
    const result = fold(runtime, 'sum', [stacked], 0)
    runtime.free(partial)
    return result
  }

  const width = runtime.engine.fourWide && n % 4 === 0 && length >= MANY ? 4 : 1
  const tiles = [...batch, m, n / width]
  const [rowA, stepA] = a.strides.slice(-2)
  const [stepB, columnB] = b.strides.slice(-2)
  const stack = (x: Strided) => broadcastStrides(x.shape.slice(0, -2), x.strides.slice(0, -2), batch)
  const stridesA = [...stack(a), rowA, 0]
  const stridesB = [...stack(b), 0, columnB * width]
  return runtime.run({
    name: 'matmul',
    signature: `matmul ${tiles} ${k} ${width} ${stridesA} ${stepA} ${stridesB} ${stepB}`,
    length,
    width,
    inputs: [a, b],
    body(code, starts) {
      const at = code.coordinates(thread(length / width), tiles)
      const baseA = code.base(at, stridesA, starts[0])
      const baseB = code.base(at, stridesB, starts[1])
      const [stepsA, stepsB] = [code.factor(stepA), code.factor(stepB)]
      const columns = Array.from({ length: width }, (_, i) => i)
      const offsets = columns.map(i => (i === 0 ? '0' : code.size(i * columnB)))
      const each = (statement: (i: number) => string) => columns.map(statement).join(' ')
      const terms = (j: string) =>
        each(i => `s${i}=s${i}+x*a1[${along(i === 0 ? baseB : `add2(${baseB},${offsets[i]})`, j, stepsB)}];`)
      const sums = (j: string, count: number | string) =>
        `${each(i => `s${i}=0.0;`)} for (let j=0;j<${count};j++) { const x=a0[${along(baseA, j, stepsA)}]; ${terms(j)} } ` +
        each(i => `r${i}=r${i}+s${i};`)
      const parts = Math.floor(k / DEEP)
      code.add(each(i => `let r${i}=0.0; let s${i}=0.0;`))
      if (code.needs(parts)) code.add(`for (let p=0;p<${code.passes(parts)};p++) { ${sums(`(p*${DEEP}+j)`, DEEP)} }`)
      if (code.needs(k % DEEP))
        code.add(sums(code.needs(parts) ? `(${code.size(parts * DEEP)}+j)` : 'j', code.passes(k % DEEP)))
      code.add(width === 1 ? 'return r0;' : 'return [r0,r1,r2,r3];')
    },
  })
}

/** The largest useful number of equal parts of k in which each part has enough work. */
function partsOf(k: number, wanted: number): number {
  for (let parts = Math.min(wanted, Math.floor(k / 64)); parts > 1; parts--) if (k % parts === 0) return parts
  return 1
}

/** An axis split into [parts, rest], with the parts as a new first axis. */
function splitAxis(x: Strided, axis: number, parts: number): Strided {
  const rest = x.shape[axis] / parts
  return {
    ...x,
    shape: [parts, ...replaced(x.shape, axis, rest)],
    strides: [x.strides[axis] * rest, ...x.strides],
  }
}

const replaced = (shape: Shape, axis: number, n: number): number[] => shape.map((old, i) => (i === axis ? n : old))
