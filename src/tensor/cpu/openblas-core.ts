// OpenBLAS chooses its kernels for the processor when it is loaded, from a list of models. It does not know the models that
// appeared after its release, and computes on them with kernels of twenty years ago (its core "Prescott"): products take up
// to eight times as long. The environment variable OPENBLAS_CORETYPE names the kernels instead, so the library is loaded again with
// the best ones that the processor has the instructions for.

import { askNode } from '../host.ts'
import type { Koffi } from './foreign.ts'

/** OpenBLAS's names of the x86 kernels that use AVX2 or AVX-512. */
const modern = new Set(
  ['Haswell', 'Zen', 'Excavator', 'SkylakeX', 'Cooperlake', 'Sapphirerapids'].map(n => n.toLowerCase()),
)

/** The kernels with the most instructions of this processor, or undefined if it has neither AVX2 nor AVX-512. */
export function strongestCore(instructions: ReadonlySet<string>): 'SkylakeX' | 'Haswell' | undefined {
  const has = (...names: string[]) => names.every(name => instructions.has(name))
  if (!has('avx2', 'fma')) return undefined
  return has('avx512f', 'avx512dq', 'avx512bw', 'avx512vl', 'avx512cd') ? 'SkylakeX' : 'Haswell'
}

/** The instructions of the processor, as Linux names them; empty elsewhere. */
export function instructionsHere(): ReadonlySet<string> {
  const text = askNode(node => node.getBuiltinModule('node:fs').readFileSync('/proc/cpuinfo', 'utf8'))
  return new Set(
    /^flags\s*:(.*)$/m
      .exec(text ?? '')?.[1]
      .trim()
      .split(/\s+/),
  )
}

/** The kernels that a loaded OpenBLAS uses, or undefined for another library. */
export function coreOf(loaded: ReturnType<Koffi['load']>): string | undefined {
  try {
    return String(loaded.func('str openblas_get_corename()')())
  } catch {
    return undefined
  }
}

/**
 * Loads a library. OpenBLAS that would use kernels without AVX2 on a processor with AVX2 is loaded again with better ones, unless
 * OPENBLAS_CORETYPE is set.
 */
export function loadWithBestCore(
  koffi: Pick<Koffi, 'load'>,
  library: string,
  instructions: () => ReadonlySet<string> = instructionsHere,
): ReturnType<Koffi['load']> {
  const loaded = koffi.load(library)
  const core = coreOf(loaded)
  if (core === undefined || modern.has(core.toLowerCase())) return loaded
  const better = strongestCore(instructions())
  const variables = askNode(node => node.env)
  if (!better || !variables || variables.OPENBLAS_CORETYPE !== undefined) return loaded
  loaded.unload()
  try {
    variables.OPENBLAS_CORETYPE = better
    return koffi.load(library)
  } finally {
    delete variables.OPENBLAS_CORETYPE
  }
}
