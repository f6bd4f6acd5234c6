// The functions of machine code as a thread calls them: with addresses in the linear memory, whose start is added. This file is part of
// every thread's program.

import { type CpuModule, reductions } from '../exports.ts'
import { loadKoffi } from '../foreign.ts'
import { addressOf } from '../gemm.ts'

/** Addresses, sizes and steps. */
const integers = (count: number): readonly string[] => new Array<string>(count).fill('intptr_t')

/** The functions, and the types of their arguments. */
const parameters = {
  product: integers(13),
  attention: integers(7),
  attentionGradient: integers(13),
  layerNorm: [...integers(6), 'double'],
  layerNormGradient: [...integers(7), 'double', 'intptr_t'],
  sumColumns: integers(6),
  exp_f32: integers(3),
  sigmoid_f32: integers(3),
  tanh_f32: integers(3),
  gelu: integers(3),
  geluGradient: integers(4),
  adamw: [...integers(5), ...new Array<string>(8).fill('float')],
} as const satisfies Record<string, readonly string[]>

export type FunctionName = keyof typeof parameters

/** Machine code that was placed in memory. It can be sent to a thread: all threads of a process share its memory. */
export interface MachineCode {
  /** file of koffi, the foreign function interface */
  readonly koffi: string
  /** the address of each function */
  readonly functions: Readonly<Record<FunctionName, number>>
}

/** Fewer numbers are added while machine code is called. */
const LEAST_SUMS = 4096

/** What a thread without machine code gives to the compiled kernels, which do not call it. */
export const withoutMachineCode = { product() {} }

/** What a thread calls. */
export interface MachineCalls {
  /** what the compiled kernels import */
  readonly imports: WebAssembly.ModuleImports
  /** The kernels of a module, some of them replaced by machine code, in the same order. */
  kernels(code: CpuModule): CpuModule
}

export function machineCalls({ koffi: file, functions }: MachineCode, memory: WebAssembly.Memory): MachineCalls {
  const koffi = loadKoffi(file)
  // koffi 3.3 prepares a thread for calls when it loads the first library there, and a call before that ends the process
  koffi.load(null)
  // a shared memory is not moved when it grows
  const base = Number(koffi.address(new Uint8Array(memory.buffer)))
  const call = (name: FunctionName) => koffi.decode(functions[name], koffi.proto('void', parameters[name]))
  /** an address of the linear memory */
  const at = (address: number) => base + addressOf(address)
  const product = call('product')
  const attention = call('attention')
  const attentionGradient = call('attentionGradient')
  const layerNorm = call('layerNorm')
  const layerNormGradient = call('layerNormGradient')
  const sumColumns = call('sumColumns')
  const gelu = call('gelu')
  const geluGradient = call('geluGradient')
  const adamw = call('adamw')
  const exp = call('exp_f32')
  const sigmoid = call('sigmoid_f32')
  const tanh = call('tanh_f32')
  return {
    imports: {
      product(
        c: number,
        a: number,
        b: number,
        m: number,
        n: number,
        k: number,
        rowA: number,
        columnA: number,
        rowB: number,
        columnB: number,
        stepC: number,
        scratch: number,
        bias: number,
      ) {
        const row = bias === 0 ? 0 : at(bias)
        product(at(c), at(a), at(b), m, n, k, rowA, columnA, rowB, columnB, stepC, at(scratch), row)
      },
    },
    kernels: code => ({
      ...code,
      attention: (out, numbers, first, last, scores, scratch) =>
        attention(at(out), at(numbers), first, last, at(scores), at(scratch), base),
      attentionGradient: (outQ, outK, outV, numbers, g, gBatch, gHead, gToken, first, last, scores, scratch) =>
        attentionGradient(
          at(outQ),
          at(outK),
          at(outV),
          at(numbers),
          at(g),
          gBatch,
          gHead,
          gToken,
          first,
          last,
          at(scores),
          at(scratch),
          base,
        ),
      layerNorm: (out, x, weight, bias, rows, n, epsilon) =>
        layerNorm(at(out), at(x), at(weight), at(bias), rows, n, epsilon),
      layerNormGradient: (out, sums, g, x, weight, rows, n, epsilon, run) =>
        layerNormGradient(at(out), at(sums), at(g), at(x), at(weight), rows, n, epsilon, at(run)),
      columns_f32: (name, out, x, outer, n, inner, step, sums) =>
        name === reductions.sum && n * inner >= LEAST_SUMS
          ? sumColumns(at(out), at(x), outer, n, inner, step)
          : code.columns_f32(name, out, x, outer, n, inner, step, sums),
      exp_f32: (out, x, n) => exp(at(out), at(x), n),
      sigmoid_f32: (out, x, n) => sigmoid(at(out), at(x), n),
      tanh_f32: (out, x, n) => tanh(at(out), at(x), n),
      gelu: (out, x, n) => gelu(at(out), at(x), n),
      geluGradient: (out, g, x, n) => geluGradient(at(out), at(g), at(x), n),
      adamw: (x, g, m, v, n, ...numbers) => adamw(at(x), at(g), at(m), at(v), n, ...numbers),
    }),
  }
}
