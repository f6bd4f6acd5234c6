// The Shapes dataset as files, to look at, to edit, or to use in a program that reads pictures and captions.

import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { encode } from 'fast-png'
import * as is from '../../tensor/kinds.ts'
import { type Settings, settle } from '../../tensor/options.ts'
import { pairName, relationOf } from './captions.ts'
import { PICTURE_SIDE, type ShapesExample, type ShapesOptions, shapesExample, shapesOptions } from './scenes.ts'

export interface WriteShapesOptions extends ShapesOptions {
  /** the folder to make */
  readonly out: string
  /** number of examples: those with index 0 … count - 1 */
  readonly count: number
  /** replace a Shapes folder that is already there */
  readonly force?: boolean
  /** called after each picture */
  readonly onProgress?: (done: number, count: number) => void
}
const writeOptions = {
  ...shapesOptions,
  out: is.text,
  count: is.number,
  force: false,
  onProgress: undefined,
} satisfies Settings<WriteShapesOptions>

/** The folder to write to is not empty. */
export class FolderNotEmptyError extends Error {
  override readonly name = 'FolderNotEmptyError'
  readonly folder: string
  readonly entries: readonly string[]

  constructor(folder: string, entries: readonly string[], advice: string) {
    super(
      `${folder} is not empty: it holds ${entries.slice(0, 3).join(', ')}${entries.length > 3 ? ', …' : ''}. ${advice}`,
    )
    this.folder = folder
    this.entries = entries
  }
}

const IMAGES = 'images'
const CAPTIONS = 'captions.jsonl'

/**
 * Writes `out/images/000000.png` … and `out/captions.jsonl`, one line per picture:
 *
 *     {"file":"images/000000.png","caption":"a small red circle",
 *      "objects":[{"size":"small","colour":"red","shape":"circle","x":0.31,"y":0.62}],"relation":null,"label":"red circle"}
 *
 * A picture of two different objects has `labels`, of both, in place of `label`. `x` and `y` are the centre as a fraction of the picture's side; `relation` is that of the first object to the second.
 * The folder gets its name only when it is complete.
 * @throws FolderNotEmptyError if `out` contains anything, unless `force` is given and it contains only a Shapes folder
 * @throws RangeError if `count` is not a positive integer
 */
export async function writeShapes(options: WriteShapesOptions): Promise<void> {
  const { out: folder, count, force, onProgress, ...rest } = settle('writeShapes(options)', options, writeOptions)
  if (!Number.isSafeInteger(count) || count < 1)
    throw new RangeError(`writeShapes: count must be a positive integer, not ${count}`)
  const out = resolve(folder)
  await checkFree(out, force)

  const unfinished = `${out}.unfinished-${process.pid}`
  await rm(unfinished, { recursive: true, force: true })
  try {
    await mkdir(join(unfinished, IMAGES), { recursive: true })
    const lines: string[] = []
    for (let index = 0; index < count; index++) {
      const example = shapesExample(index, rest)
      const file = `${IMAGES}/${String(index).padStart(6, '0')}.png`
      const picture = { width: PICTURE_SIDE, height: PICTURE_SIDE, channels: 3, data: example.pixels }
      await writeFile(join(unfinished, file), encode(picture))
      lines.push(captionLine(file, example))
      onProgress?.(index + 1, count)
    }
    await writeFile(join(unfinished, CAPTIONS), lines.join(''))
    if (force) await rm(out, { recursive: true, force: true })
    await mkdir(dirname(out), { recursive: true })
    await rename(unfinished, out)
  } catch (error) {
    await rm(unfinished, { recursive: true, force: true })
    throw error
  }
}

async function checkFree(out: string, force: boolean): Promise<void> {
  const entries = await readdir(out).catch(error => {
    if (error.code === 'ENOENT') return []
    throw error
  })
  if (entries.length === 0) return
  if (!force) throw new FolderNotEmptyError(out, entries, 'Name another folder, or use force to replace it.')
  const foreign = entries.filter(entry => entry !== IMAGES && entry !== CAPTIONS)
  if (foreign.length > 0)
    throw new FolderNotEmptyError(out, foreign, 'They are not part of a Shapes folder, so force does not replace them.')
}

function captionLine(file: string, { scene, caption }: ShapesExample): string {
  const objects = scene.objects.map(({ size, colour, shape, x, y }) => ({ size, colour, shape, x, y }))
  const [first, second] = scene.objects
  const relation = second ? relationOf(first, second) : null
  const names = [...new Set(scene.objects.map(({ colour, shape }) => pairName(colour, shape)))]
  const classes = names.length === 1 ? { label: names[0] } : { labels: names }
  return `${JSON.stringify({ file, caption, objects, relation, ...classes })}\n`
}
