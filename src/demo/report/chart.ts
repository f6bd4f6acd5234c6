// A line chart as SVG: a logarithmic scale for losses, lines that differ in dash as well as colour, a label at the end
// of each, and the numbers under the pointer.

import { type Html, html } from './html.ts'

export interface ChartLine {
  readonly name: string
  readonly values: readonly number[]
}

export interface LineChart {
  readonly title: string
  readonly xLabel: string
  readonly yLabel: string
  readonly x: readonly number[]
  readonly lines: readonly ChartLine[]
}

const WIDTH = 600
const HEIGHT = 330
const LEFT = 62
const RIGHT = 116
const TOP = 16
const BOTTOM = 50

/** The maximum number of points, each a mean over its neighbours. */
const POINTS = 120

export function lineChart(chart: LineChart): Html {
  const { x, lines } = thinned(chart)
  const all = lines.flatMap(({ values }) => values).filter(value => value > 0 && Number.isFinite(value))
  // a flat line is in the middle of its decade, and a loss of 0 at the bottom
  const least = Math.min(...all, 1e6)
  const most = Math.max(...all, 1e-6)
  const [low, high] = most > least ? [least, most] : all.length > 0 ? [least / 3, most * 3] : [0.1, 1]
  const ticks = logTicks(low, high)
  const [bottom, top] = [Math.min(low, ...ticks), Math.max(high, ...ticks)]
  const [first, last] = [x[0], x[x.length - 1]]
  const xOf = (value: number) => LEFT + ((value - first) / (last - first || 1)) * (WIDTH - LEFT - RIGHT)
  const yOf = (value: number) =>
    TOP + (Math.log(top / Math.max(value, bottom)) / Math.log(top / bottom)) * (HEIGHT - TOP - BOTTOM)
  const base = HEIGHT - BOTTOM
  const ends = spread(lines.map(({ values }) => yOf(values[values.length - 1])))
  return html`<svg class="chart" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${chart.title}">
${ticks.map(
  tick => html`<line class="grid" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${at(yOf(tick))}" y2="${at(yOf(tick))}"/>
<text class="tick" x="${LEFT - 8}" y="${at(yOf(tick) + 4)}" text-anchor="end">${number(tick)}</text>`,
)}
${linearTicks(first, last).map(
  tick =>
    html`<text class="tick" x="${at(xOf(tick))}" y="${base + 20}" text-anchor="middle">${tick.toLocaleString('en')}</text>`,
)}
<text class="label" x="${(LEFT + WIDTH - RIGHT) / 2}" y="${HEIGHT - 8}" text-anchor="middle">${chart.xLabel}</text>
<text class="label" transform="translate(16 ${(TOP + base) / 2}) rotate(-90)" text-anchor="middle">${chart.yLabel}</text>
${lines.map(
  ({ name, values }, i) => html`<polyline class="line line-${i}" points="${values
    .map((value, j) => `${at(xOf(x[j]))},${at(yOf(value))}`)
    .join(' ')}"/>
<text class="name name-${i}" x="${WIDTH - RIGHT + 8}" y="${at(ends[i] + 4)}">${name}</text>`,
)}
${x.map((step, j) => {
  const half = (WIDTH - LEFT - RIGHT) / x.length / 2
  const words = lines.map(({ name, values }) => `${name} ${short(values[j])}`).join('\n')
  return html`<rect class="hover" x="${at(xOf(step) - half)}" y="${TOP}" width="${at(2 * half)}" height="${base - TOP}"><title>${`${chart.xLabel} ${Math.round(step)}\n${words}`}</title></rect>`
})}
</svg>`
}

const at = (value: number): string => value.toFixed(1)

/** Two significant digits, with a power of ten for very small numbers: 0.012, 1.2·10⁻⁵. */
export function number(value: number): string {
  if (value === 0 || !(Math.abs(value) < 1e-3)) return String(Number(value.toPrecision(2)))
  const [mantissa, exponent] = value.toExponential(1).split('e')
  const power = `10${[...exponent].map(digit => SUPERSCRIPTS['-0123456789'.indexOf(digit)]).join('')}`
  return mantissa === '1.0' ? power : `${Number(mantissa)}·${power}`
}

const SUPERSCRIPTS = '⁻⁰¹²³⁴⁵⁶⁷⁸⁹'

/** Three significant digits. */
const short = (value: number): string => (Number.isFinite(value) ? String(Number(value.toPrecision(3))) : String(value))

function thinned({ x, lines }: LineChart): Pick<LineChart, 'x' | 'lines'> {
  const bucket = Math.max(1, Math.ceil(x.length / POINTS))
  const means = (values: readonly number[]) =>
    Array.from({ length: Math.ceil(values.length / bucket) }, (_, i) => {
      const part = values.slice(i * bucket, (i + 1) * bucket)
      return part.reduce((a, b) => a + b, 0) / part.length
    })
  return { x: means(x), lines: lines.map(({ name, values }) => ({ name, values: means(values) })) }
}

/** 1, 2 and 5 times powers of ten from below `low` to `high`; only powers of ten if that would be too many. */
function logTicks(low: number, high: number): number[] {
  const exponents = Array.from({ length: 16 }, (_, i) => i - 8)
  const inside = (steps: readonly number[]) => {
    const marks = exponents.flatMap(exponent => steps.map(step => Number((step * 10 ** exponent).toPrecision(1))))
    return marks.filter((mark, i) => (marks[i + 1] ?? mark) > low && mark <= high * 1.05)
  }
  const fine = inside([1, 2, 5])
  const coarse = inside([1])
  return fine.length <= 8 || coarse.length < 2 ? fine : coarse
}

/** About five round numbers. */
function linearTicks(first: number, last: number): number[] {
  const rough = (last - first) / 4 || 1
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = Math.ceil([1, 2, 2.5, 5, 10].map(n => n * power).find(n => n >= rough) ?? rough)
  const start = Math.ceil(first / step) * step
  return Array.from({ length: Math.floor((last - start) / step) + 1 }, (_, i) => start + i * step)
}

/** Heights of labels, moved apart so that they do not overlap. */
function spread(heights: readonly number[]): number[] {
  const order = heights.map((_, i) => i).sort((a, b) => heights[a] - heights[b])
  const moved = [...heights]
  for (let i = 1; i < order.length; i++) moved[order[i]] = Math.max(moved[order[i]], moved[order[i - 1]] + 18)
  const over = Math.max(0, Math.max(...moved) - (HEIGHT - BOTTOM))
  return moved.map(height => height - over)
}
