// Programs in Markdown get a button that runs them; see repl/programs.ts for the blocks.

import type { MarkdownRenderer } from 'vitepress'
import { kindOf, needsNode } from '../repl/programs.ts'

const escaped = (text: string) =>
  text.replaceAll('&', '&amp;').replaceAll('"', '&quot;').replaceAll('<', '&lt;').replaceAll('\n', '&#10;')

/** A heading without a text, in the corner of a table, is no heading. */
export function corners({ renderer }: MarkdownRenderer): void {
  const of =
    (at: 1 | -1, tag: string): NonNullable<typeof renderer.rules.th_open> =>
    (tokens, index, options, _, self) => {
      if (tokens[index + at].content === '') tokens[index].tag = tag
      return self.renderToken(tokens, index, options)
    }
  renderer.rules.th_open = of(1, 'td')
  renderer.rules.th_close = of(-1, 'td')
}

export function programs(md: MarkdownRenderer): void {
  const { fence } = md.renderer.rules
  if (!fence) throw new Error('there is no rule for blocks of code')
  md.renderer.rules.fence = (tokens, index, ...rest) => {
    const kinds = tokens.map(({ type, info }) => (type === 'fence' ? kindOf(info) : undefined))
    const kind = kinds[index]
    if (kind === 'check') return ''
    // the words after the language are ours
    if (kind === 'task' || kind === 'solution') tokens[index].info = 'ts'
    const html = fence(tokens, index, ...rest)
    if (kind === undefined || kind === 'quotation') return html
    if (kind === 'program') return `<Program${needsNode(tokens[index].content) ? ' node' : ''}>${html}</Program>`
    const at = kind === 'task' ? kinds.indexOf('check', index) : kinds.lastIndexOf('check', index)
    if (at < 0) throw new Error(`a ${kind} has no check: add a block \`\`\`ts check`)
    const program = `<Program check="${escaped(tokens[at].content)}">${html}</Program>`
    return kind === 'task'
      ? program
      : `<details class="details custom-block"><summary>A solution</summary>${program}</details>`
  }
}
