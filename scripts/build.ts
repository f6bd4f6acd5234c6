// Builds the package's JavaScript from src: one file for each entry, the command and the programs of threads, and chunks of what
// they share. Node loads twenty files in less than half the time of two hundred. The compiler has written the declarations before.
// Chunks lie two folders below the package, as modules in src do that look for its files.
//
// GPU.js is bundled with its licences: as a dependency, it would install an old WebGPU for Node (87 MB, beside the one that is
// used) and the native package gl. So is ndarray, which is not an ES module: Node takes ten milliseconds to find and analyse it. All
// other packages stay dependencies.

import { readdir, readFile } from 'node:fs/promises'
import { createRequire, isBuiltin } from 'node:module'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build, transform } from 'esbuild'
import { type Plugin, rollup } from 'rollup'

const root = fileURLToPath(new URL('..', import.meta.url))

interface Entry {
  readonly source: string
}
const manifest = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as {
  readonly exports: Readonly<Record<string, string | (Entry & { readonly browser?: Entry })>>
  readonly bin: Readonly<Record<string, string>>
}

/** The module with GPU.js. */
const LIBRARY = 'src/tensor/gpu/library.ts'

const require = createRequire(import.meta.url)
const NDARRAY = require.resolve('ndarray')

/** The licences of a package and of those that are bundled with it, as a comment. */
async function licences(name: string, others: readonly string[]): Promise<string> {
  const from = createRequire(require.resolve(`${name}/package.json`))
  const texts = [name, ...others].map(async each => {
    const folder = from.resolve(`${each}/package.json`).replace('package.json', '')
    const [file] = (await readdir(folder)).filter(name => /^licen[cs]e/i.test(name))
    return `${each}\n\n${(await readFile(folder + file, 'utf8')).trim()}`
  })
  return `/*!\n${(await Promise.all(texts)).join('\n\n\n')}\n*/`
}

/** Reads TypeScript, and the packages that are bundled, with their imports. */
const source: Plugin = {
  name: 'source',
  resolveId: id => (id === 'ndarray' ? NDARRAY : null),
  async load(path) {
    const sourcefile = relative(root, path)
    if (sourcefile === LIBRARY || path === NDARRAY) {
      const { outputFiles } = await build({ entryPoints: [path], bundle: true, format: 'esm', write: false })
      return outputFiles[0].text
    }
    const { code, map } = await transform(await readFile(path, 'utf8'), {
      loader: 'ts',
      target: 'es2022',
      sourcemap: true,
      sourcefile: path,
      // src is in the package
      sourcesContent: false,
    })
    return { code, map }
  },
}

const entries = Object.values(manifest.exports).flatMap(entry => {
  if (typeof entry === 'string') return []
  return [entry.source, ...(entry.browser ? [entry.browser.source] : [])]
})
const commands = Object.values(manifest.bin).map(file => file.replace('dist/', 'src/').replace(/\.js$/, '.ts'))
const threads = ['src/data/decoding/worker.ts', 'src/data/loading/worker.ts']
const input = [...entries, ...commands, ...threads].map(file => [
  file.replace(/^(\.\/)?src\/|\.ts$/g, ''),
  join(root, file),
])

const bundle = await rollup({
  input: Object.fromEntries(input),
  external: id => id !== 'ndarray' && (isBuiltin(id) || /^[@\w]/.test(id)),
  plugins: [source],
  onLog: (_, log) => {
    throw new Error(log.message)
  },
})
const hasLibrary = ({ moduleIds }: { readonly moduleIds: readonly string[] }) => moduleIds.includes(join(root, LIBRARY))
/** The licences of the packages that are bundled, by the module that has them. */
const banners = new Map([
  [join(root, LIBRARY), await licences('gpu.js', ['acorn', 'gpu-mock.js'])],
  [NDARRAY, await licences('ndarray', ['iota-array', 'is-buffer'])],
])
const { output } = await bundle.write({
  dir: join(root, 'dist'),
  format: 'es',
  entryFileNames: '[name].js',
  chunkFileNames: chunk => (hasLibrary(chunk) ? 'tensor/gpu/library.js' : 'chunks/[name]-[hash].js'),
  hoistTransitiveImports: false,
  sourcemap: true,
  sourcemapExcludeSources: true,
  banner: ({ moduleIds }) => moduleIds.flatMap(id => banners.get(id) ?? []).join('\n'),
})

/** The names of classes. Modules and errors show them, so they must not change where two modules share a file. */
const classes = (text: string) => Array.from(text.matchAll(/\bclass ([\w$]+) (?:extends|\{)/g), ([, name]) => name)

const files = (await readdir(join(root, 'src'), { recursive: true })).filter(file => file.endsWith('.ts'))
const texts = await Promise.all(files.map(file => readFile(join(root, 'src', file), 'utf8')))
const known = new Set(texts.flatMap(classes))
const made = output.flatMap(file => (file.type === 'chunk' && !hasLibrary(file) ? classes(file.code) : []))
const renamed = made.filter(name => name.includes('$') && known.has(name.replace(/\$\d+$/, '')))
if (renamed.length > 0) throw new Error(`classes of one name in one file: rename one of each of ${renamed.join(', ')}`)
