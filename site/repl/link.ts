// A program in the fragment of an address: compressed, and read by nobody but the page.

const KEY = 'code='

async function through(bytes: Uint8Array<ArrayBuffer>, stream: CompressionStream | DecompressionStream) {
  const piped = new Blob([bytes]).stream().pipeThrough(stream)
  return new Uint8Array(await new Response(piped).arrayBuffer())
}

/** The fragment, with its #. */
export async function fragmentOf(source: string): Promise<string> {
  const bytes = await through(new TextEncoder().encode(source), new CompressionStream('deflate-raw'))
  const text = btoa(Array.from(bytes, byte => String.fromCharCode(byte)).join(''))
  return `#${KEY}${text.replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '')}`
}

/**
 * The program in a fragment; undefined where there is none.
 * @throws Error for a fragment that is damaged
 */
export async function sourceOf(fragment: string): Promise<string | undefined> {
  const text = fragment.replace(/^#/, '')
  if (!text.startsWith(KEY)) return undefined
  try {
    const binary = atob(text.slice(KEY.length).replaceAll('-', '+').replaceAll('_', '/'))
    const bytes = Uint8Array.from(binary, letter => letter.charCodeAt(0))
    return new TextDecoder().decode(await through(bytes, new DecompressionStream('deflate-raw')))
  } catch {
    throw new Error('the program in this link is damaged; ask for the link again')
  }
}
