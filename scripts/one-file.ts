// Builds the files for pages without a bundler: cocagrad, cocagrad/data and cocagrad/fit with all that they need, minified, as one
// ES module with the gpu device and one without.

import { readdir, readFile, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { build, type Plugin } from 'esbuild'

/** The files, below the package. */
export const oneFiles = ['dist/cocagrad.min.js', 'dist/cocagrad-cpu.min.js'] as const

const withoutGpu: Plugin = {
  name: 'without the gpu device',
  setup({ onResolve }) {
    onResolve({ filter: /\/gpu\/index\.ts$/ }, ({ resolveDir }) => ({ path: join(resolveDir, 'gpu/absent.ts') }))
  },
}

/** The licence of a package, or of the repository. */
async function licenceOf(folder: string): Promise<string> {
  const { name } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as { readonly name: string }
  const file = (await readdir(folder)).find(each => /^licen[cs]e(\.\w+)?$/i.test(each))
  if (file === undefined) throw new Error(`${name} has no file with its licence`)
  return `${name}\n\n${(await readFile(join(folder, file), 'utf8')).trim()}`
}

/**
 * Writes both files.
 * @param root the folder of the package
 * @param inside packages whose code is in the file of another one, by its name
 */
export async function buildOneFiles(root: string, inside: Readonly<Record<string, readonly string[]>>): Promise<void> {
  for (const outfile of oneFiles) {
    const { metafile, outputFiles } = await build({
      entryPoints: [join(root, 'src/entries/browser.ts')],
      absWorkingDir: root,
      bundle: true,
      minify: true,
      // modules and errors show the names of their classes
      keepNames: true,
      format: 'esm',
      platform: 'browser',
      target: 'es2022',
      legalComments: 'none',
      metafile: true,
      write: false,
      logLevel: 'error',
      plugins: outfile.includes('cpu') ? [withoutGpu] : [],
    })
    const folders = Object.keys(metafile.inputs).flatMap(
      path => /^.*\bnode_modules\/(?:@[^/]+\/)?[^/]+/.exec(path) ?? [],
    )
    const packages = folders.flatMap(folder => [
      folder,
      ...(inside[basename(folder)] ?? []).map(name => join(folder, '..', name)),
    ])
    const licences = await Promise.all(['.', ...new Set(packages)].map(folder => licenceOf(join(root, folder))))
    // a licence that ends the comment early
    const text = licences.join('\n\n\n').replaceAll('*/', '* /')
    await writeFile(join(root, outfile), `/*!\n${text}\n*/\n${outputFiles[0].text}`)
  }
}
