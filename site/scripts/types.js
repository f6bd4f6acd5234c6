// Writes repl/generated/types.json: the declarations of cocagrad and of the language, for the editor of programs.
//
// Only declarations that the entries for browsers lead to are written. Nothing is done when the sources have not changed.

import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

const root = fileURLToPath(new URL('../../', import.meta.url))
const target = fileURLToPath(new URL('../repl/generated/types.json', import.meta.url))
const LIBRARIES = ['lib.es2023.d.ts', 'lib.esnext.disposable.d.ts', 'lib.esnext.collection.d.ts', 'lib.webworker.d.ts']

const { exports } = JSON.parse(await readFile(`${root}package.json`, 'utf8'))
// runs are folders: cocagrad/train needs Node; the one-file builds have no source of their own
const entries = Object.entries(exports)
  .filter(([path, { source }]) => path !== './train' && source)
  .map(([path, { source, browser }]) => [`cocagrad${path.slice(1)}`, (browser?.source ?? source).slice(2)])

const sources = (await readdir(`${root}src`, { recursive: true })).filter(name => name.endsWith('.ts')).sort()
const hash = createHash('sha256')
  .update(ts.version)
  .update(await readFile(fileURLToPath(import.meta.url)))
for (const name of sources) hash.update(name).update(await readFile(`${root}src/${name}`))
const version = hash.digest('hex')

const known = await readFile(target, 'utf8').catch(() => '{}')
if (JSON.parse(known).version !== version) {
  const { config } = ts.readConfigFile(`${root}tsconfig.json`, ts.sys.readFile)
  const { options } = ts.convertCompilerOptionsFromJson(config.compilerOptions, root)
  const program = ts.createProgram(
    entries.map(([, source]) => root + source),
    {
      ...options,
      customConditions: ['browser', 'source'],
      noEmit: false,
      noCheck: true,
      declaration: true,
      emitDeclarationOnly: true,
      rootDir: `${root}src`,
      outDir: '/types',
    },
  )
  /** path → text */
  const files = {}
  program.emit(undefined, (path, text) => {
    files[path] = text.replace(/\/\/# sourceMappingURL.*\n?/, '')
  })
  const ndarray = await readFile(`${root}node_modules/@types/ndarray/index.d.ts`, 'utf8')
  files['/types/ndarray.d.ts'] = ndarray
  const lib = dirname(ts.getDefaultLibFilePath(options))
  const add = async name => {
    if (`/lib/${name}` in files) return
    const text = await readFile(join(lib, name), 'utf8')
    files[`/lib/${name}`] = text
    for (const [, reference] of text.matchAll(/\/\/\/ <reference lib="([^"]+)"/g)) await add(`lib.${reference}.d.ts`)
  }
  for (const name of LIBRARIES) await add(name)
  const paths = Object.fromEntries(
    entries.map(([name, source]) => [name, [source.replace(/^src/, '/types').replace(/\.ts$/, '.d.ts')]]),
  )
  paths.ndarray = ['/types/ndarray.d.ts']
  await mkdir(dirname(target), { recursive: true })
  await writeFile(target, JSON.stringify({ version, paths, libraries: LIBRARIES, files }))
}
