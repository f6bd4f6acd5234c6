// Trains models for tasks in several ways, from a pretrained model and without one, over the number of labelled examples.

import { type FamilyName, familyNames } from '../models/index.ts'
import { checkRunConfig, evaluateRun, type RunConfig } from '../train/index.ts'
import { mergeDeep, type TransferConfig } from './config.ts'
import { drawn } from './datasets.ts'
import type { ExperimentResult, ResultMeasure, Values } from './results.ts'
import { taskSettings } from './rows.ts'
import type { Work } from './work.ts'

/** The result of all methods, tasks, numbers of examples and seeds. */
export async function runTransfer(
  work: Work,
  config: TransferConfig,
  device: string,
): Promise<{ readonly measures: readonly ResultMeasure[]; readonly values: Values }> {
  const { data, tasks, methods, examples, seeds } = config
  const { onProgress } = work.hooks
  const draw = (name: string, count?: number) =>
    count === undefined
      ? drawn(work.folder, name, data[name], onProgress)
      : drawn(work.folder, `${name}-${count}`, { ...data[name], count }, onProgress)
  const values = new Map(methods.map(({ name }) => [name, new Map<string, number[]>()]))
  work.expect(seeds * (1 + tasks.length * examples.length * methods.length))
  for (let seed = 0; seed < seeds; seed++) {
    const pretrained = `seed-${seed}/pretrained`
    await work.part(`${pretrained}/training`, async () => {
      await work.train(pretrained, checkRunConfig({ ...config.run, data: await draw('train'), seed, device } as never))
      return {}
    })
    for (const task of tasks)
      for (const count of examples)
        for (const method of methods) {
          const name = `seed-${seed}/${task.name}-${count}-${method.name}`
          const measured = await work.part(name, async () => {
            const { config: origin, folder } = await work.run(pretrained, familyNames as unknown as FamilyName)
            const own = mergeDeep(task.run, method.run) as Record<string, unknown>
            const given = { data: await draw(task.train, count), seed, device, ...(method.from && { from: folder }) }
            await work.train(name, await taskSettings(origin as RunConfig, { ...own, ...given }))
            return evaluateRun(await work.run(name, own.family as FamilyName), await draw(task.on))
          })
          const row = values.get(method.name)!
          const id = `${task.name}/${count}`
          row.set(id, [...(row.get(id) ?? []), measured.accuracy])
        }
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
