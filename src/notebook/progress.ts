// A bar that shows how far a loop is, in one place of a notebook.

import { checkArguments } from '../tensor/arguments.ts'
import { inspected } from '../tensor/display.ts'
import { type InspectOptions, inspectCustom, jupyterDisplay, type MimeBundle } from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'
import { type Settings, settle } from '../tensor/options.ts'
import { currentHost, display } from './display.ts'
import { escaped } from './markup.ts'

/** Options of `progress`. */
export interface ProgressOptions {
  /** stands before the bar; default none */
  readonly label?: string
}
const progressOptions = { label: '' } satisfies Settings<ProgressOptions>

/** Milliseconds between two updates where they replace each other, and in a console. */
const [BETWEEN, BETWEEN_LINES] = [100, 10_000]

const seconds = (ms: number) => (ms < 10_000 ? `${(ms / 1000).toFixed(1)} s` : `${Math.round(ms / 1000)} s`)

/** A loop with a bar. It is an iterable for `for await`. */
export class ProgressBar<T> {
  /** number of elements */
  readonly total: number
  /** stands before the bar; empty for none */
  readonly label: string
  /** stands behind the bar: the last loss, for example */
  note = ''
  readonly #items: Iterable<T>
  #done = 0
  #start = 0

  constructor(items: Iterable<T>, total: number, label: string) {
    this.#items = items
    this.total = total
    this.label = label
  }

  /** number of elements that the loop is done with */
  get done(): number {
    return this.#done
  }

  /** Shows the bar, gives the elements, and updates the bar about ten times a second; in a console, every ten seconds. */
  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    this.#done = 0
    this.#start = performance.now()
    const bar = display(this)
    const between = currentHost().canReplace ? BETWEEN : BETWEEN_LINES
    let next = this.#start + between
    try {
      for (const item of this.#items) {
        yield item
        this.#done++
        if (performance.now() < next) continue
        await bar.update(this)
        next = performance.now() + between
      }
    } finally {
      await bar.update(this)
    }
  }

  /** How far the loop is, without times. */
  toString(): string {
    return [this.label, `${this.#done} of ${this.total}`, this.note].filter(part => part !== '').join(' ')
  }

  /** The text that the consoles of Node, Deno and Bun print. */
  [inspectCustom](depth?: number | null, options?: InspectOptions): string {
    const words = () => this.toString()
    return inspected({ name: 'ProgressBar', line: words, text: words }, depth, options)
  }

  /** The display in a notebook. */
  [jupyterDisplay](): MimeBundle {
    const passed = performance.now() - this.#start
    const isOver = this.#done === this.total
    const left = this.#done > 0 && !isOver ? (passed / this.#done) * (this.total - this.#done) : undefined
    const facts = [
      `${this.#done} of ${this.total}`,
      ...(this.#done > 0 ? [seconds(passed)] : []),
      ...(left === undefined ? [] : [`about ${seconds(left)} left`]),
      ...(this.note === '' ? [] : [escaped(this.note)]),
    ]
    const name = escaped(this.label || 'progress')
    const bar = `<progress aria-label="${name}" value="${this.#done}" max="${this.total}"></progress>`
    return {
      'text/plain': this.toString(),
      'text/html': `<div>${escaped(this.label)} ${bar} ${facts.join(', ')}</div>`,
    }
  }
}

const upTo = (end: number): Iterable<number> => ({
  *[Symbol.iterator]() {
    for (let i = 0; i < end; i++) yield i
  },
})

/**
 * A loop that shows how far it is.
 *
 *     const steps = progress(200, { label: 'training' })
 *     for await (const step of steps) {
 *       const loss = optimizer.minimize(() => …)
 *       steps.note = `loss ${await loss.item()}`
 *     }
 *
 * @param items a number n for 0, 1, … n - 1, or a list
 * @throws ArgumentError for anything else, OptionsError
 */
export function progress(items: number, options?: ProgressOptions): ProgressBar<number>
export function progress<T>(items: readonly T[], options?: ProgressOptions): ProgressBar<T>
export function progress(items: number | readonly unknown[], options?: ProgressOptions): ProgressBar<unknown> {
  const call = 'progress(items, options)'
  checkArguments(call, [typeof items === 'number' ? is.size : is.list, is.options], [items, options])
  const { label } = settle(call, options, progressOptions)
  return typeof items === 'number'
    ? new ProgressBar(upTo(items), items, label)
    : new ProgressBar(items, items.length, label)
}
