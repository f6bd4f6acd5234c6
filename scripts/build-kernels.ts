// Compiles the kernels of the cpu device, src/tensor/cpu/assembly/, with and without relaxed SIMD, bundles the program of
// its threads, and writes all as text into one module for browsers and Node: src/tensor/cpu/module.ts. The module also declares
// the signatures of the kernels, because WebAssembly accepts calls with any number of arguments and TypeScript does not.

import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { build } from 'esbuild'
import { difference } from './difference.ts'

const root = fileURLToPath(new URL('..', import.meta.url))

/** The path of the compiler. */
export const compiler = `${root}node_modules/assemblyscript/bin/asc.js`

/** The generated file. */
export const target = `${root}src/tensor/cpu/module.ts`

interface Compiled {
  /** the binary, as base64 */
  readonly code: string
  /** the signatures of its exports, one per line */
  readonly signatures: string
}

async function compile(features: readonly string[], optimization = '-O2'): Promise<Compiled> {
  const folder = await mkdtemp(`${tmpdir()}/kernels-`)
  try {
    const binary = `${folder}/kernels.wasm`
    const options = [
      ...['src/tensor/cpu/assembly/index.ts', '--config', 'none', '--outFile', binary, '--bindings', 'raw'],
      ...[optimization, '--noAssert', '--uncheckedBehavior', 'always', '--runtime', 'stub'],
      ...['--importMemory', '--noExportMemory', '--zeroFilledMemory'],
      // threads share one memory
      ...['--enable', 'threads', '--sharedMemory', '--initialMemory', '64', '--maximumMemory', '65536'],
      ...features.flatMap(feature => ['--enable', feature]),
    ]
    await promisify(execFile)(process.execPath, [compiler, ...options], { cwd: root })
    const declarations = await readFile(`${folder}/kernels.d.ts`, 'utf8')
    const found = [...declarations.matchAll(/export function (\w+)(\(.*\)): (\w+);/g)]
    const signatures = found.map(([, name, parameters, result]) => `  ${name}${parameters}: ${result}\n`).join('')
    return { code: await readFile(binary, 'base64'), signatures }
  } finally {
    await rm(folder, { recursive: true })
  }
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

/**
 * The generated module, as text.
 * @param options.quick for quick tests: not optimised, and with relaxed SIMD in both binaries
 */
export async function generate({ quick = false }: { readonly quick?: boolean } = {}): Promise<string> {
  const withRelaxed = compile(['simd', 'relaxed-simd'], quick ? '-O0' : undefined)
  const [simd, relaxed, program] = await Promise.all([
    quick ? withRelaxed : compile(['simd']),
    withRelaxed,
    threadProgram(),
  ])
  return `// The compiled kernels of the cpu device, as base64, their signatures, and the program of its threads. Made of assembly/ and
// worker.ts by \`npm run -s build:kernels\`, not by hand.

/** WebAssembly with SIMD. */
export const simdModule =
  '${simd.code}'

/** What differs from it with relaxed SIMD, where a product plus a sum is one instruction. */
export const relaxedDifference =
  '${Buffer.from(difference(bytesOf(simd), bytesOf(relaxed))).toString('base64')}'

/** What both export: addresses are in bytes, counts in elements. */
export interface CpuModule {
${relaxed.signatures}}

/** worker.ts as a program of its own. */
export const threadProgram =
  ${JSON.stringify(program)}
`
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const text = await generate({ quick: process.argv.includes('--quick') })
  await writeFile(`${target}.tmp`, text)
  await rename(`${target}.tmp`, target)
  console.log(`${target}: ${text.length} bytes`)
}
