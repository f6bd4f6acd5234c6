// Video as a dataset: each clip is a folder of numbered frames. Files are listed and checked when the dataset is opened,
// so that a clip with too few frames is found before training begins; frames are decoded when they are needed.

import { type Dirent, readdirSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { DataError, fileError } from '../io/index.ts'
import * as is from '../tensor/kinds.ts'
import { type Settings, settle } from '../tensor/options.ts'
import type { Size2d } from '../tensor/sides.ts'
import { CLIP_FILES, entryAt, hasNoList, type ListForm, type Refuse, readList } from './captions.ts'
import { datasetOptions, FolderDataset, ImageCache, type OpenDatasetOptions, type SplitOptions } from './dataset.ts'
import { evenlySpaced, framesOf, inOrder } from './frames.ts'
import type { MultiImageSource } from './image-text-source.ts'
import { IMAGE_FORMATS } from './images/header.ts'
import { IMAGE_FILE, type PictureChannels } from './images/image.ts'
import type { RandomCrop } from './images/random-crop.ts'
import { classesOf, type ReadLabels } from './labels.ts'

/** A clip, its captions, and the files of its frames. */
export interface CaptionedClip {
  /** path of its folder below the dataset's folder, with forward slashes */
  readonly clip: string
  /** names of all of its frames in the folder, ordered by their numbers */
  readonly frames: readonly string[]
  /** none if there is no list of clips and no labels were read */
  readonly captions: readonly string[]
  /** names of its classes, at least one, if labels were read */
  readonly labels?: readonly string[]
  /** all other fields of its lines; for equal names, the last */
  readonly fields: Readonly<Record<string, unknown>>
}

/** Options for opening a folder of clips. */
export interface OpenClipsOptions extends Omit<OpenDatasetOptions, 'labels'> {
  /** number of frames to use of each clip: of a clip with more, so many at even distances from the first to the last */
  readonly frames: number
  /**
   * read the classes of clips, from a field `label` or `labels` of the list of clips or from a folder for each class; a clip
   * without a caption then has its classes as captions. With `'optional'` a clip may have none. False unless given
   */
  readonly labels?: ReadLabels
}
const clipsOptions = {
  ...datasetOptions,
  frames: is.number,
} satisfies Settings<OpenClipsOptions>

/** Clips of a folder with their captions. */
export class ClipDataset extends FolderDataset<CaptionedClip> implements MultiImageSource {
  /** pixels of every frame: the side of a square, or [height, width] */
  readonly imageSize: Size2d
  readonly channels: PictureChannels
  /** number of frames of every clip */
  readonly frameCount: number
  readonly #cache: ImageCache

  private constructor(
    folder: string,
    examples: readonly CaptionedClip[],
    frames: number,
    cache: ImageCache,
    classes: readonly string[],
  ) {
    super(folder, examples, classes, clip => [clip.clip, clip.frames])
    this.imageSize = cache.imageSize
    this.channels = cache.channels
    this.frameCount = frames
    this.#cache = cache
  }

  /**
   * Opens a folder of clips. Each clip is a folder of image files with a number in their names: `frame-2.png` comes
   * before `frame-10.png`; if there are several numbers in a name, the last one counts. The folder has one of these forms:
   *
   * - with a list `clips.jsonl`, one `{"clip": "path/of/folder", "caption": …}` a line, or `clips.csv` or `clips.tsv` with a
   *   header that names `clip` and `caption`; the rules are those of {@link readCaptions}, and `path` may also be the list
   *   itself. If a line says how many `frames` there are, there must be so many;
   * - a folder for each clip;
   * - a folder for each class, with a folder for each of its clips.
   * @throws DataError naming the file and line of the list or the folder of the clip: no frames or too few, a frame without
   *   a number, a number twice, a mistake in the list, no clips at all
   */
  static async open(path: string, options: OpenClipsOptions): Promise<ClipDataset> {
    const settled = settle('ClipDataset.open(path, options)', options, clipsOptions)
    const { frames, labels } = settled
    if (!Number.isSafeInteger(frames) || frames < 1)
      throw new DataError(`frames must be a positive integer, not ${frames}`, { file: path })
    const { folder, clips } = (await hasNoList(path, CLIP_FILES))
      ? { folder: path, clips: await clipsInFolders(path, frames, labels) }
      : await clipsOfList(path, frames, labels)
    const cache = await ImageCache.for(join(folder, clips[0].clip, clips[0].frames[0]), settled)
    return new ClipDataset(folder, clips, frames, cache, classesOf(clips))
  }

  name(index: number): string {
    return resolve(this.folder, this.example(index).clip)
  }

  /** Number of frames of every clip, as {@link frameCount}. */
  get imagesPerExample(): number {
    return this.frameCount
  }

  /**
   * The frames of clip `index` in order: [frameCount, channels, height, width] in 0 … 1; the caller may change them.
   * @param crop use this part of each frame instead of its centre: the same part, if all have the same size
   * @throws ImageError naming the file of a frame that cannot be decoded
   */
  async images(index: number, crop?: RandomCrop): Promise<Float32Array> {
    const { frames } = this.example(index)
    const folder = this.name(index)
    const chosen = evenlySpaced(frames.length, this.frameCount)
    return this.#cache.together(
      chosen.map(at => join(folder, frames[at])),
      crop,
    )
  }

  /**
   * Splits the clips, each with all of its captions, at random into two datasets that share one cache. Both keep the order of
   * the whole dataset.
   * @throws DataError if a part would be empty
   */
  split(options: SplitOptions): { train: ClipDataset; validation: ClipDataset } {
    const { train, validation } = this.parts(options, 'clip')
    const part = (examples: readonly CaptionedClip[]) =>
      new ClipDataset(this.folder, examples, this.frameCount, this.#cache, this.classes)
    return { train: part(train), validation: part(validation) }
  }
}

// ---- Lists of clips ----

/** A whole number, or its digits in a column; undefined for any other value. */
function frameCountIn(value: unknown): number | undefined {
  const isNumber = typeof value === 'number' || typeof value === 'string'
  return isNumber && /^\d+$/.test(String(value)) ? Number(value) : undefined
}

async function clipsOfList(path: string, wanted: number, withLabels: ReadLabels) {
  const form: ListForm<readonly string[]> = {
    noun: 'clip',
    field: 'clip',
    lists: CLIP_FILES,
    line: '{"clip": "clips/a", "caption": "a cat jumps"}',
    find: (clip, fields, refuse) => {
      if (!entryAt(clip, refuse).isDirectory()) throw refuse(', which is no folder of frames')
      const frames = framesIn(clip, wanted, reason => refuse(`, which ${reason}`))
      const said = frameCountIn(fields.frames)
      if (said !== undefined && said !== frames.length)
        throw refuse(`, which has ${framesOf(frames.length)}, but 'frames' is ${said}`)
      return frames
    },
  }
  const { folder, examples } = await readList(path, form, withLabels)
  const clips: CaptionedClip[] = examples.map(({ name, found, ...rest }) => ({ clip: name, frames: found, ...rest }))
  return { folder, clips }
}

// ---- Folders of clips ----

async function clipsInFolders(folder: string, wanted: number, withLabels: ReadLabels): Promise<CaptionedClip[]> {
  const top = await entriesOf(folder)
  const frame = top.find(isFrame)
  if (frame)
    throw new DataError(`has an image '${frame.name}' in it, where the folders of clips are expected`, { file: folder })
  const clips: { readonly clip: string; readonly label?: string }[] = []
  for (const name of foldersIn(top)) {
    const path = join(folder, name)
    const entries = await entriesOf(path)
    const inside = foldersIn(entries)
    const beside = entries.find(isFrame)
    if (beside && inside.length > 0)
      throw new DataError(
        `has an image '${beside.name}' beside the folder '${inside[0]}': a folder holds frames or clips`,
        {
          file: path,
        },
      )
    if (inside.length === 0 && !beside) throw new DataError('has neither frames nor folders of frames', { file: path })
    if (inside.length === 0) clips.push({ clip: name })
    else for (const each of inside) clips.push({ clip: `${name}/${each}`, label: name })
  }
  if (clips.length === 0)
    throw new DataError(`has none of ${CLIP_FILES.join(', ')}, and no folder of frames`, { file: folder })
  const [plain, classified] = [false, true].map(has => clips.find(({ label }) => (label !== undefined) === has))
  if (plain && classified)
    throw new DataError(
      `'${plain.clip}' is a clip and '${classified.label}' has clips in it: use a folder for each class, or none for all`,
      { file: folder },
    )
  if (plain && withLabels === true)
    throw new DataError(`has no classes: use a folder for each class, or a clips.jsonl with a 'label' on each line`, {
      file: folder,
    })
  return clips.map(({ clip, label }) => {
    const path = join(folder, clip)
    const frames = framesIn(path, wanted, reason => new DataError(reason, { file: path }))
    const labels = withLabels && label !== undefined ? { labels: [label] } : {}
    return { clip, frames, captions: labels.labels ?? [], ...labels, fields: {} }
  })
}

async function entriesOf(folder: string): Promise<Dirent[]> {
  try {
    return await readdir(folder, { withFileTypes: true })
  } catch (error) {
    throw fileError(folder, error)
  }
}

const foldersIn = (entries: readonly Dirent[]): string[] =>
  entries.flatMap(entry => (entry.isDirectory() ? [entry.name] : [])).sort()

const isFrame = (entry: Dirent): boolean => !entry.isDirectory() && IMAGE_FILE.test(entry.name)

// ---- Frames ----

/** The frames in the folder of a clip, ordered by their numbers. The reasons of errors begin with a verb. */
function framesIn(folder: string, wanted: number, refuse: Refuse): string[] {
  let names: string[]
  try {
    names = readdirSync(folder)
  } catch (error) {
    throw fileError(folder, error)
  }
  const frames = names.filter(name => IMAGE_FILE.test(name))
  if (frames.length === 0) throw refuse(`has no frames: it holds no file of ${IMAGE_FORMATS}`)
  return inOrder(frames, name => name, wanted, refuse).map(({ frame }) => frame)
}
