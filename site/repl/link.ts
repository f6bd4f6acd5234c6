// A program in the fragment of an address: compressed, and read by nobody but the page.

import type { ProgramFile } from './protocol.ts'

/** One file is its text; several are a list of names and texts. */
const [ONE, SEVERAL] = ['code=', 'files=']

async function through(bytes: Uint8Array<ArrayBuffer>, stream: CompressionStream | DecompressionStream) {
  const piped = new Blob([bytes]).stream().pipeThrough(stream)
  return new Uint8Array(await new Response(piped).arrayBuffer())
}

async function packed(text: string): Promise<string> {
  const bytes = await through(new TextEncoder().encode(text), new CompressionStream('deflate-raw'))
  const letters = btoa(Array.from(bytes, byte => String.fromCharCode(byte)).join(''))
  return letters.replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '')
}

async function unpacked(letters: string): Promise<string> {
  const binary = atob(letters.replaceAll('-', '+').replaceAll('_', '/'))
  const bytes = Uint8Array.from(binary, letter => letter.charCodeAt(0))
  return new TextDecoder().decode(await through(bytes, new DecompressionStream('deflate-raw')))
}

/** The fragment, with its #. */
export const fragmentOf = async (files: readonly ProgramFile[]): Promise<string> =>
  files.length === 1
    ? `#${ONE}${await packed(files[0].source)}`
    : `#${SEVERAL}${await packed(JSON.stringify(files.map(({ name, source }) => [name, source])))}`

/**
 * The program in a fragment; undefined where there is none.
 * @throws Error for a fragment that is damaged
 */
export async function filesOf(fragment: string): Promise<ProgramFile[] | undefined> {
  const text = fragment.replace(/^#/, '')
  try {
    if (text.startsWith(ONE)) return [{ name: 'program.ts', source: await unpacked(text.slice(ONE.length)) }]
    if (!text.startsWith(SEVERAL)) return undefined
    const files = JSON.parse(await unpacked(text.slice(SEVERAL.length))) as [string, string][]
    return files.map(([name, source]) => ({ name: String(name), source: String(source) }))
  } catch {
    throw new Error('the program in this link is damaged; ask for the link again')
  }
}
