// Plots of results as SVG, by Vega-Lite (Satyanarayan et al. 2017). It is not among the dependencies that users need: without it
// an experiment gives its numbers and tables, and says that it has no plots.

import type { ExperimentResult } from './results.ts'

/** A specification of Vega-Lite. */
type Spec = Readonly<Record<string, unknown>>

const config = {
  background: 'white',
  font: 'Helvetica, Arial, sans-serif',
  view: { stroke: null },
  axis: {
    labelFontSize: 11,
    titleFontSize: 11,
    gridColor: '#e4e4e4',
    domainColor: '#999',
    tickColor: '#999',
    labelLimit: 260,
  },
  title: { fontSize: 12, fontWeight: 'bold', anchor: 'start', offset: 8 },
  header: { labelFontSize: 12, labelFontWeight: 'bold' },
}

const COLOUR = '#2a6fbb'
const FAINT = '#9db8d8'

/** The SVG of a specification; undefined if the plotting library is not installed. */
export async function draw(spec: Spec): Promise<string | undefined> {
  const library = await load()
  if (!library) return undefined
  const compiled = library.compile({
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    config,
    ...spec,
  } as never)
  return new library.View(library.parse(compiled.spec), { renderer: 'none' }).toSVG()
}

async function load() {
  try {
    const [{ compile }, { parse, View }] = await Promise.all([import('vega-lite'), import('vega')])
    return { compile, parse, View }
  } catch (error) {
    if ((error as { code?: string }).code === 'ERR_MODULE_NOT_FOUND') return undefined
    throw error
  }
}

/** What to install for plots. */
export const WITHOUT_PLOTS = 'no plots: they need npm install vega vega-lite'

const PANEL = { width: 240, columns: 3 }

/** Every measure in a panel: a point for each seed, and a line at the mean, row by row. */
export function meansPlot({ rows, measures, title, seeds }: ExperimentResult): Spec {
  const order = rows.map(({ name }) => name)
  return {
    title: { text: title, subtitle: `points: ${seeds} seed${seeds === 1 ? '' : 's'}; lines: means`, fontSize: 14 },
    columns: PANEL.columns,
    spacing: 24,
    concat: measures.map(({ id, title, unit }) => {
      const factor = unit === 'share' ? 100 : 1
      const values = rows.flatMap(({ name, cells }) =>
        (cells[id]?.values ?? []).map(value => ({ row: name, value: value * factor, mean: cells[id].mean * factor })),
      )
      const y = { field: 'row', type: 'nominal', sort: order, title: null, scale: { domain: order } }
      const x = (field: string) => ({
        field,
        type: 'quantitative',
        title: unit === 'share' ? '%' : null,
        scale: { zero: false, nice: true, padding: 8 },
      })
      return {
        title,
        width: PANEL.width,
        height: { step: 22 },
        data: { values },
        layer: [
          { mark: { type: 'tick', thickness: 2.5, size: 16, color: COLOUR }, encoding: { y, x: x('mean') } },
          {
            mark: { type: 'point', filled: true, size: 36, color: FAINT, opacity: 0.9 },
            encoding: { y, x: x('value') },
          },
        ],
      }
    }),
  }
}

/** Every measure in a panel: the mean difference from the base row with its 95 % interval, and a line at 0. */
export function differencesPlot({ rows, measures, title, base }: ExperimentResult): Spec | undefined {
  const others = rows.filter(({ name }) => name !== base)
  const order = others.map(({ name }) => name)
  const panels = measures.flatMap(({ id, title, unit }) => {
    const factor = unit === 'share' ? 100 : 1
    const values = others.flatMap(({ name, cells }) => {
      const difference = cells[id]?.difference
      if (!difference?.interval.every(Number.isFinite)) return []
      const [low, high] = difference.interval
      return [{ row: name, mean: factor * difference.mean, low: factor * low, high: factor * high }]
    })
    if (values.length === 0) return []
    const y = { field: 'row', type: 'nominal', sort: order, title: null, scale: { domain: order } }
    const x = { field: 'mean', type: 'quantitative', title: unit === 'share' ? 'percentage points' : null }
    return [
      {
        title,
        width: PANEL.width,
        height: { step: 22 },
        data: { values },
        layer: [
          { mark: { type: 'rule', color: '#888' }, encoding: { x: { datum: 0 } } },
          {
            mark: { type: 'rule', strokeWidth: 2, color: COLOUR },
            encoding: { y, x: { ...x, field: 'low' }, x2: { field: 'high' } },
          },
          { mark: { type: 'point', filled: true, size: 50, color: COLOUR }, encoding: { y, x } },
        ],
      },
    ]
  })
  if (panels.length === 0) return undefined
  const subtitle = `difference from ${base}, seed by seed: mean and 95 % confidence interval`
  return { title: { text: title, subtitle, fontSize: 14 }, columns: PANEL.columns, spacing: 24, concat: panels }
}
