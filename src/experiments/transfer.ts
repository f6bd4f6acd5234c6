// Trains models for tasks in several ways, from a pretrained model and without one, over the number of labelled examples.

import { type FamilyName, familyNames } from '../models/index.ts'
import { checkRunConfig, evaluateRun, mergeSettings, type RunConfig } from '../train/index.ts'
import type { TransferConfig } from './config.ts'
import { drawn, vocabularyFile } from './datasets.ts'
import type { ExperimentResult, ResultMeasure, Values } from './results.ts'
import { taskSettings, withFeatures } from './rows.ts'
import type { ExperimentWork } from './work.ts'

/** The result of all methods, tasks, numbers of examples and seeds. */
export async function runTransfer(
  work: ExperimentWork,
  config: TransferConfig,
  device: string,
): Promise<{ readonly measures: readonly ResultMeasure[]; readonly values: Values }> {
  const { data, tasks, methods, examples } = config
  const { onProgress, signal } = work.hooks
  const draw = (name: string, count = data[name].count) =>
    drawn(work.folder, count === data[name].count ? name : `${name}-${count}`, { ...data[name], count }, onProgress)
  const tokenizer = await vocabularyFile(work.folder, config)
  const parts = new Map<string, () => Promise<Readonly<Record<string, number>>>>()
  const resultOf = new Map<string, (values: Readonly<Record<string, number>>) => void>()
  const values = new Map(methods.map(({ name }) => [name, new Map<string, number[]>()]))

  for (let seed = 0; seed < config.seeds; seed++) {
    const pretrained = `seed-${seed}/pretrained`
    parts.set(`${pretrained}/training`, async () => {
      const given = { data: await draw('train'), seed, device, ...(tokenizer !== undefined && { tokenizer }) }
      await work.train(pretrained, checkRunConfig({ ...config.run, ...given } as never))
      return {}
    })
    for (const task of tasks)
      for (const count of examples)
        for (const method of methods) {
          const at = `seed-${seed}/${task.name}-${count}`
          const name = `${at}-${method.name}`
          const train = async (run: string, ...own: readonly object[]) => {
            const { config: origin, folder } = await work.run(pretrained, familyNames as unknown as FamilyName)
            const given = { data: await draw(task.train, count), seed, device, ...(method.from && { from: folder }) }
            const settings = [method.run, ...own, given].reduce(mergeSettings, task.run) as Record<string, unknown>
            return work.train(run, await taskSettings(origin as RunConfig, withFeatures(settings, work.folder)))
          }
          const score = async (run: string) =>
            evaluateRun(await work.run(run, task.run.family as FamilyName), await draw(task.on))
          const { soup } = method
          const runs = soup?.runs.map((_, i) => `${at}-ingredient-${i}`) ?? []
          for (const [i, own] of (soup?.runs ?? []).entries())
            parts.set(runs[i], async () => {
              await train(runs[i], own)
              return score(runs[i])
            })
          parts.set(name, async () => {
            if (soup) await work.soup(name, runs, { ...soup, data: await draw(soup.validation[task.name]), signal })
            else await train(name)
            return score(name)
          })
          resultOf.set(name, ({ accuracy }) => {
            const row = values.get(method.name)!
            const id = `${task.name}/${count}`
            row.set(id, [...(row.get(id) ?? []), accuracy])
          })
        }
  }
  work.expect(parts.size)
  for (const [name, compute] of parts) {
    const found = await work.part(name, compute)
    resultOf.get(name)?.(found)
  }
  const measures = tasks.flatMap(({ name }) =>
    examples.map(count => ({
      id: `${name}/${count}`,
      key: 'accuracy',
      title: `${name}, ${count} examples`,
      unit: 'share' as const,
    })),
  )
  return { measures, values }
}

/** Accuracy over the number of labelled examples, a line for each method and a panel for each task. */
export function transferPlot({ rows, title, seeds }: ExperimentResult, { tasks, examples }: TransferConfig) {
  const order = rows.map(({ name }) => name)
  return {
    title: {
      text: title,
      subtitle: `accuracy over the number of labelled examples; points: ${seeds} seed${seeds === 1 ? '' : 's'}; lines: means`,
      fontSize: 14,
    },
    spacing: 30,
    hconcat: tasks.map(task => {
      const values = rows.flatMap(({ name, cells }) =>
        examples.flatMap(count => {
          const cell = cells[`${task.name}/${count}`]
          return (cell?.values ?? []).map(value => ({ method: name, count, value: 100 * value, mean: 100 * cell.mean }))
        }),
      )
      const x = {
        field: 'count',
        type: 'quantitative',
        title: 'labelled examples',
        scale: { type: 'log', base: 2 },
        axis: { values: examples, grid: false },
      }
      const y = (field: string) => ({ field, type: 'quantitative', title: 'accuracy, %', scale: { zero: false } })
      const color = { field: 'method', type: 'nominal', sort: order, title: null, scale: { scheme: 'tableau10' } }
      return {
        title: task.name,
        width: 300,
        height: 240,
        data: { values },
        layer: [
          { mark: { type: 'line', strokeWidth: 2 }, encoding: { x, y: y('mean'), color } },
          { mark: { type: 'point', filled: true, size: 30 }, encoding: { x, y: y('value'), color } },
        ],
      }
    }),
  }
}
