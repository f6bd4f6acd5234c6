// Programs that tests run in processes of their own, many times: as JavaScript, because loading hundreds of source files through tsx
// takes longer than most of them run.

import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { build, type Plugin } from 'esbuild'

const root = join(import.meta.dirname, '..')

const { exports: entries } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  exports: Readonly<Record<string, { readonly source?: string }>>
}
/** What `--conditions=source` makes of `cocagrad` and its sub-paths. */
const alias = Object.fromEntries(
  Object.entries(entries).flatMap(([path, { source }]) =>
    source ? [[join('cocagrad', path), join(root, source)]] : [],
  ),
)

/** The programs of threads are built too, beside the chunks; the package would look for them in dist. */
const threads: Plugin = {
  name: 'threads',
  setup({ onLoad }) {
    onLoad({ filter: /\/src\/data\/thread-program\.ts$/ }, async ({ path }) => ({
      contents: readFileSync(path, 'utf8').replace('../../dist/data/', './'),
      loader: 'ts',
    }))
  },
}

/**
 * Builds programs with all of the source that they import, which they share; packages stay where they are. They are removed when
 * the process ends.
 * @param files paths from the root of the repository, by the names of the programs
 * @returns the folder of the programs, `<name>.js`
 */
export async function builtPrograms(label: string, files: Readonly<Record<string, string>>): Promise<string> {
  // as deep in the repository as a folder of src, for what is found by relative paths
  const outdir = join(root, `.cache/${label}-${process.pid}`)
  process.on('exit', () => rmSync(outdir, { recursive: true, force: true }))
  await build({
    absWorkingDir: root,
    entryPoints: {
      ...files,
      'decoding/worker': 'src/data/decoding/worker.ts',
      'loading/worker': 'src/data/loading/worker.ts',
    },
    plugins: [threads],
    outdir,
    alias,
    bundle: true,
    splitting: true,
    packages: 'external',
    platform: 'node',
    format: 'esm',
    target: 'node20',
    keepNames: true,
  })
  return outdir
}
