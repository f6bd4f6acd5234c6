// `cocagrad data`: the built-in datasets as files.

import { type Command, InvalidArgumentError, Option } from 'commander'
import {
  CAPTION_FILES,
  CLIP_FILES,
  MOVING_FRAMES,
  type ObjectCount,
  type PairChoice,
  QUESTION_FILES,
  SHAPES_TASKS,
  type ShapesLevel,
  type ShapesTask,
  writeMovingShapes,
  writeShapes,
  writeShapesQuestions,
} from '../../data/index.ts'
import { UsageError } from '../errors.ts'
import { interruptible } from '../interrupt.ts'
import { examples, jsonOption, positiveInteger, seedOption } from '../options.ts'
import { answer } from '../output.ts'
import { progressBar } from '../progress.ts'

interface WritingFlags {
  readonly out: string
  readonly count: number
  readonly seed: number
  readonly pairs: PairChoice
  readonly force?: boolean
  readonly json?: boolean
}

interface ShapesFlags extends WritingFlags {
  readonly objects: `${ObjectCount}`
  readonly level: `${ShapesLevel}`
}

interface QuestionsFlags extends WritingFlags {
  readonly pairs: 'all' | 'seen'
  readonly task: ShapesTask
  readonly level: `${ShapesLevel}`
}

interface MovingFlags extends WritingFlags {
  readonly frames: number
}

export function addData(program: Command): void {
  const data = examples(
    program.command('data').description('Make data to train on.'),
    'data shapes --out shapes --count 1000',
    'data moving --out moving --count 1000',
    'data questions --task vqa --out questions --count 1000',
  )
  const shapes = writingCommand(data, 'shapes', 'pictures', 'Shapes')
    .description('Write pictures of coloured shapes with captions: 32 × 32 PNG files and a captions.jsonl.')
    .addOption(
      new Option('--objects <n>', 'objects in a picture; both: any number that the level has')
        .choices(['1', '2', '3', '4', 'both'])
        .default('both'),
    )
    .addOption(levelOption())
    .action(makeShapes)
  examples(
    jsonOption(shapes),
    'data shapes --out shapes/train --count 4000 --pairs seen',
    'data shapes --out shapes/held-out --count 200 --seed 1 --pairs held-out --objects 1',
    'data shapes --out shapes/hard --count 4000 --level 3',
  )
  const moving = writingCommand(data, 'moving', 'clips', 'Moving Shapes')
    .description(
      'Write clips of shapes that move, grow, turn or collide: folders of 32 × 32 PNG files and a clips.jsonl.',
    )
    .addOption(new Option('--frames <n>', 'frames of a clip').argParser(frameCount).default(MOVING_FRAMES))
    .action(makeMovingShapes)
  examples(
    jsonOption(moving),
    'data moving --out moving/train --count 2000',
    'data moving --out moving/test --count 200 --seed 1',
  )
  const questions = writingCommand(data, 'questions', 'questions', 'Shapes questions', ['seen', 'all'])
    .description(
      'Write pictures of Shapes with questions, hypotheses or statements about them, and answers: PNG files and a questions.jsonl.',
    )
    .addOption(
      new Option('--task <name>', 'questions about a picture, what it entails, or statements about two pictures')
        .choices(SHAPES_TASKS)
        .makeOptionMandatory(),
    )
    .addOption(levelOption())
    .action(makeQuestions)
  examples(
    jsonOption(questions),
    'data questions --task vqa --out vqa/train --count 4000 --pairs seen',
    'data questions --task pairs --out statements/test --count 500 --seed 1 --level 2',
  )
}

const levelOption = (): Option =>
  new Option('--level <n>', 'how hard the pictures are: 2 has up to three objects, and clutter; 3 has up to four')
    .choices(['1', '2', '3'])
    .default('1')

function frameCount(text: string): number {
  const value = positiveInteger(text)
  if (value < 2) throw new InvalidArgumentError('A clip needs 2 frames at least.')
  return value
}

/** A command with the options that all datasets have. */
const writingCommand = (
  data: Command,
  name: string,
  noun: string,
  dataset: string,
  pairs: readonly PairChoice[] = ['seen', 'held-out', 'all'],
): Command =>
  seedOption(data.command(name))
    .requiredOption('--out <folder>', 'the folder to create')
    .requiredOption('--count <n>', `number of ${noun}`, positiveInteger)
    .addOption(new Option('--pairs <which>', 'colour-shape pairs that may occur').choices(pairs).default('all'))
    .option('--force', `replace a ${dataset} folder that is already there`)

async function makeShapes({ out, count, seed, pairs, objects, level: flag, force, json }: ShapesFlags): Promise<void> {
  const objectCount = (objects === 'both' ? 'both' : Number(objects)) as ObjectCount
  const level = Number(flag) as ShapesLevel
  if (objectCount !== 'both' && objectCount > level + 1)
    throw new UsageError(`--objects ${objects}: a picture of level ${level} has ${level + 1} objects at most`)
  await withProgress('pictures', count, onProgress =>
    writeShapes({ out, count, seed, pairs, objects: objectCount, level, force, onProgress }),
  )
  const value = { folder: out, pictures: count, captions: CAPTION_FILES[0], seed, pairs, objects: objectCount, level }
  answer(json, value, `${count} pictures and ${CAPTION_FILES[0]} are in ${out}`)
}

async function makeQuestions({
  out,
  count,
  seed,
  pairs,
  task,
  level: flag,
  force,
  json,
}: QuestionsFlags): Promise<void> {
  const level = Number(flag) as ShapesLevel
  await withProgress('questions', count, onProgress =>
    writeShapesQuestions({ out, count, seed, pairs, task, level, force, onProgress }),
  )
  const value = { folder: out, questions: count, list: QUESTION_FILES[0], seed, pairs, task, level }
  answer(json, value, `${count} questions with their pictures and ${QUESTION_FILES[0]} are in ${out}`)
}

async function makeMovingShapes({ out, count, seed, pairs, frames, force, json }: MovingFlags): Promise<void> {
  await withProgress('clips', count, onProgress =>
    writeMovingShapes({ out, count, seed, pairs, frames, force, onProgress }),
  )
  const value = { folder: out, clips: count, frames, list: CLIP_FILES[0], seed, pairs }
  answer(json, value, `${count} clips of ${frames} frames and ${CLIP_FILES[0]} are in ${out}`)
}

/** Writes with a progress bar, until it is done or the user stops it. */
async function withProgress(
  what: string,
  count: number,
  write: (onProgress: (done: number) => void) => Promise<void>,
): Promise<void> {
  const bar = progressBar(`writing ${count} ${what}`, count)
  await interruptible('stopping', signal =>
    write(done => {
      signal.throwIfAborted()
      bar.update(done)
    }),
  ).finally(() => bar.stop())
}
