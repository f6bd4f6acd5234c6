// The configuration of an experiment, a JSON file: the data that it draws, the runs that it compares, and the protocols by which they
// are compared. Two kinds exist. `rows` trains models that differ in a few settings; `transfer` trains heads and models for a task from
// one pretrained model, over the number of labelled examples.

import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import { readJson } from '../io/index.ts'
import { mergeSettings } from '../train/index.ts'
import { ExperimentError } from './ledger.ts'

const name = z.string().regex(/^[\w:.+-]+( [\w:.+-]+)*$/, 'must be words of letters, digits and - _ : . +')
const count = z.int().positive()
/** settings of a run, checked when they are complete */
const runSettings = z.record(z.string(), z.unknown())

/** A folder of examples to draw. The remaining fields are the options of the function that draws them. */
const dataset = z.looseObject({ make: z.enum(['shapes', 'moving', 'questions']), count, seed: z.int().min(0) })

const measured = { title: z.string(), on: name }
const protocol = z.discriminatedUnion('protocol', [
  z.strictObject({ protocol: z.literal('zero-shot'), ...measured }),
  z.strictObject({ protocol: z.literal('retrieval'), ...measured, frames: count.optional() }),
  z.strictObject({ protocol: z.literal('captioning'), ...measured }),
  // the loss and the accuracy that a family measures during training
  z.strictObject({ protocol: z.literal('own'), ...measured }),
  // a run of another family that starts from the row's model
  z.strictObject({ protocol: z.literal('task'), ...measured, run: runSettings }),
  // the duration of a step, relative to that of a row
  z.strictObject({ protocol: z.literal('cost'), title: z.string(), of: name, rounds: count }),
])

const paper = z.strictObject({ columns: z.array(z.string()), rows: z.record(z.string(), z.array(z.string())) })

const common = {
  title: z.string(),
  /** what the experiment asks */
  question: z.string(),
  /** the folders of data by name */
  data: z.record(name, dataset),
  /** number of seeds: 0, 1, … */
  seeds: count,
  /** the data whose texts make the vocabulary; default the captions that a run is trained on */
  vocabulary: z.array(name).min(1).optional(),
  /** settings of the pretraining */
  run: runSettings,
  /** figures of the paper to print beside the results */
  paper: paper.optional(),
}

const rows = z.strictObject({
  ...common,
  kind: z.literal('rows'),
  /** what differs between the models; `run` is merged into that of the experiment */
  rows: z.array(z.strictObject({ name, run: runSettings })).min(1),
  /** the row that the others are compared with */
  base: name,
  protocols: z.array(protocol).min(1),
})

const transfer = z.strictObject({
  ...common,
  kind: z.literal('transfer'),
  /** the number of labelled examples */
  examples: z.array(count).min(1),
  tasks: z.array(z.strictObject({ name, train: name, on: name, run: runSettings })).min(1),
  methods: z
    .array(
      z.strictObject({
        name,
        /** whether the run starts from the pretrained model */
        from: z.boolean(),
        run: runSettings,
        /** averages the weights of several runs, each with these settings beside those of the method */
        soup: z
          .strictObject({
            runs: z.array(runSettings).min(2),
            write: z.enum(['uniform', 'greedy']),
            /** the data that a greedy soup chooses by, one name for each task */
            validation: z.record(name, name),
          })
          .optional(),
      }),
    )
    .min(1),
  base: name,
})

const experiment = z.discriminatedUnion('kind', [rows, transfer])

/** A folder of examples to draw. */
export type DatasetConfig = z.infer<typeof dataset>
/** How a row is measured. */
export type ProtocolConfig = z.infer<typeof protocol>
/** Models that differ in a few settings. */
export type RowsConfig = z.infer<typeof rows>
/** Tasks that start from a pretrained model. */
export type TransferConfig = z.infer<typeof transfer>
export type ExperimentConfig = RowsConfig | TransferConfig

/** The folder of the experiments that come with the package: next to src, and next to dist. */
const HOME = fileURLToPath(new URL('../../experiments/', import.meta.url))

/** The names of the experiments that come with the package. */
export const experimentNames = (): string[] =>
  readdirSync(HOME, { withFileTypes: true })
    .flatMap(entry => (entry.isDirectory() && readdirSync(join(HOME, entry.name)).includes(FILE) ? [entry.name] : []))
    .sort()

const FILE = 'config.json'

/**
 * The configuration of an experiment.
 * @param named the name of one that comes with the package, or the path of a file
 * @param options.quick the short form: with the fields of `quick` in place of those of the whole
 * @throws ExperimentError naming every field that is unknown, missing or invalid, and names of data or rows that do not exist
 */
export async function readExperiment(named: string, { quick }: { readonly quick: boolean }): Promise<ExperimentConfig> {
  const file = experimentNames().includes(named) ? join(HOME, named, FILE) : named
  if (file === named && !named.endsWith('.json'))
    throw new ExperimentError(`is not an experiment: there are ${experimentNames().join(', ')}, or give a .json`, {
      file: named,
    })
  const json = await readJson(file)
  if (typeof json !== 'object' || json === null || Array.isArray(json))
    throw new ExperimentError('is not an object of settings', { file })
  const { quick: short, ...whole } = json as Record<string, unknown>
  if (quick && short === undefined) throw new ExperimentError('has no short form: it has no field quick', { file })
  const parsed = experiment.safeParse(quick ? mergeSettings(whole, short) : whole)
  if (!parsed.success)
    throw new ExperimentError(
      parsed.error.issues.map(({ path, message }) => `${path.join('.') || 'the file'}: ${message}`).join('\n  '),
      { file },
    )
  checkNames(parsed.data, file)
  return parsed.data
}

function checkNames(config: ExperimentConfig, file: string): void {
  const demand = (known: readonly string[], wanted: string, field: string) => {
    if (!known.includes(wanted))
      throw new ExperimentError(`${field}: '${wanted}' is not one of ${known.join(', ')}`, { file })
  }
  const folders = Object.keys(config.data)
  const members = config.kind === 'rows' ? config.rows : config.methods
  const names = members.map(member => member.name)
  const twice = names.find((one, i) => names.indexOf(one) < i)
  if (twice !== undefined) throw new ExperimentError(`'${twice}' is the name of two rows`, { file })
  demand(names, config.base, 'base')
  demand(folders, 'train', 'data')
  for (const one of config.vocabulary ?? []) demand(folders, one, 'vocabulary')
  if (config.kind === 'transfer')
    for (const { name: task, train, on } of config.tasks) {
      for (const { soup } of config.methods) if (soup) demand(folders, soup.validation[task], 'methods.soup.validation')
      demand(folders, train, 'tasks.train')
      demand(folders, on, 'tasks.on')
    }
  else
    for (const one of config.protocols)
      if (one.protocol === 'cost') demand(names, one.of, 'protocols.of')
      else demand(folders, one.on, 'protocols.on')
}
