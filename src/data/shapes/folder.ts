// Shapes, Moving Shapes and questions about Shapes as files, to look at, to edit, or to use in a program that reads pictures and captions.

import { mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { encode } from 'fast-png'
import { fileError, makeNamedFolder } from '../../io/index.ts'
import * as is from '../../tensor/kinds.ts'
import { type Settings, settle } from '../../tensor/options.ts'
import { pairName, relationOf } from './captions.ts'
import { PICTURE_SIDE } from './drawing.ts'
import { type MovingExample, type MovingOptions, movingExample, movingOptions } from './moving.ts'
import { type ShapesQuestion, type ShapesQuestionOptions, shapesQuestion, shapesQuestionOptions } from './questions.ts'
import { type ShapesExample, type ShapesOptions, shapesExample, shapesOptions } from './scenes.ts'

/** What the functions that write a dataset as files have in common. */
export interface WriteExamplesOptions {
  /** the folder to make */
  readonly out: string
  /** number of examples: those with index 0 … count - 1 */
  readonly count: number
  /** replace a folder of the same dataset that is already there */
  readonly force?: boolean
  /** called after each example */
  readonly onProgress?: (done: number, count: number) => void
}
const writeOptions = {
  out: is.text,
  count: is.number,
  force: false,
  onProgress: undefined,
} satisfies Settings<WriteExamplesOptions>

/** Options of `writeShapes`. */
export interface WriteShapesOptions extends ShapesOptions, WriteExamplesOptions {}
const writeShapesOptions = { ...shapesOptions, ...writeOptions } satisfies Settings<WriteShapesOptions>

/** Options of `writeMovingShapes`. */
export interface WriteMovingShapesOptions extends MovingOptions, WriteExamplesOptions {}
const writeMovingOptions = { ...movingOptions, ...writeOptions } satisfies Settings<WriteMovingShapesOptions>

/** Options of `writeShapesQuestions`. */
export interface WriteShapesQuestionsOptions extends ShapesQuestionOptions, WriteExamplesOptions {}
const writeQuestionsOptions = {
  ...shapesQuestionOptions,
  ...writeOptions,
} satisfies Settings<WriteShapesQuestionsOptions>

/** The folder to write to is not empty. */
export class FolderNotEmptyError extends Error {
  override readonly name = 'FolderNotEmptyError'
  /** path of the folder */
  readonly folder: string
  /** names of what is in it */
  readonly entries: readonly string[]

  constructor(folder: string, entries: readonly string[], advice: string) {
    super(
      `${folder} is not empty: it holds ${entries.slice(0, 3).join(', ')}${entries.length > 3 ? ', …' : ''}. ${advice}`,
    )
    this.folder = folder
    this.entries = entries
  }
}

/** What a written dataset consists of. */
interface Layout {
  readonly dataset: string
  /** the folder of its pictures */
  readonly pictures: string
  /** the file with a line for each example */
  readonly list: string
}
const SHAPES_LAYOUT: Layout = { dataset: 'Shapes', pictures: 'images', list: 'captions.jsonl' }
const MOVING_LAYOUT: Layout = { dataset: 'Moving Shapes', pictures: 'clips', list: 'clips.jsonl' }
const QUESTIONS_LAYOUT: Layout = { dataset: 'Shapes questions', pictures: 'images', list: 'questions.jsonl' }

/**
 * Writes `out/images/000000.png` … and `out/captions.jsonl`, one line per picture:
 *
 *     {"file":"images/000000.png","caption":"a small red circle",
 *      "objects":[{"size":"small","colour":"red","shape":"circle","x":0.31,"y":0.62}],"relation":null,"label":"red circle"}
 *
 * A picture of different objects has `labels`, of all of them, in place of `label`. `x` and `y` are the centre as a fraction of the picture's side; `relation` is that of the first object to the second,
 * and null with one object or more than two.
 * The folder gets its name only when it is complete.
 * @throws FolderNotEmptyError if `out` contains anything, unless `force` is given and it contains only a Shapes folder
 * @throws RangeError if `count` is not a positive integer, FileError if the folder cannot be written; no part of it is left then
 */
export async function writeShapes(options: WriteShapesOptions): Promise<void> {
  const { out, count, force, onProgress, ...rest } = settle('writeShapes(options)', options, writeShapesOptions)
  const writing = { out, count, force, onProgress }
  await writeExamples('writeShapes', writing, SHAPES_LAYOUT, async (folder, name, index) => {
    const example = shapesExample(index, rest)
    const file = `${name}.png`
    await writePicture(join(folder, file), example.pixels)
    return captionLine(file, example)
  })
}

/**
 * Writes `out/clips/000000/frame-00.png`, `frame-01.png` … and `out/clips.jsonl`, one line per clip:
 *
 *     {"clip":"clips/000000","frames":8,"caption":"a small red circle moves left","label":"moves left",
 *      "objects":[{"size":"small","colour":"red","shape":"circle","from":{"x":0.81,"y":0.62,"radius":0.11,"angle":0},"to":{…}}]}
 *
 * `from` and `to` are the pose of an object in the first and in the last frame (see {@link MovingPose}).
 * The folder gets its name only when it is complete.
 * @throws FolderNotEmptyError if `out` contains anything, unless `force` is given and it contains only a Moving Shapes folder
 * @throws RangeError if `count` is not a positive integer, FileError if the folder cannot be written; no part of it is left then
 */
export async function writeMovingShapes(options: WriteMovingShapesOptions): Promise<void> {
  const { out, count, force, onProgress, ...rest } = settle('writeMovingShapes(options)', options, writeMovingOptions)
  const writing = { out, count, force, onProgress }
  await writeExamples('writeMovingShapes', writing, MOVING_LAYOUT, async (folder, clip, index) => {
    const example = movingExample(index, rest)
    await mkdir(join(folder, clip))
    for (const [i, pixels] of example.frames.entries())
      await writePicture(join(folder, clip, `frame-${String(i).padStart(2, '0')}.png`), pixels)
    return clipLine(clip, example)
  })
}

/**
 * Writes `out/images/000000.png` … and `out/questions.jsonl`, one line per question, for `QuestionDataset`:
 *
 *     {"file":"images/000000.png","text":"what colour is the star?","label":"red","kind":"colour",
 *      "objects":[{"size":"small","colour":"red","shape":"star","x":0.31,"y":0.62}]}
 *
 * For the task `pairs`, it writes `images/000000-left.png` and `images/000000-right.png`, and a line has `files` in place of
 * `file` and a list of objects for each. The colour of an object in black is null, and `hidden` is the half behind a panel.
 * The folder gets its name only when it is complete.
 * @throws FolderNotEmptyError if `out` contains anything, unless `force` is given and it contains only a folder of questions
 * @throws RangeError if `count` is not a positive integer, FileError if the folder cannot be written; no part of it is left then
 */
export async function writeShapesQuestions(options: WriteShapesQuestionsOptions): Promise<void> {
  const { out, count, force, onProgress, ...rest } = settle(
    'writeShapesQuestions(options)',
    options,
    writeQuestionsOptions,
  )
  const writing = { out, count, force, onProgress }
  await writeExamples('writeShapesQuestions', writing, QUESTIONS_LAYOUT, async (folder, name, index) => {
    const question = shapesQuestion(index, rest)
    const files = question.pixels.length === 1 ? [`${name}.png`] : ['left', 'right'].map(side => `${name}-${side}.png`)
    for (const [i, file] of files.entries()) await writePicture(join(folder, file), question.pixels[i])
    return questionLine(files, question)
  })
}

const writePicture = (path: string, data: Uint8Array): Promise<void> =>
  writeFile(path, encode({ width: PICTURE_SIDE, height: PICTURE_SIDE, channels: 3, data }))

/** The number of examples whose files are written while the next one is drawn. */
const AT_ONCE = 8

/**
 * Makes the folder of a dataset: under another name until all of it is written.
 * @param writeOne writes the pictures of example `index` to the path `name` in `folder`, and returns its line of the list
 */
async function writeExamples(
  caller: string,
  { out: folder, count, force, onProgress }: WriteExamplesOptions & { readonly force: boolean },
  layout: Layout,
  writeOne: (folder: string, name: string, index: number) => Promise<object>,
): Promise<void> {
  if (!Number.isSafeInteger(count) || count < 1)
    throw new RangeError(`${caller}: count must be a positive integer, not ${count}`)
  const out = resolve(folder)
  await checkFree(out, force, layout)

  await makeNamedFolder(out, async unfinished => {
    await mkdir(join(unfinished, layout.pictures))
    const lines = new Array<string>(count)
    let [next, done] = [0, 0]
    const write = async () => {
      while (next < count) {
        const index = next++
        const name = `${layout.pictures}/${String(index).padStart(6, '0')}`
        try {
          lines[index] = `${JSON.stringify(await writeOne(unfinished, name, index))}\n`
          onProgress?.(++done, count)
        } catch (error) {
          next = count // the others end before the folder is removed
          throw error
        }
      }
    }
    for (const each of await Promise.allSettled(Array.from({ length: AT_ONCE }, write)))
      if (each.status === 'rejected') throw each.reason
    await writeFile(join(unfinished, layout.list), lines.join(''))
    if (force) await rm(out, { recursive: true, force: true })
  })
}

async function checkFree(out: string, force: boolean, { dataset, pictures, list }: Layout): Promise<void> {
  const entries = await readdir(out).catch(error => {
    if (error.code === 'ENOENT') return []
    throw fileError(out, error)
  })
  if (entries.length === 0) return
  if (!force) throw new FolderNotEmptyError(out, entries, 'Name another folder, or use force to replace it.')
  const foreign = entries.filter(entry => entry !== pictures && entry !== list)
  const advice = `They are not part of a ${dataset} folder, so force does not replace them.`
  if (foreign.length > 0) throw new FolderNotEmptyError(out, foreign, advice)
}

function captionLine(file: string, { scene, caption }: ShapesExample): object {
  const objects = scene.objects.map(({ size, colour, shape, x, y }) => ({ size, colour, shape, x, y }))
  const [first, second] = scene.objects
  const relation = scene.objects.length === 2 ? relationOf(first, second) : null
  const names = [...new Set(scene.objects.map(({ colour, shape }) => pairName(colour, shape)))]
  const classes = names.length === 1 ? { label: names[0] } : { labels: names }
  return { file, caption, objects, relation, ...classes }
}

const clipLine = (clip: string, { scene, caption, frames }: MovingExample): object => ({
  clip,
  frames: frames.length,
  caption,
  label: scene.action,
  objects: scene.objects,
})

function questionLine(files: readonly string[], { text, label, kind, scenes }: ShapesQuestion): object {
  const objects = scenes.map(scene =>
    scene.objects.map(({ size, colour, shape, x, y, inShadow }) => ({
      size,
      colour: inShadow ? null : colour,
      shape,
      x,
      y,
    })),
  )
  const [{ hidden }] = scenes
  return files.length === 1
    ? { file: files[0], text, label, kind, objects: objects[0], ...(hidden && { hidden }) }
    : { files, text, label, kind, objects }
}
