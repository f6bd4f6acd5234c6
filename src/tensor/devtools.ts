// Displays tensors, modules and tapes in the console of a browser, by the custom formatters of Chrome and Firefox. They are
// off by default and can be turned on in the settings of the developer tools; without them a console shows an object's
// fields.

import { inspectCustom, jupyterDisplay } from './display.ts'

/** An element as [tag, attributes, ...children]. */
type JsonMl = readonly [tag: string, attributes: { readonly style?: string }, ...children: readonly string[]]

/** The interface that a console calls for every object; null leaves the display to the console. */
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
  // a prototype has the methods but no values
  value !== value.constructor.prototype

const lineOf = (value: Shown): string => value[inspectCustom](0, { depth: 1 })

const formatter: Formatter = {
  header: value => (isShown(value) ? ['span', {}, lineOf(value)] : null),
  hasBody: value => isShown(value) && value[inspectCustom]() !== lineOf(value),
  body: value => (isShown(value) ? ['div', { style: 'white-space: pre' }, value[inspectCustom]()] : null),
}

/**
 * Makes the console of a browser show tensors, modules and tapes as `toString` does: in one line, and in full when expanded.
 * The user must turn on "Custom formatters" in the settings of the developer tools.
 */
export function installDevtoolsFormatters(): void {
  const page = globalThis as { devtoolsFormatters?: Formatter[] }
  page.devtoolsFormatters ??= []
  if (!page.devtoolsFormatters.includes(formatter)) page.devtoolsFormatters.push(formatter)
}
