// Trains models that differ in a few settings, equally long, and measures each by every protocol that applies. The rows of one seed
// have the same data, the same initial weights where shapes agree, and the same order of batches.

import { join } from 'node:path'
import { settingsFor } from '../models/families.ts'
import { type FamilyName, familyNames } from '../models/index.ts'
import {
  checkRunConfig,
  evaluateRun,
  mergeSettings,
  type RunConfig,
  RunConfigError,
  stepDurations,
  withOrigin,
} from '../train/index.ts'
import type { ProtocolConfig, RowsConfig } from './config.ts'
import { drawn, vocabularyFile } from './datasets.ts'
import { ExperimentError } from './ledger.ts'
import { applies, measure, measuresOf } from './protocols.ts'
import type { ResultMeasure, Values } from './results.ts'
import type { ExperimentWork } from './work.ts'

type Settings = Readonly<Record<string, unknown>>

/**
 * Checks the settings of all rows, before anything is drawn or written.
 * @param file of the configuration, for the error
 * @throws ExperimentError naming the file, the row and what is wrong
 */
export function checkRows({ run, rows }: RowsConfig, device: string, file: string): void {
  for (const { name, run: own } of rows)
    try {
      settingsOf(run, { from: 'start', ...own }, { data: 'train', seed: 0, device })
    } catch (error) {
      if (!(error instanceof RunConfigError)) throw error
      throw new ExperimentError(`row '${name}': ${error.message}`, { file, cause: error })
    }
}

/** The result of all rows and seeds. */
export async function runRows(
  work: ExperimentWork,
  config: RowsConfig,
  device: string,
): Promise<{ readonly measures: readonly ResultMeasure[]; readonly values: Values }> {
  const { signal, onProgress } = work.hooks
  const data = (name: string) => drawn(work.folder, name, config.data[name], onProgress)
  const train = await data('train')
  const tokenizer = await vocabularyFile(work.folder, config)
  const values = new Map(config.rows.map(({ name }) => [name, new Map<string, number[]>()]))
  const costs = config.protocols.filter(one => one.protocol === 'cost')
  const others = config.protocols.filter(one => one.protocol !== 'cost')
  const settings = (own: Settings, seed: number) =>
    settingsOf(config.run, own, { data: train, seed, device, tokenizer })
  // without `from` and `fresh`, which do not decide what a row is measured by
  const protocolsOf = ({ run: { fresh, ...own } }: { readonly run: Settings }) =>
    others.filter(one => applies(one, settings(own, 0)))
  const parts = config.rows.reduce((sum, row) => sum + 1 + protocolsOf(row).length, 0)
  work.expect(costs.length + config.seeds * parts)

  for (let seed = 0; seed < config.seeds; seed++) {
    // the initial weights that all rows of this seed start from
    const start = await work.train(`seed-${seed}/start`, settings({ steps: 0, warmup: 0 }, seed))
    for (const one of config.rows) {
      const { name, run: own } = one
      const run = `seed-${seed}/${name}`
      await work.part(`${run}/training`, async () => {
        await work.train(run, settings({ from: start, ...own }, seed))
        return {}
      })
      for (const protocol of protocolsOf(one)) {
        const measured = await work.part(`${run}/${protocol.title}`, () => measureRow(protocol, run, seed))
        for (const { key } of measuresOf(protocol)) {
          const row = values.get(name)!
          const id = idOf(protocol, key)
          row.set(id, [...(row.get(id) ?? []), measured[key]])
        }
      }
    }
  }
  for (const cost of costs) {
    const measured = await work.part(cost.title, async () => {
      const configs = config.rows.map(({ run: { fresh, ...own } }) => settings(own, 0))
      const seconds = await stepDurations(configs, cost.rounds, signal)
      return Object.fromEntries(config.rows.map(({ name }, i) => [name, seconds[i]]))
    })
    for (const { name } of config.rows) values.get(name)!.set(idOf(cost, 'ratio'), [measured[name] / measured[cost.of]])
  }
  const measures = config.protocols.flatMap(one =>
    measuresOf(one).map(measure => ({ ...measure, id: idOf(one, measure.key) })),
  )
  return { measures, values }

  async function measureRow(protocol: Exclude<ProtocolConfig, { protocol: 'cost' }>, name: string, seed: number) {
    const run = await work.run(name, familyNames as unknown as FamilyName)
    const folder = await data(protocol.on)
    if (protocol.protocol !== 'task') return measure(protocol, run, folder, { signal, onProgress })
    const task = `${name}+${protocol.title.replaceAll(/\W+/g, '-')}`
    const given = { from: run.folder, data: await data(String(protocol.run.data)), seed, device }
    await work.train(task, await taskSettings(run.config, withFeatures({ ...protocol.run, ...given }, work.folder)))
    return evaluateRun(await work.run(task, protocol.run.family as FamilyName), folder)
  }
}

const idOf = ({ title }: ProtocolConfig, key: string): string => `${title}/${key}`

/** The complete settings of a run: those of the experiment, with those of a row. A family takes the model settings that it has. */
function settingsOf(shared: Settings, own: Settings, given: Settings): RunConfig {
  const whole = mergeSettings(mergeSettings(shared, own), given) as Record<string, unknown>
  const family = (whole.family ?? 'coca') as FamilyName
  const { preset, ...model } = (typeof whole.model === 'string' ? { preset: whole.model } : whole.model) as Settings
  const { tokenizer, ...others } = whole
  const isText = tokenizer !== undefined && family !== 'classifier'
  return checkRunConfig({
    ...(isText ? whole : others),
    model: { ...(preset === undefined ? {} : { preset }), ...settingsFor(family, model) },
  }) as RunConfig
}

/** The settings of a run; one with a frozen encoder is trained on features, which are kept in a folder. */
export const withFeatures = (settings: Settings, folder: string): Settings => {
  const { freeze, family } = settings
  const isFrozen = Array.isArray(freeze) && freeze.includes('encoder') && family !== 'multimodal-classifier'
  return isFrozen ? { ...settings, features: join(folder, 'features') } : settings
}

/**
 * The complete settings of a run for a task: with `from`, those that its own do not name are those of that run; without it, they are
 * those that a run would have that starts from `pretrained`.
 */
export async function taskSettings(pretrained: RunConfig, own: Settings): Promise<RunConfig> {
  if (own.from !== undefined) return checkRunConfig(await withOrigin(own)) as RunConfig
  const { normalize, model } = pretrained
  return checkRunConfig(
    mergeSettings({ normalize, model: settingsFor(own.family as FamilyName, model) }, own),
  ) as RunConfig
}
