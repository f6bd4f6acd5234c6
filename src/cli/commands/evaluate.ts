// `cocagrad evaluate`: measures a model on images or clips, by the protocols of the paper.

import { type Command, Option } from 'commander'
import { type BadSample, openAnyData, picturesFor, ShardStream } from '../../data/index.ts'
import { isFirst } from '../../data/ranks.ts'
import { percent } from '../../demo/words.ts'
import {
  type EvaluatedModel,
  type Evaluation,
  evaluateModel,
  isClipSource,
  ProtocolError,
  type ProtocolName,
  protocolNames,
  protocols,
} from '../../evaluate/index.ts'
import { DataError } from '../../io/index.ts'
import { type FamilyName, familyNames, MultimodalClassifier, VideoClassifier } from '../../models/index.ts'
import { device } from '../../tensor/index.ts'
import { openExamples, recordResults } from '../../train/index.ts'
import { UsageError } from '../errors.ts'
import { interruptible } from '../interrupt.ts'
import { readLabels, readTemplates } from '../names.ts'
import { collect, examples, positiveInteger } from '../options.ts'
import { answer, say, skippedLine, table } from '../output.ts'
import { ranksHere } from '../ranks.ts'
import { type ModelFlags, modelOptions, type Opened, openTrained, templateOption } from '../trained.ts'

/** The flags of the command. */
export interface EvaluateFlags extends ModelFlags {
  readonly data: string
  readonly protocol?: readonly string[]
  readonly frames?: number
  readonly labels?: string
  readonly template?: readonly string[]
  readonly batchSize?: number
  readonly record: boolean
}

export function addEvaluate(program: Command): void {
  const command = program
    .command('evaluate')
    .description(
      'Measure a model on images or clips, by every protocol that applies to both or by those named with --protocol. The results of a run are also kept in its folder, for `compare`.',
    )
    .requiredOption(
      '--data <path>',
      'images with captions or labels: a folder with captions.jsonl, captions.csv or captions.tsv, a folder for each class, or shards, data/{000..099}.tar; with --frames clips: a folder with clips.jsonl, folders of numbered frames, or shards of clips',
    )
    .addOption(
      new Option('--protocol <name>', 'what to measure; may be repeated (default: all that apply)')
        .choices(protocolNames)
        .argParser(protocolNamed),
    )
    .option('--frames <n>', 'the data are clips: use so many frames of each', positiveInteger)
    .option(
      '--labels <file or a,b,c>',
      'zero-shot: the classes (default: the labels in the data); the class of an image is its label, or the only one in its caption',
    )
    .option(
      '--batch-size <n>',
      'images at a time, fewer if memory is short; a contrastive loss is that of such batches',
      positiveInteger,
      64,
    )
    .option('--no-record', 'do not keep the results in the folder of the run')
    .action((flags: EvaluateFlags) => evaluate(flags))
  examples(
    modelOptions(templateOption(command)).addHelpText(
      'after',
      `\nProtocols:\n${protocolNames.map(name => `  ${name.padEnd(16)}${protocols[name].about}`).join('\n')}`,
    ),
    'evaluate --run runs/first --data shapes/unseen',
    'evaluate --run runs/first --data shapes/unseen --protocol zero-shot --labels labels.txt --template "a small {}"',
    'evaluate --run runs/first --data moving --frames 8 --json',
    'evaluate --run runs/first --data "clips-{00..03}.tar" --frames 8',
  )
}

function protocolNamed(value: string, before?: readonly string[]): string[] {
  if (!protocolNames.includes(value as ProtocolName))
    throw new UsageError(`--protocol '${value}': expected one of ${protocolNames.join(', ')}`)
  return collect(value, before)
}

/** Measures a model, and prints and keeps the results. */
export async function evaluate(flags: EvaluateFlags): Promise<void> {
  const ranks = ranksHere()
  const { data, json, protocol } = flags
  const classes = flags.labels === undefined ? undefined : await readLabels(flags.labels)
  const templates = await readTemplates(flags.template)
  const trained = await openTrained(flags, ...familyNames)
  checkPromptFlags(flags, trained)
  say(`${trained.checkpoint ?? trained.path} on ${device.description}`)
  const source = await openFor(trained, flags)
  const advice = 'start every rank with the same flags and files'
  ranks?.requireSame('the model', `${trained.path} ${trained.step}`, advice)
  ranks?.requireSame('the data', source.fingerprint, advice)
  const chosen = protocol as readonly ProtocolName[] | undefined
  const results = await interruptible('stopping', async signal => {
    const options = { protocols: chosen, classes, templates, batchSize: flags.batchSize, signal, ranks }
    try {
      return await evaluateModel(trained, source, options)
    } catch (error) {
      throw error instanceof ProtocolError ? new DataError(error.reason, { file: data, cause: error }) : error
    }
  })
  for (const { note } of results) if (note !== undefined) say(`note: ${note}`)
  if (flags.record && isFirst(ranks) && trained.step !== undefined)
    await record(trained.path, trained.step, data, source, results)
  const kind = isClipSource(source) && trained.family !== 'multimodal-classifier' ? 'clips' : 'images'
  const value = { run: trained.path, step: trained.step, [kind]: source.length }
  const head = [`${source.length} ${kind}`, trained.step === undefined ? '' : `step ${trained.step}`]
  answer(json, Object.assign(value, ...results.map(result => result.json)), table(head, results.flatMap(rowsOf)))
}

/** The data in the form that a model reads. */
async function openFor({ model, family, pixels }: Opened<FamilyName>, { data, frames }: EvaluateFlags) {
  const onBadSample = (bad: BadSample) => say(skippedLine(bad))
  if (model instanceof VideoClassifier || model instanceof MultimodalClassifier) {
    const expected = model instanceof VideoClassifier ? model.frames : undefined
    if (frames !== undefined && frames !== expected)
      throw new UsageError(
        `--frames ${frames}: the model reads ${expected === undefined ? 'no clips' : `${expected} frames`}`,
      )
    const examples = await openExamples(data, family as 'video-classifier' | 'multimodal-classifier', model.config, {
      pixels,
    })
    if (!(examples instanceof ShardStream)) return examples
    return { ...(await examples.all(onBadSample)), fingerprint: examples.fingerprint }
  }
  return openAnyData(data, { ...picturesFor(model.config.image), pixels, frames, onBadSample })
}

/** @throws UsageError for labels or templates that the model or the protocols have no use for */
function checkPromptFlags({ labels, template, protocol }: EvaluateFlags, trained: EvaluatedModel): void {
  const flag = labels !== undefined ? `--labels ${labels}` : template && `--template ${template}`
  if (flag === undefined) return
  if (trained.classes) throw new UsageError(`${flag}: a classifier has its own classes: ${trained.classes.join(', ')}`)
  const why = protocols['zero-shot'].lacksModel(trained)
  if (why !== undefined) throw new UsageError(`${flag} is for zero-shot classification: ${why}`)
  if (protocol && !protocol.includes('zero-shot'))
    throw new UsageError(`${flag} is for zero-shot classification: add --protocol zero-shot`)
}

const rowsOf = ({ protocol, values, names, details }: Evaluation): string[][] => [
  ...protocols[protocol].measures.flatMap(({ key, name, unit }) => {
    const value = values[key]
    if (value === undefined) return []
    return [[names[key] ?? name, unit === 'share' ? percent(value) : value.toFixed(4)]]
  }),
  ...details.map(({ name, count, value }) => [
    `  ${name}`,
    count === 0 ? 'no images' : `${percent(value)} of ${count}`,
  ]),
]

/** Keeps results in the folder of a run; if that is not possible, the command says so and goes on. */
async function record(
  folder: string,
  step: number,
  data: string,
  { fingerprint }: { readonly fingerprint: string },
  results: readonly Evaluation[],
): Promise<void> {
  const date = new Date().toISOString()
  const lines = results.map(({ protocol, examples, options, values }) => {
    return { date, step, protocol, data, fingerprint, examples, options, values }
  })
  try {
    await recordResults(folder, lines)
  } catch (error) {
    if (!(error instanceof DataError)) throw error
    say(`note: the results are not kept in the run: ${error.message}`)
  }
}
