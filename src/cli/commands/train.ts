// `cocagrad train`: starts a new run on pictures with captions, or continues an old one.

import { type Command, Option } from 'commander'
import type { ImagePixels } from '../../data/index.ts'
import { isFirst } from '../../data/ranks.ts'
import { readJson } from '../../io/index.ts'
import type { FamilyName } from '../../models/index.ts'
import type { Communicator } from '../../mpi/index.ts'
import type { OpenClipArchitecture } from '../../openclip/index.ts'

import {
  checkRunConfig,
  mergeSettings,
  type OptimizerName,
  optimizerNames,
  type RunConfig,
  resumeTraining,
  type TrainResult,
  train,
  withOrigin,
} from '../../train/index.ts'
import { flagOf, InterruptedError, UsageError } from '../errors.ts'
import { interruptible } from '../interrupt.ts'
import {
  architectureOption,
  collect,
  DEFAULT_DEVICE,
  deviceOption,
  examples,
  familyOption,
  jsonOption,
  nonNegativeNumber,
  openDevice,
  pixelsOption,
  positiveInteger,
  positiveNumber,
  wholeNumber,
} from '../options.ts'
import { answer, say } from '../output.ts'
import { amongRanks } from '../ranks.ts'
import { TrainingProgress } from '../train-progress.ts'

/** The flags of a training. */
export interface TrainFlags {
  readonly out: string
  readonly resume?: boolean
  readonly json?: boolean
  readonly config?: string
  readonly data?: string
  readonly tokenizer?: string
  readonly from?: string
  readonly part?: 'encoder'
  readonly architecture?: OpenClipArchitecture
  readonly freeze?: readonly string[]
  readonly fresh?: readonly string[]
  readonly accumulate?: number
  readonly gradientCheckpointing?: boolean
  readonly family?: FamilyName
  readonly preset?: string
  readonly steps?: number
  readonly epochs?: number
  readonly batch?: number
  readonly inBackward?: boolean
  readonly shardOptimizer?: boolean
  readonly capture?: boolean
  readonly moments?: 'float32' | 'bfloat16' | 'float8'
  readonly clipNorm?: number | 'none'
  readonly guardEvery?: number
  readonly optimizer?: OptimizerName
  readonly lr?: number
  readonly weightDecay?: number
  readonly rate?: Readonly<Record<string, number>>
  readonly layerDecay?: number
  readonly warmup?: number
  readonly ema?: number
  readonly validation?: number
  readonly checkpointEvery?: number
  readonly evaluateEvery?: number
  readonly tensorboard?: boolean
  readonly truncate?: boolean
  readonly strict?: boolean
  readonly threads?: number
  readonly seed?: number
  readonly pixels?: ImagePixels
  readonly device?: string
  readonly backend?: string
}

const DEFAULT_EPOCHS = 10

export function addTrain(program: Command): void {
  const command = program
    .command('train')
    .description(
      'Train CoCa, or another family of models, on images with captions or labels. Flags override a --config file.',
    )
    .requiredOption('--out <run>', 'the folder of the run: settings, checkpoints, metrics.jsonl')
    .addOption(
      familyOption(
        'what to train; a classifier needs a field "label" or "labels" in the list of captions, one folder for each class, or labels in shards; a video-classifier needs clips, a multimodal-classifier a list of questions (default: coca)',
      ),
    )
    .option(
      '--data <path>',
      'a folder with captions.jsonl, .csv or .tsv, such a file, or tars of pictures or clips: "data/{000..099}.tar"',
    )
    .option(
      '--tokenizer <file>',
      "tokenizer.json or CLIP's bpe_simple_vocab_16e6.txt.gz (default: words of the captions)",
    )
    .option('--from <model>', 'finetune: start from the weights of a run, or of a checkpoint of OpenCLIP')
    .addOption(partOption())
    .addOption(architectureOption())
    .option('--freeze <part>', 'do not train a part, such as encoder or unimodal.blocks.0-5; may be repeated', collect)
    .option('--fresh <part>', 'with --from: a part that is not copied; may be repeated', collect)
    .option('--preset <name>', 'model: tiny, small, base, large or full (default: tiny)')
    .action(run)
  examples(
    trainingOptions(command),
    'train --data shapes --preset tiny --out runs/first --steps 1000 --batch 32',
    'train --out runs/first --resume',
    'train --config settings.json --out runs/second --lr 3e-4',
    'train --data photos --optimizer lion --lr 1e-4 --weight-decay 0.1 --out runs/lion',
    'train --family classifier --data photos --out runs/classes',
    'train --data photos --from runs/first --freeze encoder --lr 1e-5 --out runs/tuned',
    'train --data photos --from vit_base_patch16_224 --part encoder --preset base --out runs/begun',
  )
}

/** --part */
export const partOption = (): Option =>
  new Option(
    '--part <name>',
    'with --from: copy only the image encoder, also of a vision transformer of timm or of Hugging Face; everything else is new',
  ).choices(['encoder'])

/** The options of every training: its length, its optimizer, what it writes, and where. */
export const trainingOptions = (command: Command): Command =>
  jsonOption(deviceOption(command))
    .option('--config <file>', 'settings as JSON')
    .option('--resume', 'continue from the last checkpoint of --out, with the settings of the run')
    .option(
      '--steps <n>',
      'number of steps, 0 only saves the initial weights; with --resume, the new total',
      wholeNumber,
    )
    .option('--epochs <n>', `number of passes over the data (default: ${DEFAULT_EPOCHS})`, positiveInteger)
    .option('--batch <n>', 'images per step', positiveInteger)
    .option('--accumulate <n>', 'split each batch into n parts, to need the memory of one', positiveInteger)
    .addOption(
      new Option('--optimizer <name>', 'the optimizer; --config has its other settings (default: adamw)').choices(
        optimizerNames,
      ),
    )
    .option(
      '--gradient-checkpointing',
      'compute the values inside of transformer blocks again in the backward pass, to need less memory, for a third more time',
    )
    .option(
      '--in-backward',
      'update each parameter during the backward pass and free its gradient, to need less memory; with --clip-norm none and --guard-every 0',
    )
    .option(
      '--capture',
      'on cpu: run the kernels of a step again without JavaScript, which is faster for small models; also with --resume',
    )
    .option(
      '--shard-optimizer',
      "under mpirun: divide the optimizer's state among the ranks (ZeRO stage 1), to need less memory; also with --resume",
    )
    .addOption(
      new Option(
        '--moments <format>',
        'how AdamW, Adam and Lion store their moments: 4, 2 or 1 byte a number (default: float32)',
      ).choices(['float32', 'bfloat16', 'float8']),
    )
    .option('--clip-norm <x>', 'largest norm of all gradients together, or none (default: 1)', clipNorm)
    .option('--guard-every <n>', 'steps between checks of the gradient, 0 for none (default: 500)', wholeNumber)
    .option('--lr <x>', 'peak learning rate', positiveNumber)
    .option('--weight-decay <x>', 'share of a weight that is subtracted, times the learning rate', nonNegativeNumber)
    .option('--rate <part=factor>', 'factor of the learning rate of a part, such as encoder=0.1; may be repeated', rate)
    .option(
      '--layer-decay <x>',
      'factor of the learning rate from one layer to the layer below it, such as 0.75',
      positiveNumber,
    )
    .option('--warmup <n>', 'steps until the peak', wholeNumber)
    .option(
      '--ema <decay>',
      'keep an exponential moving average of the weights, such as 0.999, and evaluate with it',
      positiveNumber,
    )
    .option('--validation <share>', 'share of the images that is held out', nonNegativeNumber)
    .option('--checkpoint-every <n>', 'steps between checkpoints', positiveInteger)
    .option('--evaluate-every <n>', 'steps between evaluations', positiveInteger)
    .option('--tensorboard', 'also write the metrics as an event file for TensorBoard')
    .option('--truncate', 'truncate captions that are too long, instead of stopping at one')
    .option('--strict', 'stop at a sample that cannot be read, instead of skipping it')
    .option('--threads <n>', 'threads that decode images (default: one less than the processors)', wholeNumber)
    .option('--seed <n>', 'seed of all random numbers', wholeNumber)
    .addOption(pixelsOption('those of --from, else upright'))

/** --clip-norm 1, --clip-norm none */
const clipNorm = (text: string): number | 'none' => (text === 'none' ? text : positiveNumber(text))

/** --rate encoder=0.1 */
function rate(text: string, before: Readonly<Record<string, number>> = {}): Record<string, number> {
  const [, part, factor] = /^([^=]+)=(.+)$/.exec(text) ?? []
  if (part === undefined || !(Number(factor) > 0 && Number(factor) < Number.POSITIVE_INFINITY))
    throw new UsageError(`--rate '${text}': expected a part and a factor above 0, such as encoder=0.1`)
  if (part in before) throw new UsageError(`--rate: ${part} is given twice`)
  return { ...before, [part]: Number(factor) }
}

const run = (flags: TrainFlags): Promise<void> =>
  amongRanks(async ranks => {
    const { value, text } = await trainRun('train', flags, {}, { ranks })
    answer(flags.json, value, text)
  })

interface TrainRunOptions {
  readonly check?: (config: RunConfig) => Promise<unknown>
  readonly advice?: string
  readonly ranks?: Communicator
}

/**
 * Trains or resumes a run, and shows the progress.
 * @param command its name in the advice of an interruption
 * @param defaults settings that a configuration file and the flags override
 * @param options.check throws if something that is needed after the training is wrong; called before a new run is written
 * @param options.advice flags of the command that resuming needs again
 * @param options.ranks the processes of mpirun; the first one reports
 * @returns the result for programs and for people
 */
export async function trainRun(
  command: string,
  flags: TrainFlags,
  defaults: SettingsFile = {},
  { check, advice = '', ranks }: TrainRunOptions = {},
): Promise<{ readonly value: object; readonly text: string }> {
  const { out, json } = flags
  const progress = new TrainingProgress()
  const { onStart, onStep, onEvaluation, onGuard, onBadSample, onFeatures, onShard } = progress
  const hooks = { onStart, onStep, onEvaluation, onGuard, onBadSample, onFeatures, onShard }
  const result = await interruptible('finishing this step and writing a checkpoint', async signal => {
    const { shardOptimizer, capture } = flags
    const options = { signal, ranks, shardOptimizer, capture, ...(isFirst(ranks) ? hooks : {}) }
    try {
      return await (flags.resume ? resume(flags, options) : start(flags, options, defaults, check))
    } finally {
      progress.stop()
    }
  })
  const { step, finished, checkpoint } = result
  const value = { run: out, step, finished, checkpoint }
  if (!finished) {
    if (json) answer(json, value, '')
    throw new InterruptedError(
      `stopped after step ${step}; continue with: cocagrad ${command} --out ${out} --resume${advice}`,
    )
  }
  return { value, text: `trained for ${step} steps: ${checkpoint}` }
}

type Hooks = NonNullable<Parameters<typeof train>[2]>

/** Settings of a run as they are written in a file. */
export type SettingsFile = Readonly<Record<string, unknown>>

async function start(
  flags: TrainFlags,
  hooks: Hooks,
  defaults: SettingsFile,
  check?: TrainRunOptions['check'],
): Promise<TrainResult> {
  const config = await configOf(flags, defaults)
  await check?.(config)
  await openDevice({ device: config.device, backend: flags.backend })
  return train(flags.out, config, hooks)
}

async function resume(flags: TrainFlags, hooks: Hooks): Promise<TrainResult> {
  const { out, resume: _, json: __, steps, backend, shardOptimizer: ___, capture: ____, ...others } = flags
  const ignored = Object.keys(others).map(flagOf)
  if (ignored.length > 0) say(`note: a resumed run keeps its own settings; ignored: ${ignored.join(', ')}`)
  if (backend !== undefined) await openDevice({ device: 'gpu', backend })
  return resumeTraining(out, { ...hooks, steps })
}

/** The defaults, overridden by the settings of a file, if there is one, and these by those of the flags. */
async function configOf(flags: TrainFlags, defaults: SettingsFile): Promise<RunConfig> {
  const {
    config: file,
    family,
    data,
    tokenizer,
    from,
    part,
    architecture,
    freeze,
    fresh,
    accumulate,
    preset,
    lr,
    batch,
    steps,
    epochs,
  } = flags
  const {
    validation,
    warmup,
    ema,
    checkpointEvery,
    evaluateEvery,
    tensorboard,
    truncate,
    strict,
    threads,
    seed,
    device,
    pixels,
  } = flags
  if (steps !== undefined && epochs !== undefined) throw new UsageError('--steps and --epochs: give one of them')
  const written = file === undefined ? {} : await readJson(file)
  if (typeof written !== 'object' || written === null || Array.isArray(written)) return checkRunConfig(written, file)
  const whole = mergeSettings(defaults, written) as Record<string, unknown>
  const { optimizer, steps: fileSteps, epochs: fileEpochs, ...rest } = whole
  const given = {
    family,
    data,
    tokenizer,
    from,
    part,
    architecture,
    freeze,
    fresh,
    accumulate,
    gradientCheckpointing: flags.gradientCheckpointing,
    model: preset,
    batchSize: batch,
    validation,
    warmup,
    ema,
    checkpointEvery,
    evaluateEvery,
    tensorboard,
    truncateCaptions: truncate,
    strict,
    threads,
    seed,
    device,
    pixels,
    clipNorm: flags.clipNorm === 'none' ? null : flags.clipNorm,
    guard:
      flags.guardEvery === undefined ? undefined : { ...(rest.guard as object | undefined), every: flags.guardEvery },
  }
  const length =
    steps !== undefined || epochs !== undefined
      ? { steps, epochs }
      : fileSteps === undefined && fileEpochs === undefined
        ? { epochs: DEFAULT_EPOCHS }
        : { steps: fileSteps, epochs: fileEpochs }
  const settings: Record<string, unknown> = {
    ...((from ?? rest.from) === undefined || (part ?? rest.part) !== undefined ? { model: 'tiny' } : {}),
    device: DEFAULT_DEVICE,
    ...rest,
    ...defined(given),
    ...defined(length),
  }
  if (settings.data === undefined) throw new UsageError('--data <path> is missing, and no --config file sets data')
  const rates = flags.rate && { ...(optimizer as { readonly rates?: object } | undefined)?.rates, ...flags.rate }
  const { optimizer: name, weightDecay, layerDecay, inBackward, moments } = flags
  const own = defined({ name, learningRate: lr, weightDecay, rates, layerDecay, inBackward, moments })
  if (Object.keys(own).length > 0) settings.optimizer = { ...(optimizer as object), ...own }
  else if (optimizer !== undefined) settings.optimizer = optimizer
  return checkRunConfig(await withOrigin(settings), file)
}

const defined = (fields: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))
