// The samples of a WebDataset shard: a tar in which neighbouring files with one name and several endings are one
// sample, such as `000123.jpg` next to `000123.txt` or `000123.json`; or, of a clip, `000123.000.jpg`, `000123.001.jpg` and
// so on next to such a file.

import {
  DataError,
  messageOf,
  parseJson,
  quoted,
  TarError,
  type TarMember,
  tarMembers,
  WindowedFile,
} from '../../io/index.ts'

import { evenlySpaced, framesOf, inOrder } from '../frames.ts'
import type { BadSample } from '../image-text-source.ts'
import { tooManyBytes } from '../images/header.ts'
import { IMAGE_FILE } from '../images/image.ts'
import { labelsIfAny, labelsIn, type ReadLabels } from '../labels.ts'

/** Where an image is in a shard. */
export interface ImagePart {
  /** the name of its file in the shard */
  readonly name: string
  /** position of its bytes in the shard */
  readonly offset: number
  readonly size: number
}

/** A picture or a clip in a shard, with its captions. */
export interface ShardSample {
  /** the name without its ending, with its folder */
  readonly key: string
  /** the picture, or the frames that are used, in order */
  readonly images: readonly ImagePart[]
  /** at least one, none of them empty */
  readonly captions: readonly string[]
  /** names of its classes, at least one, if labels were read and it has some */
  readonly labels?: readonly string[]
}

export interface ShardIndex {
  readonly samples: readonly ShardSample[]
  readonly bad: readonly BadSample[]
}

export interface IndexOptions {
  /** samples are clips, of each of which so many frames are used; without it they are pictures */
  readonly frames?: number
  /** read classes; default false */
  readonly labels?: ReadLabels
  /** where the tar is, if `file` is compressed (see unpacked.ts); default `file` */
  readonly tar?: string
}

const IMAGES = new Set(['jpg', 'jpeg', 'png', 'webp'])
const TEXTS = new Set(['txt', 'json'])
/** The largest caption file that is read; a larger one is not a caption file. */
const LARGEST_TEXT = 1 << 20

/**
 * Lists the samples of a shard. The key of a sample is the name of its files up to the first dot, as in WebDataset: `a.seg.png`
 * is another file of the sample `a`. If no image and no text of a key follows directly after it, the names have dots in
 * them, and the key is the name up to the ending of the text: `img.v1.0001.png` and `img.v1.0001.txt` are the sample
 * `img.v1.0001`. Hidden files and `__MACOSX`, which macOS adds to archives, are left out.
 *
 * Captions are those of `json` if it is a list of texts or has a list `captions`, otherwise
 * the text of `txt`, otherwise `caption` of `json`. Labels are those of `cls`, or `label` or `labels` of `json`; a sample
 * without a caption has its labels as captions. The frames of a clip are the images that have a number between the key and
 * the ending, one for every number from the first to the last. Other files are ignored, but a shard with nothing but such
 * files is an error. A sample with an error is left out; a truncated shard ends where it is truncated.
 * @throws FileError if the shard cannot be read at all
 */
export async function indexShard(file: string, options: IndexOptions = {}): Promise<ShardIndex> {
  const tar = await WindowedFile.open(options.tar ?? file)
  const samples: ShardSample[] = []
  const bad: BadSample[] = []
  const keys = new Set<string>()
  const others: string[] = []
  let files = 0
  const finish = async (group: Group) => {
    const { key, members, twice } = group
    const refuse = (reason: string) => void bad.push({ file, key, reason })
    files += members.size
    if (!isSample(group, options)) {
      if (others.length < 2) others.push(...[...members.values()].slice(0, 2 - others.length).map(({ name }) => name))
      return
    }
    if (keys.has(key)) return refuse('its key occurred before')
    keys.add(key)
    if (twice !== undefined) return refuse(`it has two files .${twice}`)
    try {
      if (options.frames === undefined) {
        const images = [pictureOf(group)]
        const { fields: _, ...texts } = await textsOf(members, tar, options)
        samples.push({ key, images, ...texts })
      } else {
        const frames = clipOf(group, options.frames)
        const { fields, ...texts } = await textsOf(members, tar, options)
        if (Number.isSafeInteger(fields.frames) && fields.frames !== frames.length)
          throw new Error(`it has ${framesOf(frames.length)}, but 'frames' of its .json file is ${fields.frames}`)
        samples.push({ key, images: evenlySpaced(frames.length, options.frames).map(at => frames[at]), ...texts })
      }
    } catch (error) {
      refuse(messageOf(error))
    }
  }
  try {
    for await (const group of groupsOf(tar, file, options.frames)) await finish(group)
  } catch (error) {
    if (!(error instanceof TarError)) throw error
    bad.push({ file, reason: error.reason })
  } finally {
    await tar.close()
  }
  if (samples.length === 0 && bad.length === 0 && files > 0)
    bad.push({ file, reason: noSample(files, others, options) })
  return { samples, bad }
}

function noSample(files: number, names: readonly string[], { frames }: IndexOptions): string {
  const such = `${files === 1 ? 'its only file is' : `its ${files} files are called`} ${names.map(quoted).join(', ')}${files > names.length ? ' and so on' : ''}`
  const [first, second] = frames === undefined ? ['000123.jpg', '000123.txt'] : ['jump.000.jpg', 'jump.txt']
  return `has no sample: ${such}; the files of a sample are neighbours with one name, such as ${first} and ${second}`
}

/**
 * Whether a shard holds pictures or clips, by its first sample with a text.
 * @returns undefined if there is no such sample, or the shard cannot be read
 */
export async function kindOfShard(file: string): Promise<'images' | 'clips' | undefined> {
  try {
    const tar = await WindowedFile.open(file)
    try {
      for await (const group of groupsOf(tar, file, 1)) {
        if (!TEXT_ENDINGS.some(ending => group.members.has(ending))) continue
        if (picturesIn(group).length > 0) return 'images'
        if (framesIn(group).length > 0) return 'clips'
      }
    } finally {
      await tar.close()
    }
  } catch (error) {
    if (!(error instanceof DataError)) throw error
  }
  return undefined
}

/** The files of one name. */
interface Group {
  readonly key: string
  /** by their endings in lower case */
  readonly members: Map<string, TarMember>
  /** an ending that occurred twice */
  twice?: string
}

/**
 * The groups of a shard; those before the end of a truncated one are yielded before the error.
 * @param frames as in the options: whether names without a text may be those of frames
 */
async function* groupsOf(
  tar: WindowedFile,
  file: string,
  frames: number | undefined,
): AsyncGenerator<Group, void, undefined> {
  let group: Group | undefined
  let problem: TarError | undefined
  try {
    for await (const member of tarMembers(tar, file)) {
      if (isHidden(member.name)) continue
      const { key, ending } = splitName(member.name)
      if (group?.key !== key) {
        if (group) yield* withDots(group, frames)
        group = { key, members: new Map() }
      }
      if (group.members.has(ending)) group.twice = ending
      group.members.set(ending, member)
    }
  } catch (error) {
    if (!(error instanceof TarError)) throw error
    problem = error
  }
  if (group) yield* withDots(group, frames)
  if (problem) throw problem
}

/** `._a.png` and `.DS_Store`, which macOS writes between the files of an archive, and any other hidden file. */
const isHidden = (name: string): boolean => /(^|\/)(\.(?!\.?\/)[^/]*|__MACOSX\/.*)$/s.test(name)

/** `a/b.c.jpg` is the sample `a/b` with the ending `c.jpg`. */
function splitName(name: string): { key: string; ending: string } {
  const [, key, ending] = /^((?:.*\/)?[^/.]*)\.?([^/]*)$/s.exec(name)!
  return { key: withoutDot(key), ending: ending.toLowerCase() }
}

const withoutDot = (name: string): string => name.replace(/^\.\//, '')

/** The groups of a group whose names have dots before the ending; any other as it is. */
function withDots(group: Group, frames: number | undefined): Group[] {
  const endings = [...group.members.keys()]
  if (endings.some(ending => IMAGES.has(ending) || isText(ending))) return [group]
  const stems = new Set(endings.flatMap(ending => /^(.+)\.(?:txt|json|cls)$/s.exec(ending)?.slice(1) ?? []))
  if (stems.size === 0) return [group]
  const groups = new Map<string, Group>()
  for (const [ending, member] of group.members) {
    const stem = stemOf(ending, stems, frames)
    const rest = ending.slice(stem.length + 1)
    const name = withoutDot(member.name)
    const part: Group = groups.get(stem) ?? { key: name.slice(0, name.length - rest.length - 1), members: new Map() }
    groups.set(stem, part)
    part.members.set(rest, member)
    if (ending === group.twice) part.twice = rest
  }
  return [...groups.values()]
}

/** The longest beginning of an ending that is the name of a text; without one, what is before the last dot or the number of a frame. */
function stemOf(ending: string, stems: ReadonlySet<string>, frames: number | undefined): string {
  for (let dot = ending.lastIndexOf('.'); dot > 0; dot = ending.lastIndexOf('.', dot - 1))
    if (stems.has(ending.slice(0, dot))) return ending.slice(0, dot)
  const [, stem] = (frames === undefined ? /^(.*)\.[^.]*$/s : /^(.*?)\.(?:[^.]*\d\.)?[^.]*$/s).exec(ending) ?? []
  return stem ?? ''
}

/** Whether a group has a file that belongs to a sample. */
function isSample(group: Group, { frames, labels }: IndexOptions): boolean {
  const endings = [...group.members.keys()]
  if (endings.some(ending => IMAGES.has(ending) || TEXTS.has(ending))) return true
  return (frames !== undefined && framesIn(group).length > 0) || (!!labels && group.members.has('cls'))
}

const picturesIn = ({ members }: Group): TarMember[] =>
  [...members].flatMap(([ending, member]) => (IMAGES.has(ending) ? [member] : []))

/** Images with a number between the key and the ending, such as `000.png` and `frame-000.png`. */
const framesIn = ({ members }: Group): [ending: string, TarMember][] =>
  [...members].filter(([ending]) => IMAGE_FILE.test(ending) && /\d\.\w+$/.test(ending))

function partOf({ name, offset, size }: TarMember): ImagePart {
  const tooMany = tooManyBytes(size)
  if (tooMany !== undefined) throw new Error(`${quoted(name)} ${tooMany}`)
  return { name, offset, size }
}

/** Throws an error with a sentence about the problem. */
function pictureOf(group: Group): ImagePart {
  const pictures = picturesIn(group)
  if (pictures.length > 1) throw new Error(`it has ${pictures.length} images`)
  if (pictures.length === 1) return partOf(pictures[0])
  const { length } = framesIn(group)
  throw new Error(length === 0 ? 'it has no image' : `it is a clip of ${framesOf(length)}, not a picture`)
}

/** All frames of a clip, in order. Throws an error with a sentence about the problem. */
function clipOf(group: Group, wanted: number): ImagePart[] {
  const [pictures, found] = [picturesIn(group), framesIn(group)]
  if (pictures.length > 0)
    throw new Error(found.length === 0 ? 'it is a picture, not a clip' : 'it has a picture beside its frames')
  if (found.length === 0) throw new Error('it has no frames')
  const frames = inOrder(
    found,
    ([ending]) => ending,
    wanted,
    reason => new DataError(`it ${reason}`),
  )
  for (const [i, { number }] of frames.entries())
    if (number !== frames[0].number + BigInt(i))
      throw new Error(
        `it has no frame ${frames[0].number + BigInt(i)}: its ${framesOf(frames.length)} have numbers from ${frames[0].number} to ${frames[frames.length - 1].number}`,
      )
  return frames.map(({ frame: [, member] }) => partOf(member))
}

interface SampleTexts {
  readonly captions: readonly string[]
  readonly labels?: readonly string[]
  /** the fields of its .json file */
  readonly fields: Readonly<Record<string, unknown>>
}

/** Throws an error with a sentence about the problem. */
async function textsOf(
  members: ReadonlyMap<string, TarMember>,
  tar: WindowedFile,
  { labels: withLabels = false }: IndexOptions,
): Promise<SampleTexts> {
  const [txt, json, cls] = TEXT_ENDINGS.map(ending => members.get(ending))
  if (!txt && !json && !(withLabels && cls)) throw new Error('it has no text')
  const value = json && parse(await textOf(json, tar))
  const fields = isObject(value) ? value : {}
  const labels = withLabels ? chooseLabels(cls && (await textOf(cls, tar)), fields, withLabels) : []
  const list = listIn(value)
  const own = fields.caption ?? value
  const found = list ?? (txt ? [await textOf(txt, tar)] : labels.length > 0 && isMissing(own) ? labels : [own])
  const captions = found.flat().map(caption => {
    if (typeof caption !== 'string') throw new Error("its .json file has no 'caption'")
    return caption.trim()
  })
  if (captions.length === 0) throw new Error('its list of captions is empty')
  if (captions.includes('')) throw new Error('its caption is empty')
  return { captions, ...(labels.length > 0 && { labels }), fields }
}

const TEXT_ENDINGS = ['txt', 'json', 'cls'] as const
const isText = (ending: string): boolean => (TEXT_ENDINGS as readonly string[]).includes(ending)

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Whether what stands for a caption is none: nothing, or an object without one. */
const isMissing = (value: unknown): boolean => value === undefined || isObject(value)

/** The classes of a sample. Throws an error with a sentence about the problem. */
function chooseLabels(
  cls: string | undefined,
  fields: Readonly<Record<string, unknown>>,
  withLabels: ReadLabels,
): string[] {
  const inJson = [
    ...new Set(
      withLabels === 'optional'
        ? labelsIfAny(fields)
        : labelsIn(fields, reason => new DataError(`its .json file is wrong: ${reason}`)),
    ),
  ]
  if (cls === undefined) {
    if (inJson.length === 0 && withLabels !== 'optional')
      throw new Error("it has no label: neither a .cls file nor a 'label' in a .json file")
    return inJson
  }
  const name = cls.trim()
  if (name === '') throw new Error('its .cls file is empty')
  if (/[\r\n]/.test(name)) throw new Error('its .cls file has several lines, where one class is expected')
  if (inJson.length > 0 && !(inJson.length === 1 && inJson[0] === name))
    throw new Error(`its .cls file says ${quoted(name)} and its .json file ${inJson.map(quoted).join(', ')}`)
  return [name]
}

function listIn(value: unknown): unknown[] | undefined {
  const list = Array.isArray(value) ? value : (value as { captions?: unknown } | null | undefined)?.captions
  return Array.isArray(list) ? list : undefined
}

function parse(text: string): unknown {
  try {
    return parseJson(text, { nonFinite: true })
  } catch (error) {
    throw new Error(`its .json file ${messageOf(error)}`)
  }
}

async function textOf({ name, offset, size }: TarMember, tar: WindowedFile): Promise<string> {
  if (size > LARGEST_TEXT) throw new Error(`${quoted(name)} has ${size} bytes, too many for a caption`)
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(await tar.read(offset, size))
  } catch {
    throw new Error(`${quoted(name)} is not UTF-8 text`)
  }
}
