// Curves and points as SVG. Colours and letters have enough contrast on white and on black, because a notebook may have either.

import { inspected } from '../tensor/display.ts'
import { given, isPlain } from '../tensor/given.ts'
import { type InspectOptions, inspectCustom, jupyterDisplay, type MimeBundle } from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'
import { type Settings, settle } from '../tensor/options.ts'
import { escaped } from './markup.ts'

/** Values one after the other, or pairs [x, y]. */
export type Series = ArrayLike<number> | readonly (readonly [x: number, y: number])[]

/** Options of `plot`. */
export interface PlotOptions {
  /** stands above the plot; default none */
  readonly title?: string
  /** place of each value on the horizontal axis; default 0, 1, 2, … Not for pairs [x, y] */
  readonly at?: ArrayLike<number>
  /** name of the horizontal axis; default `step` */
  readonly x?: string
  /** `lines` between the points, or the `points` alone; default `lines` */
  readonly kind?: 'lines' | 'points'
}
const plotOptions = {
  title: '',
  at: undefined,
  x: 'step',
  kind: is.choice('lines', 'points'),
} satisfies Settings<PlotOptions>

/** A named series of a plot. */
export interface PlotSeries {
  /** stands in the legend */
  readonly name: string
  /** pairs [x, y] of finite numbers */
  readonly points: readonly (readonly [x: number, y: number])[]
}

const [WIDTH, PLOT_HEIGHT, LEFT, RIGHT, BOTTOM] = [560, 220, 52, 10, 30]
/** Height of a line of text. */
const LINE = 18
/** Points of a line; more cannot be seen. */
const POINTS = 1000
const COLOURS = ['#3b7ddd', '#c4601d', '#2a8c5a', '#a05cc8']
const GREY = '#767676'

const text = (value: number) => String(Number(value.toPrecision(4)))

type Range = readonly [low: number, high: number]

function rangeOf(values: Iterable<number>): Range {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
  for (const value of values) {
    if (value < low) low = value
    if (value > high) high = value
  }
  if (low > high) return [0, 1]
  return low === high ? [low - (Math.abs(low) || 1) / 2, high + (Math.abs(high) || 1) / 2] : [low, high]
}

/** About `count` round numbers in a range. */
function ticksOf([low, high]: Range, count: number): number[] {
  const rough = (high - low) / count
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = [1, 2, 5, 10].map(each => each * power).find(each => each >= rough) ?? rough
  const found: number[] = []
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + 1e-9 * step; i++) found.push(i * step)
  return found
}

/** Some of many points, with the last. */
function thinned<T>(points: readonly T[]): readonly T[] {
  const every = Math.max(1, Math.ceil(points.length / POINTS))
  return every === 1 ? points : points.filter((_, i) => i % every === 0 || i === points.length - 1)
}

/** One or more series over a common axis. Deno's Jupyter kernel and the editor of the site show it as a picture. */
export class Plot {
  /** stands above the plot; empty for none */
  readonly title: string
  /** name of the horizontal axis */
  readonly x: string
  /** `lines` between the points, or the `points` alone */
  readonly kind: 'lines' | 'points'
  /** the series, in the order in which they were given */
  readonly series: readonly PlotSeries[]

  constructor(series: readonly PlotSeries[], { title, x, kind }: Required<Omit<PlotOptions, 'at'>>) {
    this.series = series
    this.title = title
    this.x = x
    this.kind = kind
  }

  /** The plot in words: the first and the last value of each series. */
  toString(): string {
    const of = ({ name, points }: PlotSeries) => {
      if (points.length === 0) return `${name} has no points`
      const [first, last] = [points[0][1], points[points.length - 1][1]]
      return `${name} from ${text(first)} to ${text(last)}, ${points.length} points`
    }
    return `Plot${this.title && ` ${this.title}`}: ${this.series.map(of).join('; ')}`
  }

  /** The plot as an element `svg`. Its classes `grid`, `label` and `series-1` to `series-4` can be styled. */
  toSvg(): string {
    const { series, title, x: axis } = this
    const points = series.flatMap(({ points }) => points)
    const [xs, ys] = [rangeOf(points.map(([x]) => x)), rangeOf(points.map(([, y]) => y))]
    const top = title ? LINE + 6 : 8
    const bottom = top + PLOT_HEIGHT - BOTTOM
    const xAt = (x: number) => (LEFT + ((WIDTH - LEFT - RIGHT) * (x - xs[0])) / (xs[1] - xs[0])).toFixed(1)
    const yAt = (y: number) => (bottom - ((bottom - top) * (y - ys[0])) / (ys[1] - ys[0])).toFixed(1)
    const label = (x: number | string, y: number | string, anchor: string, words: string) =>
      `<text class="label" fill="${GREY}" x="${x}" y="${y}" text-anchor="${anchor}">${escaped(words)}</text>`
    const colour = (i: number) => COLOURS[i % COLOURS.length]
    const of = (i: number) => `class="series-${(i % COLOURS.length) + 1}"`
    const parts = [
      ...(title
        ? [`<text class="label" fill="${GREY}" x="0" y="13" font-size="13" font-weight="600">${escaped(title)}</text>`]
        : []),
      ...ticksOf(ys, 5).flatMap(tick => [
        `<line class="grid" stroke="${GREY}" stroke-opacity="0.3" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${yAt(tick)}" y2="${yAt(tick)}"/>`,
        label(LEFT - 6, Number(yAt(tick)) + 4, 'end', text(tick)),
      ]),
      ...ticksOf(xs, 6).map(tick => label(xAt(tick), bottom + 16, 'middle', text(tick))),
      label(WIDTH - RIGHT, bottom + 29, 'end', axis),
      ...series.map(({ points }, i) => {
        const places = thinned(points).map(([x, y]) => [xAt(x), yAt(y)])
        if (this.kind === 'lines')
          return `<polyline ${of(i)} stroke="${colour(i)}" stroke-width="1.8" stroke-linejoin="round" fill="none" points="${places.map(place => place.join()).join(' ')}"/>`
        const circles = places.map(([x, y]) => `<circle cx="${x}" cy="${y}" r="2.5"/>`).join('')
        return `<g ${of(i)} fill="${colour(i)}" fill-opacity="0.7">${circles}</g>`
      }),
    ]
    const legend = this.#legend()
    const height = top + PLOT_HEIGHT + LINE * legend.length
    legend.forEach((line, row) => {
      let at = 0
      for (const { words, i } of line) {
        const y = top + PLOT_HEIGHT + LINE * row + 13
        parts.push(
          `<g ${of(i)} fill="${colour(i)}" stroke="none"><circle cx="${at + 6}" cy="${y - 4}" r="5"/></g>${label(at + 16, y, 'start', words)}`,
        )
        at += widthOf(words)
      }
    })
    const head = `viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" font-family="system-ui, sans-serif" font-size="11"`
    const summary = escaped(this.toString())
    return `<svg xmlns="http://www.w3.org/2000/svg" class="cocagrad-plot" ${head} role="img" aria-label="${summary}">${parts.join('')}</svg>`
  }

  /** The lines of the legend: the names, with the last value of what has steps. */
  #legend(): { readonly words: string; readonly i: number }[][] {
    const isHistory = this.kind === 'lines' && this.x === 'step'
    const lines: { readonly words: string; readonly i: number }[][] = []
    let room = 0
    this.series.forEach(({ name, points }, i) => {
      const last = points.at(-1)
      const words = isHistory && last ? `${name} ${text(last[1])}` : name
      if (words === '') return
      if (room < widthOf(words)) {
        lines.push([])
        room = WIDTH
      }
      room -= widthOf(words)
      lines[lines.length - 1].push({ words, i })
    })
    return lines
  }

  /** The text that the consoles of Node, Deno and Bun print. */
  [inspectCustom](depth?: number | null, options?: InspectOptions): string {
    const words = () => this.toString()
    return inspected({ name: 'Plot', line: words, text: words }, depth, options)
  }

  /** The display in a notebook. */
  [jupyterDisplay](): MimeBundle {
    return { 'text/plain': this.toString(), 'image/svg+xml': this.toSvg() }
  }
}

/** Room for a word of the legend with its mark. */
const widthOf = (words: string) => 36 + 6.4 * words.length

/** One series, and not several by their names. */
const isSeries = (series: unknown): series is Series => Array.isArray(series) || ArrayBuffer.isView(series)

const WRITE = 'write a list of numbers, or several by their names; read a tensor with await x.data()'

function pointsOf(name: string, series: Series, at: ArrayLike<number> | undefined): PlotSeries['points'] {
  if (!isSeries(series)) throw new TypeError(`plot: ${name} is ${given(series)}; ${WRITE}`)
  if (at && at.length !== series.length)
    throw new RangeError(`plot: ${name} has ${series.length} values and at has ${at.length}; give one place for each`)
  const pairs = Array.from(series as ArrayLike<unknown>, (value, i): readonly [number, number] => {
    if (typeof value === 'number') return [at ? Number(at[i]) : i, value]
    if (Array.isArray(value) && value.length === 2 && !at) return [Number(value[0]), Number(value[1])]
    throw new TypeError(`plot: value ${i} of ${name} is no number${at ? '' : ' and no pair [x, y]'}; ${WRITE}`)
  })
  return pairs.filter(([x, y]) => Number.isFinite(x) && Number.isFinite(y))
}

/**
 * Curves of values, such as losses by step.
 *
 *     plot(losses, { title: 'loss' })
 *     plot({ train: trainLosses, test: testLosses })
 *     plot({ sine: values }, { at: xs, x: 'x' })
 *
 * NaN and infinity are left out.
 * @param series numbers or pairs [x, y], or several such series by their names
 * @returns the plot, which a notebook shows as the value of a cell or by `display`
 * @throws TypeError for a value that is no number, RangeError where `at` has another length, OptionsError
 */
export function plot(series: Series | Readonly<Record<string, Series>>, options?: PlotOptions): Plot {
  const { at, ...rest } = settle('plot(series, options)', options, plotOptions)
  if (!isSeries(series) && !isPlain(series)) throw new TypeError(`plot: series is ${given(series)}; ${WRITE}`)
  const named = isSeries(series) ? { [rest.title || 'value']: series } : series
  return new Plot(
    Object.entries(named).map(([name, values]) => ({ name, points: pointsOf(name, values, at) })),
    rest,
  )
}
