// `cocagrad probe` and `cocagrad finetune`: a pretrained model on a task of its own, as the paper evaluates it. Both make a run, as
// `cocagrad train` does: probe with a frozen encoder, finetune with everything trained.

import { join } from 'node:path'
import { type Command, Option } from 'commander'
import type { FamilyName } from '../../models/index.ts'
import { openExamples, type RunConfig } from '../../train/index.ts'
import { UsageError } from '../errors.ts'
import { architectureOption, collect, examples, positiveInteger } from '../options.ts'
import { answer, say } from '../output.ts'
import { amongRanks } from '../ranks.ts'
import { evaluate } from './evaluate.ts'
import { partOption, type SettingsFile, type TrainFlags, trainingOptions, trainRun } from './train.ts'

interface TaskFlags extends Omit<TrainFlags, 'family' | 'preset'> {
  readonly task: Task
  readonly frames?: number
  readonly images?: number
  readonly test?: string
}

type Task = keyof typeof tasks

/** The family of each task, and what its data are. */
const tasks = {
  image: { family: 'classifier', data: 'images with labels, or a folder for each class' },
  video: { family: 'video-classifier', data: 'clips with labels: folders of numbered frames' },
  multimodal: { family: 'multimodal-classifier', data: 'questions.jsonl: images, a text and an answer' },
} as const satisfies Record<string, { readonly family: FamilyName; readonly data: string }>

/** What both ways of training have in common (CoCa, section 4.2 and Table 9; the averages of short trainings are shorter). */
const common: SettingsFile = { labelSmoothing: 0.1, ema: 0.999 }

export function addProbe(program: Command): void {
  const command = taskCommand(program, 'probe', ['image', 'video'])
    .description(
      'Evaluate the frozen features of a model: train one attentional pooler and a linear layer on them, for the classes of images or clips. Features are computed once and kept.',
    )
    .action((flags: TaskFlags) =>
      runTask('probe', flags, {
        freeze: ['encoder'],
        // also that of a classifier that has one
        fresh: ['head'],
        features: join(flags.out, 'features'),
        optimizer: { learningRate: 1e-3 },
      }),
    )
  examples(
    command,
    'probe --from runs/first --data photos --out runs/probe --test photos-test',
    'probe --task video --frames 8 --from runs/first --data moving --out runs/actions',
  )
}

export function addFinetune(program: Command): void {
  const command = taskCommand(program, 'finetune', ['image', 'video', 'multimodal'])
    .description(
      'Finetune a model for a task: classes of images or clips, or answers to questions about images. Everything is trained, the encoder at a tenth of the learning rate.',
    )
    .option('--images <n>', 'multimodal: images of each question, 1 or 2', positiveInteger)
    .action((flags: TaskFlags) =>
      runTask('finetune', flags, { optimizer: { learningRate: 1e-3, rates: { encoder: 0.1 } } }),
    )
  examples(
    command,
    'finetune --from runs/first --data photos --out runs/tuned --test photos-test',
    'finetune --task multimodal --images 2 --from runs/first --data pairs --out runs/pairs',
  )
}

const taskCommand = (program: Command, name: string, choices: readonly Task[]): Command =>
  trainingOptions(
    program
      .command(name)
      .requiredOption('--out <run>', 'the folder of the run')
      .option('--from <model>', 'the pretrained model: a run, or a checkpoint of OpenCLIP')
      .addOption(partOption())
      .addOption(architectureOption())
      .option('--data <path>', `the training data: ${choices.map(task => `${task}: ${tasks[task].data}`).join('; ')}`)
      .option('--tokenizer <file>', 'with a checkpoint of OpenCLIP: its tokenizer (default: the one next to it)')
      .option('--fresh <part>', 'a part that is not copied from the model, such as head; may be repeated', collect)
      .option('--test <path>', 'data to evaluate the result on, whose figures are kept in the run')
      .addOption(new Option('--task <name>', 'what the classes are of').choices(choices).default('image'))
      .option('--frames <n>', 'video: frames of each clip (default: 8)', positiveInteger),
  )

async function runTask(name: string, flags: TaskFlags, settings: SettingsFile): Promise<void> {
  const { task, frames, images, test, ...others } = flags
  if (frames !== undefined && task !== 'video') throw new UsageError(`--frames ${frames}: is for --task video`)
  if (images !== undefined && task !== 'multimodal')
    throw new UsageError(`--images ${images}: is for --task multimodal`)
  if (!flags.resume && flags.from === undefined)
    throw new UsageError(`--from <model> is missing: ${name} starts from a pretrained model`)
  const model = {
    // an encoder does not say what the other parts are
    ...(flags.part !== undefined && { preset: 'tiny' }),
    ...(frames !== undefined && { frames }),
    ...(images !== undefined && { images }),
  }
  const defaults = {
    ...common,
    ...settings,
    family: tasks[task].family,
    ...(Object.keys(model).length > 0 && { model }),
  }
  const options =
    test === undefined
      ? {}
      : {
          check: ({ family, model, pixels }: RunConfig) => openExamples(test, family, model, { pixels }),
          advice: ` --test ${test}`,
        }
  await amongRanks(async ranks => {
    const { value, text } = await trainRun(name, others, defaults, { ...options, ranks })
    if (test === undefined) answer(flags.json, value, text)
    else say(text)
  })
  if (test === undefined) return
  const { out: run, json, device, backend, seed = 0 } = flags
  await evaluate({ run, data: test, json, device, backend, seed, record: true })
}
