// Tensors, modules and tapes in the console of a browser, through the custom formatters of Chrome and Firefox. Both have
// them switched off until a person turns them on in the settings of the developer tools, and without them a console
// shows an object's fields.

import { inspectCustom, jupyterDisplay } from './display.ts'

/** An element as [tag, attributes, ...children]. */
type JsonMl = readonly [tag: string, attributes: { readonly style?: string }, ...children: readonly string[]]

/** What a console asks for every object that it shows; null for one that it shall show itself. */
interface Formatter {
  header(value: unknown): JsonMl | null
  hasBody(value: unknown): boolean
  body(value: unknown): JsonMl | null
}

interface Shown {
  [inspectCustom](depth?: number, options?: { readonly depth: number }): string
}

const isShown = (value: unknown): value is Shown =>
  typeof value === 'object' &&
  value !== null &&
  inspectCustom in value &&
  jupyterDisplay in value &&
  // a prototype has the methods and no values
  value !== value.constructor.prototype

const lineOf = (value: Shown): string => value[inspectCustom](0, { depth: 1 })

const formatter: Formatter = {
  header: value => (isShown(value) ? ['span', {}, lineOf(value)] : null),
  hasBody: value => isShown(value) && value[inspectCustom]() !== lineOf(value),
  body: value => (isShown(value) ? ['div', { style: 'white-space: pre' }, value[inspectCustom]()] : null),
}

/**
 * Has the console of a browser show tensors, modules and tapes as `toString` does: in one line, and whole when it is
 * opened. Whoever looks must allow it in the settings of the developer tools, under "Custom formatters".
 */
export function installDevtoolsFormatters(): void {
  const page = globalThis as { devtoolsFormatters?: Formatter[] }
  page.devtoolsFormatters ??= []
  if (!page.devtoolsFormatters.includes(formatter)) page.devtoolsFormatters.push(formatter)
}
