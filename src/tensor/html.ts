// HTML for notebooks: values as a table, an outline as collapsible lists. Colours are those of the page, light or dark.

import type { Printed } from './print.ts'

const escapeHtml = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')

const style = `<style>
figure.cocagrad { margin: 0; font-variant-numeric: tabular-nums; }
.cocagrad table { border-collapse: collapse; }
.cocagrad :is(th, td) { padding: 0.1em 0.5em; text-align: right; }
.cocagrad th { font-weight: normal; opacity: 0.6; }
.cocagrad th[colspan] { text-align: left; }
</style>`

/** A table with the positions on the last two axes as headings; for more axes, one table for each matrix. */
export function tableHtml(title: string, { shape, places, words }: Printed): string {
  const rank = shape.length
  const columns = places[rank - 1] ?? [0]
  const rows = places[rank - 2] ?? [0]
  const name = (place: number | null) => (place === null ? '…' : String(place))
  const th = (place: number | null) => `<th>${name(place)}</th>`
  let at = 0
  const row = (place: number | null) => {
    const cells = columns.map(column => (place === null || column === null ? '…' : words[at++].trim()))
    return `<tr>${rank > 1 ? th(place) : ''}${cells.map(cell => `<td>${cell}</td>`).join('')}</tr>`
  }
  const matrices = (path: readonly string[]): string => {
    const axis = path.length
    if (axis >= rank - 2) {
      const part = axis > 0 ? `<tr><th colspan="${columns.length + 1}">[${path.join(', ')}, :, :]</th></tr>` : ''
      return `<tbody>${part}${rows.map(row).join('')}</tbody>`
    }
    const gap = `<tbody><tr>${th(null)}</tr></tbody>`
    return places[axis].map(place => (place === null ? gap : matrices([...path, name(place)]))).join('')
  }
  const head = rank > 0 ? `<thead><tr>${rank > 1 ? '<td></td>' : ''}${columns.map(th).join('')}</tr></thead>` : ''
  const body = shape.includes(0) ? '' : head + matrices([])
  return `${style}
<figure class="cocagrad"><figcaption>${escapeHtml(title)}</figcaption><table>${body}</table></figure>`
}

/** Indented lines as collapsible elements; the outermost is open. */
export function outlineHtml(text: string): string {
  const lines = text.split('\n').filter(line => line.trim() !== '')
  const depthOf = (line: string) => line.search(/\S/)
  let at = 0
  const level = (depth: number): string => {
    let html = ''
    while (at < lines.length && depthOf(lines[at]) >= depth) {
      const line = escapeHtml(lines[at++].slice(depth))
      const inner = at < lines.length ? depthOf(lines[at]) : 0
      html +=
        inner > depth
          ? `<details${depth === 0 ? ' open' : ''}><summary>${line}</summary><div style="margin-left: 2ch">${level(inner)}</div></details>`
          : `<div>${line}</div>`
    }
    return html
  }
  return `<div style="font-family: monospace; white-space: pre">${level(0)}</div>`
}

/** A text as preformatted HTML. */
export const preformattedHtml = (text: string): string => `<pre>${escapeHtml(text)}</pre>`
