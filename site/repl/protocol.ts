// The messages between the page and the thread that runs a program.

/** A file of a program. */
export interface ProgramFile {
  /** its path from the folder of the program, such as `data/digits.ts` */
  readonly name: string
  readonly source: string
}

/** What is shown of a value. `html` and SVG in it come from the program and are cleaned before the page shows them. */
export type Part = { readonly kind: 'text'; readonly text: string } | { readonly kind: 'html'; readonly html: string }

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
  /** the file, where a program has several */
  readonly file?: string
  /** counted from 1, in the source; undefined where the error has no place in it */
  readonly line?: number
}

export interface RunRequest {
  /** the first runs; it may import the others */
  readonly files: readonly ProgramFile[]
  /** address of the folder in which the files seem to be: `import.meta.url` begins with it */
  readonly folder: string
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
