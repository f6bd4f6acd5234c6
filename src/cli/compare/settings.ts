// Settings in which runs differ, by their paths of fields, and the versions and machines if they differ.

import type { ComparedRun } from './runs.ts'

export interface SettingDifference {
  /** optimizer.learningRate */
  readonly setting: string
  /** the value in each run; undefined where there is no such setting */
  readonly values: readonly unknown[]
}

/** The settings that are not equal in all runs, and what differs between their last starts. */
export function differingSettings(runs: readonly ComparedRun[]): SettingDifference[] {
  return [
    ...differences(runs.map(({ config }) => leaves(config))),
    ...differences(
      runs.map(({ start }) => leaves(startOf(start))),
      'last start: ',
    ),
  ]
}

function startOf(start: ComparedRun['start']): object {
  if (start === undefined) return {}
  const { cocagrad, node, machine, backend, data } = start
  return { cocagrad, node, machine, backend, 'training data': data.slice(0, 12) }
}

function differences(all: readonly ReadonlyMap<string, unknown>[], before = ''): SettingDifference[] {
  const names = new Set(all.flatMap(each => [...each.keys()]))
  return [...names].flatMap(name => {
    const values = all.map(each => each.get(name))
    const texts = new Set(values.map(value => JSON.stringify(value)))
    return texts.size === 1 ? [] : [{ setting: before + name, values }]
  })
}

/** The values of nested settings by their paths; a list is one value. */
function leaves(settings: object, path = ''): Map<string, unknown> {
  return new Map(
    Object.entries(settings).flatMap(([name, value]): [string, unknown][] => {
      const own = path === '' ? name : `${path}.${name}`
      if (value === undefined) return []
      const isNested = typeof value === 'object' && value !== null && !Array.isArray(value)
      return isNested ? [...leaves(value, own)] : [[own, value]]
    }),
  )
}
