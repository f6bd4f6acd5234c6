// HTML that a program made, with only the elements and attributes that tables and outlines have: a program cannot reach the page.

const elements = new Set([
  ...['figure', 'figcaption', 'table', 'thead', 'tbody', 'tr', 'th', 'td'],
  ...['details', 'summary', 'div', 'pre', 'span', 'code', 'br'],
])
const attributes = new Set(['colspan', 'open'])

/** A copy of a node of an inert document, for the page. */
function copied(node: Node): Node | undefined {
  if (node.nodeType === Node.TEXT_NODE) return document.createTextNode(node.textContent ?? '')
  if (!(node instanceof Element)) return undefined
  const name = node.localName
  if (!elements.has(name)) return undefined
  const copy = document.createElement(name)
  for (const { name, value } of node.attributes) if (attributes.has(name)) copy.setAttribute(name, value)
  for (const child of node.childNodes) {
    const inside = copied(child)
    if (inside) copy.append(inside)
  }
  return copy
}

/** The parts of a text of HTML that may be shown. */
export function safe(html: string): DocumentFragment {
  const { body } = new DOMParser().parseFromString(html, 'text/html')
  const fragment = document.createDocumentFragment()
  for (const child of body.childNodes) {
    const copy = copied(child)
    if (copy) fragment.append(copy)
  }
  return fragment
}
