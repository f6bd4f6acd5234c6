// Which file of a checkpoint is which, by their names; and the files beside a URL.

/** The files that a visitor gave so far. */
export interface Given {
  readonly weights?: File | string
  readonly config?: File
  /** OpenCLIP's name of it, in place of a configuration */
  readonly architecture?: string
  readonly tokenizer?: File
  readonly tokenizerConfig?: File
}

/** All that is needed of a checkpoint. */
export type Checkpoint = Given & Required<Pick<Given, 'weights' | 'tokenizer'>>

export type Role = Exclude<keyof Given, 'architecture'>

/** The role of a file in a checkpoint; undefined for one that is not needed. */
export function roleOf(name: string): Role | undefined {
  if (/\.safetensors$/i.test(name)) return 'weights'
  if (/^tokenizer_config\.json$/i.test(name)) return 'tokenizerConfig'
  if (/^tokenizer\.json$|^bpe_.*\.txt(\.gz)?$/i.test(name)) return 'tokenizer'
  if (/^(open_clip_)?config\.json$/i.test(name)) return 'config'
  return undefined
}

/** What is wrong with a file that a person may take for a part of a checkpoint; undefined for any other one. */
export function mistakeOf({ name, type }: File): string | undefined {
  if (/\.(bin|pt|pth|ckpt)$/i.test(name))
    return `${name} is a file of PyTorch, and this page reads safetensors: take open_clip_model.safetensors of the same model, or write it with “npx cocagrad export ${name} --architecture NAME --out FOLDER”.`
  if (type.startsWith('image/')) return `${name} is a picture: add it under “Your pictures”.`
  return undefined
}

/** Adds files to those that were given; of two for one role the later counts, except that open_clip_config.json comes before config.json. */
export function sorted(
  given: Given,
  files: readonly File[],
): { readonly given: Given; readonly strange: readonly File[] } {
  const all: { -readonly [Key in keyof Given]: Given[Key] | File } = { ...given }
  const strange: File[] = []
  for (const file of files) {
    const role = roleOf(file.name)
    if (role === undefined) strange.push(file)
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
  return response?.ok && !isPage(response) ? new File([await response.arrayBuffer()], name) : undefined
}

const isPage = ({ headers }: Response) => headers.get('content-type')?.startsWith('text/html') ?? false

/** @throws Error if there are no weights at a URL, or this page may not read them */
async function checkWeights({ href }: URL): Promise<void> {
  const response = await fetch(href, { headers: { range: 'bytes=0-7' } }).catch(() => {
    throw new Error(
      `${href} cannot be fetched: there is no such server, or it does not let this page read its files (CORS). Download the files, and choose them here.`,
    )
  })
  // of a server that sends no parts this would be the whole file
  await response.body?.cancel()
  if (!response.ok)
    throw new Error(`${href} cannot be fetched: the server answers ${response.status} ${response.statusText}`.trimEnd())
  if (isPage(response)) throw new Error(`${href} is a web page, not a file of weights: take the URL of the download.`)
}

/**
 * The files beside the weights at a URL. Of a file's page on Hugging Face the file itself is taken.
 * @throws Error if it is no URL, or there are no weights that this page may read
 */
export async function besideUrl(address: string): Promise<Given> {
  if (!URL.canParse(address, location.href)) throw new Error(`“${address}” is not a URL.`)
  const url = new URL(address, location.href)
  if (url.host === 'huggingface.co') url.pathname = url.pathname.replace('/blob/', '/resolve/')
  await checkWeights(url)
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
