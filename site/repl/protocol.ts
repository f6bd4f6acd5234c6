// The messages between the page and the thread that runs a program.

/** A picture in bytes, red, green, blue and alpha for each pixel. */
export interface Picture {
  readonly width: number
  readonly height: number
  readonly pixels: Uint8ClampedArray<ArrayBuffer>
}

/** Lines over a common axis. */
export interface Plot {
  readonly title: string
  /** name of the horizontal axis */
  readonly x: string
  readonly kind: 'lines' | 'points'
  readonly series: readonly { readonly name: string; readonly points: readonly (readonly [number, number])[] }[]
}

/** What is shown of a value. `html` comes from the program and is cleaned before the page shows it. */
export type Part =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'html'; readonly html: string }
  | {
      readonly kind: 'pictures'
      readonly caption: string
      readonly pictures: readonly Picture[]
      /** the values as a table */
      readonly html?: string
    }
  | { readonly kind: 'plot'; readonly plot: Plot }

export type Level = 'log' | 'warn' | 'error' | 'result'

/** One line of output, or what stands in its place. An item with the number of an earlier one replaces it. */
export interface Item {
  readonly id: number
  readonly level: Level
  readonly parts: readonly Part[]
  /** the same as a terminal shows it */
  readonly text: string
}

export interface Failure {
  readonly name: string
  readonly message: string
  /** counted from 1, in the source; undefined where the error has no place in it */
  readonly line?: number
}

export interface RunRequest {
  readonly source: string
  /** the body of a check, which sees what the program declares and calls `expect(condition, hint)` */
  readonly check?: string
}

export type RunReport =
  | { readonly kind: 'started' }
  /** `dropped`: lines that were printed faster than anybody reads */
  | { readonly kind: 'items'; readonly items: readonly Item[]; readonly dropped: number }
  | { readonly kind: 'failed'; readonly failure: Failure }
  /** what the check says; `hint` where it is not satisfied */
  | { readonly kind: 'checked'; readonly hint?: string }
  | { readonly kind: 'finished'; readonly milliseconds: number }
