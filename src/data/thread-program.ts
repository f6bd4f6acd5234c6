// Where the programs of threads are.

/**
 * The program of a thread under src/data, or dist/data in the package. The package's own folder is two above this file in both, and
 * above the chunk that the build puts it into.
 */
export const threadProgram = (name: 'decoding/worker' | 'loading/worker'): URL =>
  new URL(isTypeScript(import.meta.url) ? `../../src/data/${name}.ts` : `../../dist/data/${name}.js`, import.meta.url)

export const isTypeScript = (url: string): boolean => /\.[cm]?tsx?(?:[?#]|$)/.test(url)
