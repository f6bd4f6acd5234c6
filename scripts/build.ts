// Builds the package's JavaScript from src: one file for each entry, the command and the programs of threads, and chunks of what
// they share. Node loads twenty files in less than half the time of two hundred. The compiler has written the declarations before.
// Chunks lie two folders below the package, as modules in src do that look for its files.
//
// GPU.js is bundled with its licences: as a dependency, it would install an old WebGPU for Node (87 MB, beside the one that is
// used) and the native package gl. So are the packages that an import of the library needs at once, without what is not used of them: the
// messages of zod in fifty languages, the decoder of fast-png. Node takes milliseconds to find and load each of their files. All other
// packages stay dependencies, and so does zod, whose types are in the declarations.

import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { createRequire, isBuiltin } from 'node:module'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { nodeResolve } from '@rollup/plugin-node-resolve'
import { build, transform } from 'esbuild'
import { type Plugin, rollup } from 'rollup'
import { buildOneFiles } from './one-file.ts'

const root = fileURLToPath(new URL('..', import.meta.url))

/** An entry of the package; the one-file builds are made of others, and have no source of their own. */
interface Entry {
  readonly source?: string
}
const manifest = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as {
  readonly exports: Readonly<Record<string, string | (Entry & { readonly browser?: Entry })>>
  readonly bin: Readonly<Record<string, string>>
}

/** The module with GPU.js, and the packages in GPU.js's own file. */
const LIBRARY = 'src/tensor/gpu/library.ts'
const inside = ['acorn', 'gpu-mock.js']

/** The other packages that are bundled, and those that they need. */
const bundled = ['ndarray', 'zod', 'fast-png', 'fflate', 'iobuffer', 'entities', 'tinyqueue']
const isBundled = (id: string): boolean => bundled.some(name => id === name || id.startsWith(`${name}/`))

/** The name of the package that a file belongs to, if it is not this one. */
const packageOf = (path: string): string | undefined => /^.*\/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1]

const require = createRequire(import.meta.url)
const NDARRAY = require.resolve('ndarray')

/** The licences of packages, as a comment. */
async function licences(names: readonly string[]): Promise<string> {
  const texts = names.map(async name => {
    // packages may export no package.json
    const folder = require.resolve
      .paths(name)!
      .map(path => join(path, name))
      .find(path => existsSync(path))!
    const file = (await readdir(folder)).find(name => /^licen[cs]e/i.test(name))
    if (file === undefined) throw new Error(`${name} has no file with its licence`)
    return `${name}\n\n${(await readFile(join(folder, file), 'utf8')).trim().replaceAll('*/', '* /')}`
  })
  return `/*!\n${(await Promise.all(texts)).join('\n\n\n')}\n*/`
}

/** The packages whose code is in a file. */
function packagesIn(moduleIds: readonly string[]): string[] {
  const names = moduleIds.flatMap(id => {
    if (id === join(root, LIBRARY)) return ['gpu.js', ...inside]
    return id === NDARRAY ? ['ndarray', 'iota-array', 'is-buffer'] : (packageOf(id) ?? [])
  })
  return [...new Set(names)]
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

/**
 * The folder of the framework that a module belongs to: each is one file, because Node resolves every import of every file by itself, which
 * takes longer than to read what is not needed. What is loaded at its first use is in files of its own.
 */
function framework(path: string): string | undefined {
  const [, folder, rest] = /^src\/(tensor|autograd|nn|optim|debug|models)\/(.*)$/.exec(relative(root, path)) ?? []
  return /^(gpu\/|cpu\/module64)/.test(rest) ? undefined : folder
}

const entries = Object.values(manifest.exports).flatMap(entry => {
  if (typeof entry === 'string') return []
  return [entry.source, entry.browser?.source].filter(file => file !== undefined)
})
const commands = Object.values(manifest.bin).map(file => file.replace('dist/', 'src/').replace(/\.js$/, '.ts'))
const threads = ['src/data/decoding/worker.ts', 'src/data/loading/worker.ts']
const input = [...entries, ...commands, ...threads].map(file => [
  file.replace(/^(\.\/)?src\/|\.ts$/g, ''),
  join(root, file),
])

const bundle = await rollup({
  input: Object.fromEntries(input),
  external: id => isBuiltin(id) || (/^[@\w]/.test(id) && !isBundled(id)),
  plugins: [source, nodeResolve({ resolveOnly: isBundled })],
  onLog: (_, log) => {
    // packages are as they are
    if (![log.id, ...(log.ids ?? [])].some(id => id !== undefined && packageOf(id))) throw new Error(log.message)
  },
})
const hasLibrary = ({ moduleIds }: { readonly moduleIds: readonly string[] }) => moduleIds.includes(join(root, LIBRARY))
const { output } = await bundle.write({
  dir: join(root, 'dist'),
  format: 'es',
  entryFileNames: '[name].js',
  manualChunks: framework,
  chunkFileNames: chunk => (hasLibrary(chunk) ? 'tensor/gpu/library.js' : 'chunks/[name]-[hash].js'),
  hoistTransitiveImports: false,
  sourcemap: true,
  sourcemapExcludeSources: true,
  banner({ moduleIds }) {
    const names = packagesIn(moduleIds)
    return names.length === 0 ? '' : licences(names)
  },
})

// what makes machine code: src/tensor/cpu/machine/memory.ts requires it when the device opens
await build({
  entryPoints: [join(root, 'src/tensor/cpu/machine/program.ts')],
  outfile: join(root, 'dist/tensor/cpu/machine.cjs'),
  bundle: true,
  format: 'cjs',
  platform: 'node',
  target: 'es2022',
  sourcemap: true,
  sourcesContent: false,
})

/** The names of classes. Modules and errors show them, so they must not change where two modules share a file. */
const classes = (text: string) => Array.from(text.matchAll(/\bclass ([\w$]+) (?:extends|\{)/g), ([, name]) => name)

const files = (await readdir(join(root, 'src'), { recursive: true })).filter(file => file.endsWith('.ts'))
const texts = await Promise.all(files.map(file => readFile(join(root, 'src', file), 'utf8')))
const known = new Set(texts.flatMap(classes))
const made = output.flatMap(file => (file.type === 'chunk' && !hasLibrary(file) ? classes(file.code) : []))
const renamed = made.filter(name => name.includes('$') && known.has(name.replace(/\$\d+$/, '')))
if (renamed.length > 0) throw new Error(`classes of one name in one file: rename one of each of ${renamed.join(', ')}`)

await buildOneFiles(root, { 'gpu.js': inside })
