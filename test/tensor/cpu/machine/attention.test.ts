// Attention and its gradient in machine code, with each set of instructions that the processor has, beside the compiled kernels: heads of
// every size, with masks, causal, with any scale, and guarded memory around the results.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { CpuModule } from '../../../../src/tensor/cpu/exports.ts'
import { machineCalls, withoutMachineCode } from '../../../../src/tensor/cpu/machine/call.ts'
import type { LoadedCode } from '../../../../src/tensor/cpu/machine/memory.ts'
import { simdModule } from '../../../../src/tensor/cpu/module.ts'
import { Generator } from '../../../../src/tensor/index.ts'
import { fc, runs } from '../../../support.ts'
import { codeWith, everyInstructions, missing } from './support.ts'

const memory = new WebAssembly.Memory({ initial: 160, maximum: 160, shared: true })
const floats = new Float32Array(memory.buffer)
const words = new Int32Array(memory.buffer)
const bytes = new Uint8Array(memory.buffer)
const { exports } = new WebAssembly.Instance(new WebAssembly.Module(Buffer.from(simdModule, 'base64')), {
  env: { memory },
  math: Math as unknown as WebAssembly.ModuleImports,
  blas: { sgemm() {}, dgemm() {} },
  machine: withoutMachineCode,
})
const compiled = exports as unknown as CpuModule

const GUARD = 32
const GUARDED = 0x7fa12345

interface Call {
  readonly batch: number
  readonly heads: number
  readonly queries: number
  readonly keys: number
  readonly width: number
  readonly size: number
  readonly causal: boolean
  readonly scale: number
  /** the share of keys that the mask forbids, and which of its axes are there */
  readonly mask?: { readonly forbidden: number; readonly axes: readonly boolean[] }
  readonly hasNaN: boolean
  readonly seed: number
}

const calls: fc.Arbitrary<Call> = fc.record({
  batch: fc.integer({ min: 1, max: 2 }),
  heads: fc.integer({ min: 1, max: 3 }),
  queries: fc.integer({ min: 1, max: 40 }),
  // rows of one to four vectors, and longer ones
  keys: fc.oneof(fc.integer({ min: 1, max: 70 }), fc.integer({ min: 71, max: 200 })),
  width: fc.integer({ min: 1, max: 40 }),
  size: fc.integer({ min: 1, max: 40 }),
  causal: fc.boolean(),
  scale: fc.constantFrom(0.25, 1, -0.5, 0),
  mask: fc.option(
    fc.record({
      forbidden: fc.constantFrom(0, 0.3, 1),
      axes: fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }),
    }),
    { nil: undefined },
  ),
  hasNaN: fc.oneof({ weight: 4, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
  seed: fc.nat(),
})

/** The result and the gradients of q, k and v. */
function results(kernels: CpuModule, call: Call): Record<'out' | 'byQ' | 'byK' | 'byV', number[]> {
  const { batch, heads, queries, keys, width, size, causal, scale, mask, hasNaN, seed } = call
  const generator = new Generator(seed)
  let top = 0x40000
  const take = (count: number): number => {
    const at = top
    top += 64 * Math.ceil(count / 16) + 64
    return at
  }
  /** [batch, tokens, heads, n], as a layer makes it */
  const input = (tokens: number, n: number) => {
    const at = take(batch * tokens * heads * n)
    for (let i = 0; i < batch * tokens * heads * n; i++) floats[at / 4 + i] = generator.normal()
    return { at, steps: [4 * tokens * heads * n, 4 * n, 4 * heads * n] as const }
  }
  const [q, k, v, g] = [input(queries, width), input(keys, width), input(keys, size), input(queries, size)]
  if (hasNaN) floats[q.at / 4] = Number.NaN
  const axes = [batch, heads, queries, keys].map((count, i) => (mask?.axes[i] ? count : 1))
  const maskAt = mask ? take(axes[0] * axes[1] * axes[2] * axes[3]) : 0
  if (mask)
    for (let i = 0; i < axes[0] * axes[1] * axes[2] * axes[3]; i++)
      bytes[maskAt + i] = generator.uniform() < mask.forbidden ? 0 : 1
  const maskSteps = axes.map((count, i) => (count === 1 ? 0 : axes.slice(i + 1).reduce((a, b) => a * b, 1)))
  const numbers = take(28)
  new Float64Array(memory.buffer).set([q.at, k.at, v.at, maskAt], numbers / 8)
  words.set([heads, queries, keys, width, size, causal ? 1 : 0], numbers / 4 + 8)
  floats[numbers / 4 + 14] = scale
  words.set([...q.steps, ...k.steps, ...v.steps, ...maskSteps], numbers / 4 + 15)
  const scores = take(2 * queries * keys)
  const scratch = take(compiled.scratchBytes() / 4)
  const place = (count: number) => {
    const at = take(count + 2 * GUARD) + 4 * GUARD
    words.fill(GUARDED, at / 4 - GUARD, at / 4 + count + GUARD)
    return { at, count }
  }
  const count = batch * heads
  const out = place(count * queries * size)
  const [byQ, byK, byV] = [place(count * queries * width), place(count * keys * width), place(count * keys * size)]
  kernels.attention(out.at, numbers, 0, count, scores, scratch)
  // in two parts, as two threads would
  for (const [first, last] of [
    [0, 1],
    [1, count],
  ])
    kernels.attentionGradient(byQ.at, byK.at, byV.at, numbers, g.at, ...g.steps, first, last, scores, scratch)
  const read = ({ at, count }: { readonly at: number; readonly count: number }): number[] => {
    for (let i = 1; i <= GUARD; i++) {
      assert.equal(words[at / 4 - i], GUARDED, `the number ${i} before a result was written`)
      assert.equal(words[at / 4 + count + i - 1], GUARDED, `the number ${i} behind a result was written`)
    }
    return Array.from(floats.subarray(at / 4, at / 4 + count))
  }
  return { out: read(out), byQ: read(byQ), byK: read(byK), byV: read(byV) }
}

for (const instructions of everyInstructions)
  describe(`attention with ${instructions}`, { skip: missing(instructions) }, () => {
    test('has the result and the gradients of the compiled kernels', () => {
      const machine = machineCalls(codeWith(instructions) as LoadedCode, memory).kernels(compiled)
      fc.assert(
        fc.property(calls, call => {
          const [expected, found] = [results(compiled, call), results(machine, call)]
          for (const name of ['out', 'byQ', 'byK', 'byV'] as const) {
            const largest = expected[name].reduce(
              (most, x) => (Number.isFinite(x) ? Math.max(most, Math.abs(x)) : most),
              1,
            )
            expected[name].forEach((value, i) => {
              const isSame = Number.isNaN(value)
                ? Number.isNaN(found[name][i])
                : Math.abs(found[name][i] - value) <= 4e-6 * largest
              assert.ok(isSame, `${name}[${i}] is ${found[name][i]}, not ${value}`)
            })
          }
        }),
        runs(60),
      )
    })
  })
