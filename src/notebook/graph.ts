// A tape as a picture: one line for each tensor, in the order of the tape, and an arc from each argument to the operations that use it.

import { Tape } from '../autograd/index.ts'
import { checkArguments } from '../tensor/arguments.ts'
import { inspected } from '../tensor/display.ts'
import { type InspectOptions, inspectCustom, jupyterDisplay, type MimeBundle, show } from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'
import { escaped } from './markup.ts'

const [ROW, MARGIN, CHARACTER] = [22, 12, 7.3]
const [WATCHED, OPERATION, ARC] = ['#2a8c5a', '#3b7ddd', '#767676']

interface Node {
  readonly text: string
  readonly isWatched: boolean
  /** rows of the arguments, each once */
  readonly from: readonly number[]
}

/** The tensors in anything that an operation takes. */
function* tensorsIn(arg: unknown): Iterable<unknown> {
  yield arg
  if (Array.isArray(arg)) for (const each of arg) yield* tensorsIn(each)
}

/** The graph of a tape as it was when `graph` was called. Deno's Jupyter kernel and the editor of the site show it as a picture. */
export class TapeGraph {
  readonly #nodes: readonly Node[]

  constructor(tape: Tape) {
    const rows = new Map<unknown, number>()
    const nodes: Node[] = []
    for (const [x, name] of tape.watched) {
      rows.set(x, nodes.length)
      nodes.push({ text: `${name} ${show(x.shape)}`, isWatched: true, from: [] })
    }
    for (const { name, args, result } of tape.entries) {
      const from = new Set<number>()
      for (const arg of args)
        for (const x of tensorsIn(arg)) {
          const row = rows.get(x)
          if (row !== undefined) from.add(row)
        }
      rows.set(result, nodes.length)
      nodes.push({ text: `${name} ${show(result.shape)}`, isWatched: false, from: [...from] })
    }
    this.#nodes = nodes
  }

  /** How large it is. */
  toString(): string {
    const watched = this.#nodes.filter(({ isWatched }) => isWatched).length
    return `Graph of ${watched} watched tensors and ${this.#nodes.length - watched} operations`
  }

  /** The graph as an element `svg`. Its classes `arc`, `label`, `watched` and `operation` can be styled. */
  toSvg(): string {
    const nodes = this.#nodes
    const reach = (steps: number) => (steps === 1 ? 0 : 8 + 10 * Math.sqrt(steps))
    const longest = Math.max(0, ...nodes.flatMap(({ from }, i) => from.map(row => reach(i - row))))
    // a curve reaches three quarters of the way to its control points
    const x = MARGIN + 0.75 * longest
    const y = (row: number) => MARGIN + ROW * row
    const arcs = nodes.flatMap(({ from }, i) =>
      from.map(row => {
        const by = x - reach(i - row)
        return `<path class="arc" stroke="${ARC}" fill="none" d="M${x} ${y(row)}C${by} ${y(row)} ${by} ${y(i)} ${x} ${y(i)}"/>`
      }),
    )
    const marks = nodes.map(({ text, isWatched }, i) => {
      const circle = `<circle class="${isWatched ? 'watched' : 'operation'}" fill="${isWatched ? WATCHED : OPERATION}" cx="${x}" cy="${y(i)}" r="5"/>`
      return `${circle}<text class="label" fill="${ARC}" x="${x + 12}" y="${y(i) + 4}">${escaped(text)}</text>`
    })
    const width = Math.ceil(x + 24 + CHARACTER * Math.max(0, ...nodes.map(({ text }) => text.length)))
    const height = 2 * MARGIN + ROW * Math.max(0, nodes.length - 1)
    const head = `viewBox="0 0 ${width} ${height}" width="${width}" font-family="ui-monospace, monospace" font-size="12"`
    const summary = this.toString()
    return `<svg xmlns="http://www.w3.org/2000/svg" class="cocagrad-graph" ${head} role="img" aria-label="${summary}">${[...arcs, ...marks].join('')}</svg>`
  }

  /** The text that the consoles of Node, Deno and Bun print. */
  [inspectCustom](depth?: number | null, options?: InspectOptions): string {
    const words = () => this.toString()
    return inspected({ name: 'TapeGraph', line: words, text: words }, depth, options)
  }

  /** The display in a notebook. */
  [jupyterDisplay](): MimeBundle {
    return { 'text/plain': this.toString(), 'image/svg+xml': this.toSvg() }
  }
}

/**
 * A tape as a picture: green dots are watched tensors, blue dots are operations with the shape of their result, and an arc leads
 * from each argument down to the operations that use it.
 * @returns the graph, which a notebook shows as the value of a cell or by `display`
 * @throws ArgumentError for anything but a tape
 */
export function graph(tape: Tape): TapeGraph {
  checkArguments('graph(tape)', [is.instance('a tape', Tape)], [tape])
  return new TapeGraph(tape)
}
