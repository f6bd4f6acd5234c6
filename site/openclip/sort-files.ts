// Which file of a checkpoint is which, by their names; and the files beside a URL.

/** The files that a visitor gave so far. */
export interface Given {
  readonly weights?: File | string
  readonly config?: File
  readonly tokenizer?: File
  readonly tokenizerConfig?: File
}

export type Role = keyof Given

/** The role of a file in a checkpoint; undefined for one that is not needed. */
export function roleOf(name: string): Role | undefined {
  if (/\.safetensors$/i.test(name)) return 'weights'
  if (/^tokenizer_config\.json$/i.test(name)) return 'tokenizerConfig'
  if (/^tokenizer\.json$|^bpe_.*\.txt(\.gz)?$/i.test(name)) return 'tokenizer'
  if (/^(open_clip_)?config\.json$/i.test(name)) return 'config'
  return undefined
}

/** Adds files to those that were given; of two for one role the later counts, except that open_clip_config.json comes before config.json. */
export function sorted(
  given: Given,
  files: readonly File[],
): { readonly given: Given; readonly strange: readonly string[] } {
  const all: Partial<Record<Role, File | string>> = { ...given }
  const strange: string[] = []
  for (const file of files) {
    const role = roleOf(file.name)
    if (role === undefined) strange.push(file.name)
    else if (
      role === 'config' &&
      all.config instanceof File &&
      all.config.name !== 'config.json' &&
      file.name === 'config.json'
    )
      continue
    else all[role] = file
  }
  return { given: all as Given, strange }
}

async function fileAt(base: URL, name: string): Promise<File | undefined> {
  const response = await fetch(new URL(name, base)).catch(() => undefined)
  const isPage = response?.headers.get('content-type')?.startsWith('text/html')
  return response?.ok && !isPage ? new File([await response.arrayBuffer()], name) : undefined
}

/**
 * The files beside the weights at a URL.
 * @throws Error if it is no URL
 */
export async function besideUrl(address: string): Promise<Given> {
  let url: URL
  try {
    url = new URL(address, location.href)
  } catch {
    throw new Error(`“${address}” is not a URL.`)
  }
  const first = async (...names: string[]) => {
    for (const name of names) {
      const found = await fileAt(url, name)
      if (found) return found
    }
    return undefined
  }
  const [config, tokenizer, tokenizerConfig] = await Promise.all([
    first('open_clip_config.json', 'config.json'),
    first('tokenizer.json', 'bpe_simple_vocab_16e6.txt.gz'),
    first('tokenizer_config.json'),
  ])
  return {
    weights: url.href,
    ...(config && { config }),
    ...(tokenizer && { tokenizer }),
    ...(tokenizerConfig && { tokenizerConfig }),
  }
}
