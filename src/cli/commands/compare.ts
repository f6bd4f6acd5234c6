// `cocagrad compare`: runs side by side: the settings that differ, curves, results, and how long they took.

import type { Command } from 'commander'
import { duration, percent } from '../../demo/words.ts'
import { bars, columnsOf, curvesOf, extremesOf, type RunCurve, scaleOf } from '../compare/curves.ts'
import { type ComparedMeasure, type ComparedResults, compareResults } from '../compare/results.ts'
import { type ComparedRun, progressOf, readRuns } from '../compare/runs.ts'
import { differingSettings, type SettingDifference } from '../compare/settings.ts'
import { examples, jsonOption } from '../options.ts'
import { answer, table, wrapped } from '../output.ts'

export function addCompare(program: Command): void {
  const command = program
    .command('compare')
    .description(
      'Show runs side by side: the settings that differ, the curves of their losses, the results that evaluate has kept in their folders, and how long they took.',
    )
    .argument('<run...>', 'folders of runs, two or more; differences are those to the first')
    .action(compare)
  examples(jsonOption(command), 'compare runs/first runs/second', 'compare runs/* --json')
}

/** The width of the output, and its largest width. */
const widthHere = (): number => Math.min(process.stdout.columns ?? 100, 140)

/** Points of a curve in JSON; metrics.jsonl has all. */
const POINTS = 100

async function compare(paths: readonly string[], { json }: { readonly json?: boolean }): Promise<void> {
  const runs = await readRuns(paths)
  const [settings, curves, results] = [differingSettings(runs), curvesOf(runs), compareResults(runs)]
  const value = {
    runs: runs.map(run => ({ run: run.path, name: run.name, ...progressOf(run) })),
    settings: settings.map(({ setting, values }) => ({ setting, values: values.map(orNull) })),
    curves: curves.map(curve => ({ name: curve.name, runs: pointsOf(curve) })),
    results: results.map(({ steps, measures, ...group }) => ({
      ...group,
      steps: steps.map(orNull),
      measures: measures.map(({ values, differences, ...measure }) => ({
        ...measure,
        values: values.map(orNull),
        differences: differences.map(orNull),
      })),
    })),
  }
  const width = widthHere()
  const names = runs.map(({ name }) => shortened(name, 24))
  const parts = [
    trainingPart(runs, names, width),
    settingsPart(settings, names, width),
    ...curvesPart(curves, names, width),
    resultsPart(results, names, width),
  ]
  answer(json, value, parts.join('\n\n'))
}

const orNull = <T>(value: T | undefined): T | null => value ?? null

function pointsOf(curve: RunCurve) {
  const { steps, means } = columnsOf(curve, POINTS)
  return curve.runs.map((points, run) => {
    const extremes = extremesOf(points)
    if (points.length === 0) return null
    const shown = means[run].flatMap((value, i) => (value === undefined ? [] : [{ step: steps[i], value }]))
    return { ...extremes, points: shown }
  })
}

// ---- Text ----

/** At most `most` characters: the end of a longer text, which differs more often. */
const shortened = (text: string, most: number): string =>
  [...text].length <= most ? text : `…${[...text].slice(1 - most).join('')}`

/** The beginning of a longer text. */
const beginning = (text: string, most: number): string =>
  [...text].length <= most ? text : `${[...text].slice(0, most - 1).join('')}…`

const widthOf = (text: string): number => Math.max(...text.split('\n').map(line => [...line].length))

/** A table whose first column has the names of rows; if it is too wide, several with some of the other columns each. */
function tables(header: readonly string[], rows: readonly (readonly string[])[], width: number): string {
  const of = (from: number, to: number) => {
    const pick = (cells: readonly string[]) => [cells[0], ...cells.slice(from, to)]
    return table(pick(header), rows.map(pick))
  }
  const parts: string[] = []
  for (let from = 1; from < header.length; ) {
    let to = from + 1
    while (to < header.length && widthOf(of(from, to + 1)) <= width) to++
    parts.push(of(from, to))
    from = to
  }
  return parts.join('\n\n')
}

function trainingPart(runs: readonly ComparedRun[], names: readonly string[], width: number): string {
  const all = runs.map(progressOf)
  const rows = [
    ['family', ...all.map(({ family }) => family)],
    [
      'steps',
      ...all.map(({ steps, planned, notFinite }) => {
        if (notFinite !== undefined) return `NaN at step ${notFinite}`
        const done = steps.toLocaleString('en')
        return planned === undefined || steps >= planned ? done : `${done} of ${planned.toLocaleString('en')}`
      }),
    ],
    ['examples/s', ...all.map(({ examplesPerSecond }) => examplesPerSecond?.toFixed(0) ?? '—')],
    ['time', ...all.map(({ steps, seconds }) => (steps === 0 ? '—' : duration(seconds)))],
  ]
  return tables(['training', ...names], rows, width)
}

function settingsPart(settings: readonly SettingDifference[], names: readonly string[], width: number): string {
  if (settings.length === 0) return 'All settings are equal.'
  // as much of each value as the columns have space for
  const first = Math.max(...settings.map(({ setting }) => setting.length))
  const most = Math.max(16, Math.floor((width - first) / names.length) - 2)
  const text = (value: unknown) => {
    if (value === undefined) return '—'
    return beginning(typeof value === 'string' ? value : JSON.stringify(value).replaceAll(',', ', '), most)
  }
  const rows = settings.map(({ setting, values }) => [setting, ...values.map(text)])
  return tables(['setting', ...names], rows, width)
}

const digits = (value: number): string => (Number.isFinite(value) ? Number(value.toPrecision(3)).toString() : 'NaN')

/** Curves as bars; those that have one step as a table. */
function curvesPart(curves: readonly RunCurve[], names: readonly string[], width: number): string[] {
  const isSingle = ({ runs }: RunCurve) => runs.every(points => points.length <= 1)
  const single = curves.filter(isSingle)
  const rows = single.map(({ name, runs }) => [name, ...runs.map(([point]) => (point ? digits(point.value) : '—'))])
  return [
    ...curves.filter(curve => !isSingle(curve)).map(curve => curvePart(curve, names, width)),
    ...(rows.length > 0 ? [tables(['measured once', ...names], rows, width)] : []),
  ]
}

const MOST_BARS = 60

/** One row of bars for each run, with the same axes. */
function curvePart(curve: RunCurve, names: readonly string[], width: number): string {
  const shown = curve.runs.flatMap((points, run) => (points.length === 0 ? [] : [{ run, ends: extremesOf(points) }]))
  const numbers = shown.map(({ ends }) =>
    ends ? [ends.first, ends.last, ends.least, ends.most].map(digits) : new Array<string>(4).fill('NaN'),
  )
  const first = Math.max([...curve.name].length, ...shown.map(({ run }) => [...names[run]].length))
  // the numbers have at most 8 characters, and there are two spaces between columns
  const { steps, means } = columnsOf(curve, Math.max(8, Math.min(MOST_BARS, width - first - 4 * 10 - 2)))
  const scale = scaleOf(shown.map(({ run }) => means[run]))
  const axis = `to step ${steps[steps.length - 1].toLocaleString('en')}${scale.isLogarithmic ? ', log scale' : ''}`
  return table(
    [curve.name, axis, 'first', 'last', 'min', 'max'],
    shown.map(({ run }, i) => [names[run], bars(means[run], scale), ...numbers[i]]),
  )
}

const isCompared = ({ steps }: ComparedResults): boolean => steps.filter(step => step !== undefined).length > 1

function resultsPart(results: readonly ComparedResults[], names: readonly string[], width: number): string {
  if (results.length === 0)
    return 'There are no results yet: cocagrad evaluate --run RUN --data DATA keeps them in the folder of the run.'
  const compared = results.filter(isCompared)
  const single = results.filter(group => !isCompared(group))
  const parts = byData(compared).map(groups => resultsTable(groups, names, width))
  if (compared.length > 0)
    parts[parts.length - 1] += `\n${wrapped('* the best. In brackets: the difference to the first run.', '', width)}`
  if (single.length === 0) return parts.join('\n\n')
  const why =
    'Measured for one run alone, or on other data or with other options than the others, so that nothing is compared:'
  return [
    ...parts,
    wrapped(why, '', width),
    ...byData(single).map(groups => resultsTable(groups, names, width, true)),
  ].join('\n\n')
}

/** Groups on the same data, measured for the same runs. */
function byData(results: readonly ComparedResults[]): ComparedResults[][] {
  const all = new Map<string, ComparedResults[]>()
  for (const group of results) {
    const key = JSON.stringify([group.fingerprint, group.steps])
    all.set(key, [...(all.get(key) ?? []), group])
  }
  return [...all.values()]
}

function resultsTable(
  groups: readonly ComparedResults[],
  names: readonly string[],
  width: number,
  isSingle = false,
): string {
  const { data, fingerprint, steps } = groups[0]
  const shown = names.flatMap((_, run) => (isSingle && steps[run] === undefined ? [] : [run]))
  const pick = <T>(list: readonly T[]): T[] => shown.map(run => list[run])
  const rows = groups.flatMap(group => [
    [titleOf(group, Math.max(20, Math.floor(width / 2))), ...pick(names).map(() => '')],
    ...group.measures.map(measure => [`  ${measure.name}`, ...pick(measureCells(measure))]),
  ])
  const atStep = ['at step', ...pick(steps).map(step => step?.toLocaleString('en') ?? 'not measured')]
  const title = wrapped(`results on ${data} (${fingerprint.slice(0, 8)})`, '', width)
  return `${title}\n${tables(['', ...pick(names)], [atStep, ...rows], width)}`
}

/** zero-shot, 24 examples, frames 4 */
function titleOf({ protocol, examples: count, options }: ComparedResults, most: number): string {
  const given = Object.entries(options).map(([name, value]) => {
    return `${name} ${Array.isArray(value) ? value.join(', ') : JSON.stringify(value)}`
  })
  return beginning([protocol, `${count} examples`, ...given].join('; '), most)
}

function measureCells({ unit, values, differences, best }: ComparedMeasure): string[] {
  const text = (value: number) => (unit === 'share' ? percent(value) : value.toFixed(4))
  const signed = (value: number) => {
    const size = unit === 'share' ? (100 * Math.abs(value)).toFixed(1) : Math.abs(value).toFixed(4)
    return `${value < 0 ? '-' : '+'}${size}`
  }
  const texts = new Set(values.flatMap(value => (value === undefined ? [] : [text(value)])))
  return values.map((value, run) => {
    if (value === undefined) return '—'
    const difference = differences[run]
    const behind = run === 0 || difference === undefined ? '' : ` (${signed(difference)})`
    return `${text(value)}${behind}${texts.size > 1 && best.includes(run) ? ' *' : ''}`
  })
}
