// The results of runs side by side. Results are compared only if they were measured by the same protocol, with the same options,
// on data with the same fingerprint.

import { type Measure, type ProtocolName, protocols } from '../../evaluate/index.ts'
import type { RunResult } from '../../train/index.ts'
import type { ComparedRun } from './runs.ts'

export interface ComparedMeasure extends Pick<Measure, 'key' | 'name'> {
  /** absent for a measure that this version does not know */
  readonly unit?: Measure['unit']
  readonly better?: Measure['better']
  /** of each run */
  readonly values: readonly (number | undefined)[]
  /** the value of each run minus that of the first; undefined for losses that mean something else */
  readonly differences: readonly (number | undefined)[]
  /** the runs with the best value, if it is known what is better and runs differ */
  readonly best: readonly number[]
}

export interface ComparedResults {
  readonly protocol: string
  /** as the first run names it */
  readonly data: string
  readonly fingerprint: string
  readonly examples: number
  readonly options: Readonly<Record<string, unknown>>
  /** of each run: the step of the checkpoint; undefined if it was not measured on this data */
  readonly steps: readonly (number | undefined)[]
  readonly measures: readonly ComparedMeasure[]
}

/** The last result of every run for each protocol, options and data. */
export function compareResults(runs: readonly ComparedRun[]): ComparedResults[] {
  const groups = new Map<string, (RunResult | undefined)[]>()
  for (const [i, { results }] of runs.entries())
    for (const result of results) {
      const { protocol, fingerprint, options } = result
      const key = JSON.stringify([fingerprint, protocol, Object.entries(options).sort()])
      const group = groups.get(key) ?? runs.map(() => undefined)
      group[i] = result
      groups.set(key, group)
    }
  return [...groups.values()].map(group => {
    const some = group.filter(result => result !== undefined)
    const { protocol, data, fingerprint, examples, options } = some[0]
    // the total loss of a family is the sum of other losses than that of another
    const families = new Set(group.flatMap((result, i) => (result ? [runs[i].config.family] : [])))
    const isOwn = (key: string) => protocol === 'loss' && key === 'loss' && families.size > 1
    const keys = [...new Set(some.flatMap(({ values }) => Object.keys(values)))]
    return {
      ...{ protocol, data, fingerprint, examples, options },
      steps: group.map(result => result?.step),
      measures: keys.map(key => compareMeasure(protocol, key, group, isOwn(key))),
    }
  })
}

/** @param isOwn the values of runs have different meanings */
function compareMeasure(
  protocol: string,
  key: string,
  group: readonly (RunResult | undefined)[],
  isOwn: boolean,
): ComparedMeasure {
  const known = protocols[protocol as ProtocolName]?.measures.find(measure => measure.key === key)
  const values = group.map(result => result?.values[key] ?? undefined)
  const [first] = values
  const finite = values.filter(value => value !== undefined)
  const better = known?.better
  const top = better === undefined ? undefined : Math[better === 'higher' ? 'max' : 'min'](...finite)
  const differ = new Set(finite).size > 1 && !isOwn
  return {
    key,
    name: known?.name.trim() ?? key,
    ...(known && { unit: known.unit, better }),
    values,
    differences: values.map(value => (value === undefined || first === undefined || isOwn ? undefined : value - first)),
    best: differ ? values.flatMap((value, i) => (value === top ? [i] : [])) : [],
  }
}
