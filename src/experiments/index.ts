// Experiments: the claims of the paper, checked on generated data. `runExperiment` computes one and writes its results.

import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { writeAtomically } from '../io/index.ts'
import { device } from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'
import { type Settings, settle } from '../tensor/options.ts'
import { readExperiment } from './config.ts'
import { differencesPlot, draw, meansPlot, WITHOUT_PLOTS } from './plots.ts'
import { compareRows, type ExperimentResult } from './results.ts'
import { checkRows, runRows } from './rows.ts'
import { resultsPage } from './tables.ts'
import { runTransfer, transferPlot } from './transfer.ts'
import { type ExperimentHooks, ExperimentWork } from './work.ts'

export { experimentNames } from './config.ts'
export { ExperimentError } from './ledger.ts'
export type { ExperimentResult } from './results.ts'
export { measuresTable } from './tables.ts'
export type { ExperimentHooks } from './work.ts'

export interface ExperimentOptions extends ExperimentHooks {
  /** folder of data, runs and results; an experiment that was stopped there continues */
  readonly out: string
  /** the short form, which shows in a minute that everything works */
  readonly quick?: boolean
  /** number of seeds, in place of that of the configuration; more seeds can be added later */
  readonly seeds?: number
}

const experimentOptions = {
  out: is.text,
  quick: false,
  seeds: is.optional(is.count),
  signal: undefined,
  onPart: undefined,
  onProgress: undefined,
} satisfies Settings<ExperimentOptions>

/** The files that an experiment wrote. */
export interface ExperimentOutcome {
  readonly result: ExperimentResult
  readonly files: readonly string[]
  /** what could not be done, such as plots without a plotting library */
  readonly notes: readonly string[]
}

/**
 * Computes an experiment on the current device, and writes `results.json`, `results.md` and plots.
 * @param named the name of an experiment of the package, or the path of a configuration
 * @throws ExperimentError for mistakes in the configuration, and if the folder contains an experiment with other settings; the
 *   signal's reason if it is aborted, after the state was saved
 */
export async function runExperiment(named: string, options: ExperimentOptions): Promise<ExperimentOutcome> {
  const { out, quick, seeds, ...hooks } = settle('runExperiment(named, options)', options, experimentOptions)
  const read = await readExperiment(named, { quick })
  const config = { ...read, seeds: seeds ?? read.seeds }
  // values of parts depend neither on the number of seeds nor on the text
  const { seeds: _, title, question, paper, ...settings } = config
  if (config.kind === 'rows') checkRows(config, device.current, named)
  const work = await ExperimentWork.open(out, { ...settings, device: device.current }, hooks)
  try {
    const found =
      config.kind === 'rows'
        ? await runRows(work, config, device.current)
        : await runTransfer(work, config, device.current)
    const result: ExperimentResult = {
      title,
      question,
      base: config.base,
      seeds: config.seeds,
      measures: found.measures,
      rows: compareRows(found.values, config.base),
      device: `${device.description}, ${availableParallelism()} processors`,
      seconds: work.seconds,
      ...(paper && { paper }),
    }
    const plots = {
      'means.svg': meansPlot(result),
      'differences.svg': differencesPlot(result),
      ...(config.kind === 'transfer' && { 'transfer.svg': transferPlot(result, config) }),
    }
    const files = new Map([
      ['results.json', `${JSON.stringify(result, null, 2)}\n`],
      ['results.md', resultsPage(result)],
    ])
    const notes = new Set<string>()
    for (const [name, spec] of Object.entries(plots)) {
      const svg = spec && (await draw(spec))
      if (svg !== undefined) files.set(name, svg)
      else if (spec) notes.add(WITHOUT_PLOTS)
    }
    for (const [name, text] of files) await writeAtomically(join(out, name), text)
    return { result, files: [...files.keys()].map(name => join(out, name)), notes: [...notes] }
  } finally {
    await work.close()
  }
}
