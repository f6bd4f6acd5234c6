// Compiles the kernels of the cpu device, src/tensor/cpu/assembly/, with and without relaxed SIMD, for 32-bit and for 64-bit
// addresses, bundles the program of its threads, and writes all as text into modules for browsers and Node: src/tensor/cpu/module.ts,
// and module64.ts, which is loaded only where it is used. The filters of pictures, src/data/images/assembly/, become
// src/data/images/filters.ts. The modules also declare the signatures of what they export, because WebAssembly accepts calls with any
// number of arguments and TypeScript does not.

import { execFile } from 'node:child_process'
import { rename, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { build } from 'esbuild'
import type { CompileOptions } from './compile-kernels.ts'
import { difference } from './difference.ts'

const root = fileURLToPath(new URL('..', import.meta.url))

/** The generated files. */
export const targets = {
  module: `${root}src/tensor/cpu/module.ts`,
  module64: `${root}src/tensor/cpu/module64.ts`,
  filters: `${root}src/data/images/filters.ts`,
} as const

interface Compiled {
  /** the binary, as base64 */
  readonly code: string
  /** the signatures of its exports, one per line */
  readonly signatures: string
}

async function compile(options: CompileOptions): Promise<Compiled> {
  const program = fileURLToPath(new URL('compile-kernels.ts', import.meta.url))
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--import', 'tsx', program, JSON.stringify(options)],
    { cwd: root, maxBuffer: 2 ** 24 },
  )
  return JSON.parse(stdout) as Compiled
}

const bytesOf = ({ code }: Compiled): Uint8Array => Buffer.from(code, 'base64')

/** The program of a thread with all of its imports, as text. */
async function threadProgram(): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [`${root}src/tensor/cpu/worker.ts`],
    bundle: true,
    write: false,
    minify: true,
    format: 'iife',
    target: 'es2022',
  })
  return outputFiles[0].text.trim()
}

/** The binaries of a module, as text. */
function binaries(simd: Compiled, relaxed: Compiled): string {
  return `/** WebAssembly with SIMD. */
export const simdModule =
  '${simd.code}'

/** What differs from it with relaxed SIMD, where a product plus a sum is one instruction. */
export const relaxedDifference =
  '${Buffer.from(difference(bytesOf(simd), bytesOf(relaxed))).toString('base64')}'
`
}

/**
 * The generated modules, as text.
 * @param options.quick for quick tests: not optimised, and with relaxed SIMD in both binaries
 */
export async function generate({
  quick = false,
}: {
  readonly quick?: boolean
} = {}): Promise<Record<keyof typeof targets, string>> {
  const optimization = quick ? 0 : 2
  const both = async (addresses: 32 | 64): Promise<[simd: Compiled, relaxed: Compiled]> => {
    const relaxed = compile({ program: 'cpu', addresses, relaxed: true, optimization })
    return Promise.all([
      quick ? relaxed : compile({ program: 'cpu', addresses, relaxed: false, optimization }),
      relaxed,
    ])
  }
  const [narrow, program] = await Promise.all([both(32), threadProgram()])
  const wide = await both(64)
  const filters = await compile({ program: 'filters', addresses: 32, relaxed: false, optimization })
  return {
    module: `// The compiled kernels of the cpu device, as base64, their signatures, and the program of its threads. Made of assembly/ and
// worker.ts by \`npm run -s build:kernels\`, not by hand.

${binaries(...narrow)}
/** What all modules export: addresses are in bytes, counts in elements. */
export interface CpuModule {
${narrow[1].signatures}}

/** worker.ts as a program of its own. */
export const threadProgram =
  ${JSON.stringify(program)}
`,
    module64: `// The compiled kernels of the cpu device for a memory with 64-bit addresses, as base64. Made of assembly/ by
// \`npm run -s build:kernels\`, not by hand.

${binaries(...wide)}`,
    filters: `// The compiled filters of pictures, as base64, and their signatures. Made of assembly/ by \`npm run -s build:kernels\`, not by hand.

/** WebAssembly with SIMD. */
export const filtersModule =
  '${filters.code}'

/** What the module exports: addresses are in bytes. */
export interface Filters {
${filters.signatures}}
`,
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const texts = await generate({ quick: process.argv.includes('--quick') })
  for (const [name, target] of Object.entries(targets)) {
    const text = texts[name as keyof typeof targets]
    await writeFile(`${target}.tmp`, text)
    await rename(`${target}.tmp`, target)
    console.log(`${target}: ${text.length} bytes`)
  }
}
