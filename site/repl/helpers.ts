// What a program imports from 'repl': plots and pictures. Its declarations for the editor are the text below.

import type { Tensor } from 'cocagrad'
import type { Part, Plot } from './protocol.ts'
import { draw, layoutOf } from './show.ts'

/** Values one after the other, or pairs [x, y]. */
export type Series = ArrayLike<number> | readonly (readonly [number, number])[]

export interface PlotOptions {
  readonly title?: string
  /** the place of each value on the horizontal axis; default 0, 1, 2, … */
  readonly at?: ArrayLike<number>
  /** name of the horizontal axis; default 'step' */
  readonly x?: string
  /** default 'lines' */
  readonly kind?: 'lines' | 'points'
}

/** The declarations of the module, for the editor. */
export const declarations = `
declare module 'fast-check'
declare function describe(name: string, declare: () => void): void
declare function it(name: string, run: () => void | Promise<void>): void
declare module 'repl' {
  import type { Tensor } from 'cocagrad'

  /** Values one after the other, or pairs [x, y]. */
  export type Series = ArrayLike<number> | readonly (readonly [number, number])[]

  export interface PlotOptions {
    /** stands above the plot; a plot with the title of an earlier one is drawn in its place */
    readonly title?: string
    /** the place of each value on the horizontal axis; default 0, 1, 2, … */
    readonly at?: ArrayLike<number>
    /** name of the horizontal axis; default 'step' */
    readonly x?: string
    /** default 'lines' */
    readonly kind?: 'lines' | 'points'
  }

  /** Draws a series, or several by their names. Call it again with the same title to draw anew, for example in a loop. */
  export function plot(series: Series | Readonly<Record<string, Series>>, options?: PlotOptions): void

  /** Draws a matrix [height, width] or an image [1 or 3, height, width]: the least value is black, the greatest white. */
  export function picture(values: Tensor, caption?: string): Promise<void>
}
`

/** Shows parts; with a key, in the place of what was shown with it before. */
export type Show = (parts: readonly Part[], text: string, key?: string) => void

const pairs = (series: Series, at?: ArrayLike<number>): (readonly [number, number])[] =>
  Array.from(series as ArrayLike<number | readonly [number, number]>, (value, i) =>
    typeof value === 'number' ? [at ? Number(at[i]) : i, value] : value,
  )

/** One series, and not several by their names. */
const isSeries = (series: Series | Readonly<Record<string, Series>>): series is Series =>
  Array.isArray(series) || ArrayBuffer.isView(series)

/** The module `repl` of one program. */
export const helpers = (show: Show) => ({
  plot(series: Series | Readonly<Record<string, Series>>, options: PlotOptions = {}): void {
    const { title = '', x = 'step', kind = 'lines', at } = options
    const named = isSeries(series) ? { [title || 'value']: series } : series
    const plot: Plot = {
      title,
      x,
      kind,
      series: Object.entries(named).map(([name, values]) => ({ name, points: pairs(values, at) })),
    }
    const text = plot.series.map(({ name, points }) => `${name}: ${points.length} points`).join(', ')
    show([{ kind: 'plot', plot }], `plot ${title} (${text})`, title ? `plot ${title}` : undefined)
  },

  async picture(values: Tensor, caption = ''): Promise<void> {
    const layout = layoutOf(values.shape, true)
    if (!layout)
      throw new TypeError(
        `picture: shape [${values.shape.join(', ')}]; write [height, width] or [1 or 3, height, width]`,
      )
    const { pictures, range } = draw((await values.data()) as ArrayLike<number>, layout)
    const text = [caption, range].filter(part => part !== '').join(': ')
    show([{ kind: 'pictures', pictures, caption: text }], `picture ${text}`, caption ? `picture ${caption}` : undefined)
  },
})
