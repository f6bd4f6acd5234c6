// The results of an experiment: the values of every row and seed, their spread, and the differences to one of the rows.

import type { ProtocolMeasure } from './protocols.ts'
import { type Difference, differenceOf, type Spread, spreadOf } from './statistics.ts'

/** The values of a measure in one row. */
export interface Cell extends Spread {
  /** one for each seed */
  readonly values: readonly number[]
  /** compared with the base row, seed by seed; absent in the base row and where the base row has no value */
  readonly difference?: Difference
}

export interface ResultRow {
  readonly name: string
  /** by the `id` of the measure; a measure that does not apply to the row is absent */
  readonly cells: Readonly<Record<string, Cell>>
}

/** A measure of an experiment. */
export interface ResultMeasure extends ProtocolMeasure {
  /** unique in the experiment */
  readonly id: string
}

export interface ExperimentResult {
  readonly title: string
  readonly question: string
  readonly base: string
  readonly seeds: number
  readonly measures: readonly ResultMeasure[]
  readonly rows: readonly ResultRow[]
  /** description of the device, and seconds that all parts took */
  readonly device: string
  readonly seconds: number
  /** figures of the paper by row */
  readonly paper?: { readonly columns: readonly string[]; readonly rows: Readonly<Record<string, readonly string[]>> }
}

/** The values of rows, before they are compared: by row, then by measure. */
export type Values = ReadonlyMap<string, ReadonlyMap<string, readonly number[]>>

/** Adds the spread of each row, and its difference from the base row. */
export function compareRows(values: Values, base: string): ResultRow[] {
  const reference = values.get(base)
  return [...values].map(([name, measures]) => ({
    name,
    cells: Object.fromEntries(
      [...measures].map(([id, list]) => {
        const others = name === base ? undefined : reference?.get(id)
        const difference = others?.length === list.length ? differenceOf(list, others) : undefined
        return [id, { ...spreadOf(list), values: list, ...(difference && { difference }) }]
      }),
    ),
  }))
}
