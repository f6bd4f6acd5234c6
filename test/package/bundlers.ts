// The bundlers, each with the fewest settings that make ES modules for a page from a project's file.

import { basename, dirname } from 'node:path'
import { promisify } from 'node:util'
import pluginCommonjs from '@rollup/plugin-commonjs'
import { nodeResolve } from '@rollup/plugin-node-resolve'
import * as esbuild from 'esbuild'
import { rollup } from 'rollup'
import * as vite from 'vite'
import webpack from 'webpack'

const quietly = { configFile: false, logLevel: 'silent' } as const

/**
 * Bundles a file, as for production, into a folder: there it has the same name.
 * @param withGpu false leaves GPU.js outside, which is most of the work, and is for programs that do not ask for it
 */
export type Bundle = (file: string, folder: string, withGpu: boolean) => Promise<void>

const outside = (withGpu: boolean) => (id: string) => !withGpu && id.endsWith('/library.js')

// the published types are those of a CommonJS module, which this is not
const commonjs = pluginCommonjs as unknown as typeof pluginCommonjs.default

export const bundlers: Readonly<Record<string, Bundle>> = {
  async Vite(file, folder, withGpu) {
    await vite.build({
      ...quietly,
      root: dirname(file),
      build: {
        outDir: folder,
        rolldownOptions: {
          input: file,
          external: outside(withGpu),
          output: { entryFileNames: '[name].js' },
        },
      },
    })
  },

  async Rollup(file, folder, withGpu) {
    const plugins = [nodeResolve({ browser: true }), commonjs()]
    const bundle = await rollup({ input: file, plugins, external: outside(withGpu), logLevel: 'silent' })
    await bundle.write({ dir: folder, format: 'es' })
    await bundle.close()
  },

  async webpack(file, folder, withGpu) {
    const compiler = webpack({
      mode: 'production',
      context: dirname(file),
      entry: file,
      target: 'web',
      externals: ({ request }, answer) =>
        outside(withGpu)(request!) ? answer(undefined, `import ${request}`) : answer(),
      // makes programs small, and takes most of the time
      optimization: { minimize: withGpu },
      experiments: { outputModule: true },
      output: { path: folder, filename: basename(file), module: true, chunkFormat: 'module', publicPath: './' },
    })
    const stats = await promisify(compiler.run.bind(compiler))()
    if (stats?.hasErrors()) throw new Error(stats.toString({ all: false, errors: true }))
    await promisify(compiler.close.bind(compiler))()
  },

  async esbuild(file, folder, withGpu) {
    await esbuild.build({
      entryPoints: [file],
      outdir: folder,
      bundle: true,
      minify: true,
      format: 'esm',
      splitting: true,
      external: withGpu ? [] : ['*/library.js'],
      logLevel: 'silent',
    })
  },
}

export interface Served {
  readonly address: string
  close(): Promise<void>
}

const somewhere = { host: '127.0.0.1', port: 0 }

/** Vite's development server for the index.html of a project. */
export async function serve(root: string): Promise<Served> {
  const server = await vite.createServer({ ...quietly, root, server: somewhere })
  await server.listen()
  return { address: server.resolvedUrls!.local[0], close: () => server.close() }
}

/** A server for a folder as it is. */
export async function preview(folder: string): Promise<Served> {
  const server = await vite.preview({ ...quietly, root: folder, build: { outDir: '.' }, preview: somewhere })
  return { address: server.resolvedUrls!.local[0], close: () => server.close() }
}
