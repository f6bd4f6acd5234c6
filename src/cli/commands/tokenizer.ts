// `cocagrad tokenizer train`: learns byte pairs from captions and writes them as a tokenizer.json.

import type { Command } from 'commander'
import { openData, readAllCaptions, trainBytePairs } from '../../data/index.ts'
import { writeAtomically } from '../../io/index.ts'
import { examples, jsonOption, positiveInteger } from '../options.ts'
import { answer } from '../output.ts'

interface TrainFlags {
  readonly data: string
  readonly out: string
  readonly vocabulary: number
  readonly minCount: number
  readonly case?: boolean
  readonly json?: boolean
}

export function addTokenizer(program: Command): void {
  const tokenizer = examples(
    program.command('tokenizer').description('Make a tokenizer.'),
    'tokenizer train --data pictures --out tokenizer.json',
  )
  const train = tokenizer
    .command('train')
    .description('Learn byte pairs from captions: a tokenizer.json that other libraries read too.')
    .requiredOption('--data <path>', 'a folder with captions, a .jsonl, .csv or .tsv, or tars: "data/{000..099}.tar"')
    .requiredOption('--out <file>', 'the tokenizer.json to write')
    .option('--vocabulary <n>', 'total number of ids, 259 of which are bytes and special ones', positiveInteger, 8192)
    .option('--min-count <n>', 'do not join a pair that occurs fewer times', positiveInteger, 2)
    .option('--case', 'distinguish upper-case and lower-case letters')
    .action(run)
  examples(
    jsonOption(train),
    'tokenizer train --data "shards/{000..099}.tar" --out tokenizer.json --vocabulary 16384',
    'train --data "shards/{000..099}.tar" --tokenizer tokenizer.json --out runs/first',
  )
}

async function run({ data, out, vocabulary, minCount, case: isSensitive = false, json }: TrainFlags): Promise<void> {
  const captions = await readAllCaptions(await openData(data, { imageSize: 1, threads: 'auto' }))
  const tokenizer = trainBytePairs(captions, { vocabularySize: vocabulary, minCount, lowerCase: !isSensitive })
  await writeAtomically(out, `${JSON.stringify(tokenizer, null, 2)}\n`)
  const ids = captions.reduce((sum, caption) => sum + tokenizer.encode(caption).length, 0)
  const value = { file: out, vocabulary: tokenizer.vocabularySize, captions: captions.length, ids }
  const mean = (ids / captions.length).toFixed(1)
  answer(json, value, `${out}: ${value.vocabulary} ids from ${captions.length} captions, which take ${mean} each`)
}
