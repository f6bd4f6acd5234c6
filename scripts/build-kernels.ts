// Compiles the kernels of the cpu device, src/tensor/cpu/assembly/, with and without relaxed SIMD, and writes both as
// text into one module that a browser and Node import alike: src/tensor/cpu/module.ts.

import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))

/** What is generated, relative to the root of the repository. */
export const target = `${root}src/tensor/cpu/module.ts`

async function compile(features: readonly string[]): Promise<string> {
  const { main } = await import('assemblyscript/asc')
  let binary: Uint8Array | undefined
  const options = [
    'src/tensor/cpu/assembly/index.ts',
    ...['--config', 'none', '--baseDir', root, '--outFile', 'kernels.wasm'],
    ...['-O3', '--noAssert', '--uncheckedBehavior', 'always', '--runtime', 'stub'],
    ...['--importMemory', '--noExportMemory', '--zeroFilledMemory'],
    ...features.flatMap(feature => ['--enable', feature]),
  ]
  const { error, stderr } = await main(options, {
    writeFile: (_, contents) => {
      if (contents instanceof Uint8Array) binary = contents
    },
  })
  if (error || !binary) throw new Error(`asc ${options.join(' ')}\n${stderr}`)
  return Buffer.from(binary).toString('base64')
}

/** The generated module, as text. */
export async function generate(): Promise<string> {
  const simd = await compile(['simd'])
  const relaxed = await compile(['simd', 'relaxed-simd'])
  return `// The compiled kernels of the cpu device, as base64. Made of assembly/ by \`npm run -s build:kernels\`, not by hand.

/** WebAssembly with SIMD. */
export const simdModule =
  '${simd}'

/** The same with relaxed SIMD: a product plus a sum is one instruction. */
export const relaxedModule =
  '${relaxed}'
`
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const text = await generate()
  const temporary = `${target}.tmp`
  writeFileSync(temporary, text)
  renameSync(temporary, target)
  console.log(`${target}: ${readFileSync(target).length} bytes`)
}
