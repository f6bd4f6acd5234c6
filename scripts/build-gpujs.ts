// Bundles GPU.js into the package: the compiled src/tensor/gpu/library.ts is replaced by a bundle of that module with its
// imports and their licences. As a dependency, GPU.js would install an old WebGPU for Node (87 MB, beside the one that
// is used) and the native package gl.

import { readFile, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const root = fileURLToPath(new URL('..', import.meta.url))
const gpujs = createRequire(createRequire(import.meta.url).resolve('gpu.js/package.json'))

/** The packages in GPU.js's file for browsers. */
const packages = ['gpu.js', 'acorn', 'gpu-mock.js']

const licences = await Promise.all(
  packages.map(async name => {
    const file = gpujs.resolve(`${name}/package.json`).replace('package.json', 'LICENSE')
    return `${name}\n\n${(await readFile(file, 'utf8')).trim()}`
  }),
)

const outfile = `${root}dist/tensor/gpu/library.js`
await build({
  entryPoints: [`${root}src/tensor/gpu/library.ts`],
  outfile,
  bundle: true,
  format: 'esm',
  banner: { js: `/*!\n${licences.join('\n\n\n')}\n*/` },
})
// the compiler's source map, of a file that was replaced
await rm(`${outfile}.map`)
