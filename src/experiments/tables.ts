// The results of an experiment as text: Markdown tables, and the cells of a table in the terminal.

import { duration } from '../demo/words.ts'
import type { Cell, ExperimentResult, ResultMeasure, ResultRow } from './results.ts'

/** A value in the unit of its measure. */
function shown(value: number, { unit }: Pick<ResultMeasure, 'unit'>): string {
  if (!Number.isFinite(value)) return '—'
  if (unit === 'share') return (100 * value).toFixed(1)
  return value.toFixed(unit === 'ratio' ? 2 : 3)
}

const signed = (value: number, measure: Pick<ResultMeasure, 'unit'>) =>
  `${value > 0 ? '+' : ''}${shown(value, measure)}`

/** The title of a column, with its unit. */
const titled = ({ title, unit }: ResultMeasure): string => (unit === 'share' ? `${title}, %` : title)

/** 97.3 ± 0.4: mean and standard deviation over the seeds. */
function meanCell(cell: Cell | undefined, measure: ResultMeasure): string {
  if (!cell) return '—'
  const { mean, deviation, values } = cell
  return values.length < 2 ? shown(mean, measure) : `${shown(mean, measure)} ± ${shown(deviation, measure)}`
}

/** +1.2 (+0.5 … +1.9): the mean difference and its 95 % interval, in bold if it is clear. */
function differenceCell(cell: Cell | undefined, measure: ResultMeasure): string {
  if (!cell?.difference || !isCompared(cell)) return '—'
  const { mean, interval, isClear } = cell.difference
  const text = `${signed(mean, measure)} (${interval.map(end => signed(end, measure)).join(' … ')})`
  return isClear ? `**${text}**` : text
}

/** A table of text. */
export interface TextTable {
  readonly header: readonly string[]
  readonly rows: readonly (readonly string[])[]
}

/** The means of all rows; of a single row one line for each measure. */
function meansTable({ rows, measures, seeds }: ExperimentResult): TextTable {
  if (rows.length === 1)
    return {
      header: ['', rows[0].name, `over ${seeds} seed${seeds === 1 ? '' : 's'}`],
      rows: measures.map(measure => {
        const cell = rows[0].cells[measure.id]
        const range = cell ? `${shown(cell.least, measure)} … ${shown(cell.most, measure)}` : '—'
        return [titled(measure), meanCell(cell, measure), range]
      }),
    }
  return columns(rows, measures, meanCell)
}

/** The means with a line for each measure and a column for each row, which fits into a terminal. */
export const measuresTable = ({ rows, measures }: ExperimentResult): TextTable => ({
  header: ['', ...rows.map(({ name }) => name)],
  rows: measures.map(measure => [titled(measure), ...rows.map(({ cells }) => meanCell(cells[measure.id], measure))]),
})

/** The differences of all rows from the base row, for measures with several seeds. */
function differencesTable({ rows, measures, base }: ExperimentResult): TextTable {
  const others = rows.filter(({ name }) => name !== base)
  const compared = measures.filter(({ id }) => others.some(({ cells }) => isCompared(cells[id])))
  return columns(others, compared, differenceCell)
}

/** Whether a cell has a difference over several seeds. */
const isCompared = (cell: Cell | undefined): boolean => cell?.difference !== undefined && cell.values.length > 1

function columns(
  rows: readonly ResultRow[],
  measures: readonly ResultMeasure[],
  show: (cell: Cell | undefined, measure: ResultMeasure) => string,
): TextTable {
  return {
    header: ['', ...measures.map(titled)],
    rows: rows.map(({ name, cells }) => [name, ...measures.map(measure => show(cells[measure.id], measure))]),
  }
}

const markdown = ({ header, rows }: TextTable): string =>
  [header, header.map((_, i) => (i === 0 ? '---' : '---:')), ...rows]
    .map(cells => `| ${cells.join(' | ')} |`)
    .join('\n')

/** The results as a page of Markdown. */
export function resultsPage(result: ExperimentResult): string {
  const { title, question, rows, base, seeds, device, seconds, paper } = result
  const parts = [
    `# ${title}`,
    question,
    `Mean ± standard deviation over ${seeds} seed${seeds === 1 ? '' : 's'}:`,
    markdown(meansTable(result)),
  ]
  if (rows.length > 1 && seeds > 1) {
    parts.push(
      `Difference from \`${base}\`, seed by seed, with the 95 % confidence interval of its mean (bold: the interval does not contain 0):`,
      markdown(differencesTable(result)),
    )
    const unclear = unclearLines(result)
    if (unclear.length > 0) parts.push(unclear.join('\n'))
  }
  if (paper)
    parts.push(
      "The paper's figures (arXiv 2205.01917):",
      markdown({
        header: ['', ...paper.columns],
        rows: Object.entries(paper.rows).map(([name, cells]) => [name, ...cells]),
      }),
    )
  parts.push(`Computed in ${duration(seconds)} on ${device}.`)
  return `${parts.join('\n\n')}\n`
}

/** For each row the measures in which it cannot be told from the base row, and how many seeds this would take. */
function unclearLines({ rows, measures }: ExperimentResult): string[] {
  return rows.flatMap(({ name, cells }) => {
    const unclear = measures.flatMap(measure => {
      const difference = cells[measure.id]?.difference
      if (!difference || !isCompared(cells[measure.id]) || difference.isClear) return []
      const { seedsNeeded } = difference
      return [`${measure.title} (${seedsNeeded === undefined ? 'more than 31' : `about ${seedsNeeded}`} seeds)`]
    })
    return unclear.length === 0 ? [] : [`- ${name}: not told from luck in ${unclear.join(', ')}`]
  })
}
