// The samples of a WebDataset shard: a tar in which neighbouring files with one name and several endings are one
// sample, such as `000123.jpg` next to `000123.txt` or `000123.json`.

import { messageOf, TarError, type TarMember, tarMembers, WindowedFile } from '../../io/index.ts'

import type { BadSample } from '../image-text-source.ts'

/** An image in a shard, and its captions. */
export interface ShardSample {
  /** the name without its ending, with its folder */
  readonly key: string
  /** position of the image's bytes in the shard */
  readonly offset: number
  readonly size: number
  /** at least one, none of them empty */
  readonly captions: readonly string[]
}

export interface ShardIndex {
  readonly samples: readonly ShardSample[]
  readonly bad: readonly BadSample[]
}

const IMAGES = new Set(['jpg', 'jpeg', 'png', 'webp'])
const TEXTS = new Set(['txt', 'json'])
/** The largest caption file that is read; a larger one is not a caption file. */
const LARGEST_TEXT = 1 << 20

/**
 * Lists the samples of a shard. Captions are those of `json` if it is a list of texts or has a list `captions`, otherwise
 * the text of `txt`, otherwise `caption` of `json`. Other files are ignored. A sample with an error is left out;
 * a truncated shard ends where it is truncated.
 * @throws FileError if the shard cannot be read at all
 */
export async function indexShard(file: string): Promise<ShardIndex> {
  const tar = await WindowedFile.open(file)
  const samples: ShardSample[] = []
  const bad: BadSample[] = []
  const keys = new Set<string>()
  const finish = async (group: Group) => {
    const { key, members, twice } = group
    const refuse = (reason: string) => void bad.push({ file, key, reason })
    if (![...members.keys()].some(ending => IMAGES.has(ending) || TEXTS.has(ending))) return
    if (keys.has(key)) return refuse('its key occurred before')
    keys.add(key)
    if (twice !== undefined) return refuse(`it has two files .${twice}`)
    const images = [...members].filter(([ending]) => IMAGES.has(ending))
    if (images.length === 0) return refuse('it has no image')
    if (images.length > 1) return refuse(`it has ${images.length} images`)
    const [[, { offset, size }]] = images
    try {
      samples.push({ key, offset, size, captions: await captionsOf(members, tar) })
    } catch (error) {
      refuse(messageOf(error))
    }
  }
  let group: Group | undefined
  try {
    for await (const member of tarMembers(tar, file)) {
      const { key, ending } = splitName(member.name)
      if (group?.key !== key) {
        if (group) await finish(group)
        group = { key, members: new Map() }
      }
      if (group.members.has(ending)) group.twice = ending
      group.members.set(ending, member)
    }
  } catch (error) {
    if (!(error instanceof TarError)) throw error
    bad.push({ file, reason: error.reason })
  } finally {
    if (group) await finish(group)
    await tar.close()
  }
  return { samples, bad }
}

interface Group {
  readonly key: string
  readonly members: Map<string, TarMember>
  /** an ending that occurred twice */
  twice?: string
}

/** `a/b.c.jpg` is the sample `a/b` with the ending `c.jpg`. */
function splitName(name: string): { key: string; ending: string } {
  const [, key, ending] = /^((?:.*\/)?[^/.]*)\.?([^/]*)$/s.exec(name)!
  return { key: key.replace(/^\.\//, ''), ending: ending.toLowerCase() }
}

/** Throws an error with a sentence about the problem. */
async function captionsOf(members: ReadonlyMap<string, TarMember>, tar: WindowedFile): Promise<string[]> {
  const [txt, json] = [members.get('txt'), members.get('json')]
  if (!txt && !json) throw new Error('it has no text')
  const value = json && parse(await textOf(json, tar))
  const list = listIn(value)
  const given = list ?? (txt ? [await textOf(txt, tar)] : [(value as { caption?: unknown } | null)?.caption ?? value])
  const captions = given.flat().map(caption => {
    if (typeof caption !== 'string') throw new Error("its .json file has no 'caption'")
    return caption.trim()
  })
  if (captions.length === 0) throw new Error('its list of captions is empty')
  if (captions.includes('')) throw new Error('its caption is empty')
  return captions
}

/** A list of captions in a json. */
function listIn(value: unknown): unknown[] | undefined {
  const list = Array.isArray(value) ? value : (value as { captions?: unknown } | null | undefined)?.captions
  return Array.isArray(list) ? list : undefined
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new Error('its .json file is not JSON')
  }
}

async function textOf({ name, offset, size }: TarMember, tar: WindowedFile): Promise<string> {
  if (size > LARGEST_TEXT) throw new Error(`'${name}' has ${size} bytes, too many for a caption`)
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(await tar.read(offset, size))
  } catch {
    throw new Error(`'${name}' is not UTF-8 text`)
  }
}
