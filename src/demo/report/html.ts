// HTML templates: text that is put into a template is escaped, markup made by another template is not. So no caption,
// file name or device name can break the page.

/** Markup that is safe to insert into a page. */
export class Html {
  readonly markup: string

  constructor(markup: string) {
    this.markup = markup
  }

  toString(): string {
    return this.markup
  }
}

type Part = Html | string | number | undefined | readonly Part[]

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }

function render(part: Part): string {
  if (part === undefined) return ''
  if (part instanceof Html) return part.markup
  if (typeof part === 'string') return part.replace(/[&<>"']/g, character => ENTITIES[character])
  if (typeof part === 'number') return String(part)
  return part.map(render).join('')
}

/** A template of HTML or SVG. Lists are joined, undefined becomes the empty string. */
export const html = (strings: TemplateStringsArray, ...parts: readonly Part[]): Html =>
  new Html(strings.reduce((text, string, i) => text + render(parts[i - 1]) + string))
