// `cocagrad tokenize`: the ids that a tokenizer gives for texts.

import { stat } from 'node:fs/promises'
import { text as readAll } from 'node:stream/consumers'
import type { Command } from 'commander'
import { readTokenizer, type Tokenizer } from '../../data/index.ts'
import { messageOf, parseJson } from '../../io/index.ts'
import { openTokenizer } from '../../train/index.ts'

import { UsageError } from '../errors.ts'
import { examples, jsonOption, positiveInteger } from '../options.ts'
import { answer } from '../output.ts'

interface TokenizeFlags {
  readonly vocab: string
  readonly context?: number
  readonly splitSpecialTokens?: boolean
  readonly json?: boolean
}

export function addTokenize(program: Command): void {
  const command = program
    .command('tokenize')
    .description(
      'Show the ids of texts: of the words only, and as a row with start and end, truncated if it is too long.',
    )
    .argument('[texts...]', 'texts; without any, a JSON list of them is read from standard input')
    .requiredOption(
      '--vocab <path>',
      "tokenizer.json, or CLIP's bpe_simple_vocab_16e6.txt.gz; or the folder of a checkpoint of OpenCLIP, whose texts are cleaned as its configuration says",
    )
    .option('--context <n>', 'longest row (default: that of the checkpoint, or 77)', positiveInteger)
    .option('--split-special-tokens', 'read <end_of_text> and the like in a text as ordinary characters')
    .action(run)
  examples(
    jsonOption(command),
    'tokenize "a photo of a cat" --vocab bpe_simple_vocab_16e6.txt.gz',
    'tokenize --vocab tokenizer.json --json < texts.json',
  )
}

async function run(
  given: readonly string[],
  { vocab, context: longest, splitSpecialTokens, json }: TokenizeFlags,
): Promise<void> {
  const { tokenizer, context: own } = await open(vocab)
  const context = longest ?? own
  const texts = given.length > 0 ? given : await textsOfInput()
  const rows = texts.map(text => ({
    text,
    encode: tokenizer.encode(text, { splitSpecialTokens }),
    [`tokenize_${context}`]: rowOf(tokenizer, text, context, splitSpecialTokens),
  }))
  const lines = rows.map(({ text, encode }) => `${JSON.stringify(text)}\n  ${encode.join(' ')}`)
  answer(json, rows, lines.join('\n'))
}

/** The tokenizer of a file with CLIP's context, or that of a checkpoint with the context of its model. */
async function open(path: string): Promise<{ readonly tokenizer: Tokenizer; readonly context: number }> {
  const isFolder = await stat(path).then(
    found => found.isDirectory(),
    () => false,
  )
  return isFolder ? openTokenizer(path) : { tokenizer: await readTokenizer(path), context: 77 }
}

async function textsOfInput(): Promise<string[]> {
  let value: unknown
  try {
    value = parseJson(await readAll(process.stdin))
  } catch (error) {
    throw new UsageError(`standard input ${messageOf(error)}`)
  }
  if (!Array.isArray(value) || !value.every(text => typeof text === 'string'))
    throw new UsageError('standard input is not a JSON list of texts')
  return value
}

/** Start, text and end, without the padding, which may have the id of the end. */
function rowOf(tokenizer: Tokenizer, text: string, context: number, splitSpecialTokens?: boolean): number[] {
  const row = [...tokenizer.tokenize([text], context, { truncate: true, splitSpecialTokens })]
  const { pad, end } = tokenizer
  while (row.at(-1) === pad && (pad !== end || row.at(-2) === pad)) row.pop()
  return row
}
