// `cocagrad data shapes`: the built-in dataset as files.

import { type Command, Option } from 'commander'
import { CAPTION_FILES, type ObjectCount, type PairChoice, writeShapes } from '../../data/index.ts'
import { interruptible } from '../interrupt.ts'
import { examples, jsonOption, positiveInteger, seedOption } from '../options.ts'
import { answer } from '../output.ts'
import { progressBar } from '../progress.ts'

interface ShapesFlags {
  readonly out: string
  readonly count: number
  readonly seed: number
  readonly pairs: PairChoice
  readonly objects: '1' | '2' | 'both'
  readonly force?: boolean
  readonly json?: boolean
}

export function addData(program: Command): void {
  const data = examples(
    program.command('data').description('Make data to train on.'),
    'data shapes --out shapes --count 1000',
  )
  const shapes = seedOption(data.command('shapes'))
    .description('Write pictures of coloured shapes with captions: 32 × 32 PNG files and a captions.jsonl.')
    .requiredOption('--out <folder>', 'the folder to create')
    .requiredOption('--count <n>', 'number of pictures', positiveInteger)
    .addOption(
      new Option('--pairs <which>', 'colour-shape pairs that may occur')
        .choices(['seen', 'held-out', 'all'])
        .default('all'),
    )
    .addOption(new Option('--objects <n>', 'objects in a picture').choices(['1', '2', 'both']).default('both'))
    .option('--force', 'replace a Shapes folder that is already there')
    .action(makeShapes)
  examples(
    jsonOption(shapes),
    'data shapes --out shapes/train --count 4000 --pairs seen',
    'data shapes --out shapes/held-out --count 200 --seed 1 --pairs held-out --objects 1',
  )
}

async function makeShapes({ out, count, seed, pairs, objects, force, json }: ShapesFlags): Promise<void> {
  const bar = progressBar(`writing ${count} pictures`, count)
  const objectCount = (objects === 'both' ? 'both' : Number(objects)) as ObjectCount
  await interruptible('stopping', signal => {
    const onProgress = (done: number) => {
      signal.throwIfAborted()
      bar.update(done)
    }
    return writeShapes({ out, count, seed, pairs, objects: objectCount, force, onProgress })
  }).finally(() => bar.stop())
  const value = { folder: out, pictures: count, captions: CAPTION_FILES[0], seed, pairs, objects: objectCount }
  answer(json, value, `${count} pictures and ${CAPTION_FILES[0]} are in ${out}`)
}
