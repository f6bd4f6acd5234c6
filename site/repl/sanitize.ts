// HTML and SVG that a program made, with only the elements and attributes that tables, outlines, pictures and plots have: a program
// cannot reach the page.

const HTML = 'http://www.w3.org/1999/xhtml'
const SVG = 'http://www.w3.org/2000/svg'

const elements: Readonly<Record<string, ReadonlySet<string>>> = {
  [HTML]: new Set([
    ...['figure', 'figcaption', 'table', 'thead', 'tbody', 'tr', 'th', 'td'],
    ...['details', 'summary', 'div', 'pre', 'span', 'code', 'br', 'img', 'progress'],
  ]),
  [SVG]: new Set(['svg', 'g', 'line', 'path', 'polyline', 'circle', 'text', 'title']),
}
const numbers = ['x', 'y', 'x1', 'x2', 'y1', 'y2', 'cx', 'cy', 'r', 'd', 'points', 'viewBox', 'width', 'height']
const attributes = new Set([
  ...['colspan', 'open', 'alt', 'value', 'max', 'role', 'aria-label', ...numbers],
  ...['fill', 'stroke', 'fill-opacity', 'stroke-opacity', 'stroke-width', 'stroke-linejoin'],
  ...['text-anchor', 'font-size', 'font-weight', 'font-family'],
])
/** The classes that the page has colours for. */
const classes = /^(?:cocagrad(?:-\w+)?|series-\d|grid|label|arc|watched|operation)$/

function isAllowed(name: string, value: string): boolean {
  if (name === 'class') return classes.test(value)
  // nothing is loaded from elsewhere
  if (name === 'src') return /^data:image\/png;base64,[\w+/=]*$/.test(value)
  return attributes.has(name) && !/url\s*\(/i.test(value)
}

/** A copy of a node of an inert document, for the page. */
function copied(node: Node): Node | undefined {
  if (node.nodeType === Node.TEXT_NODE) return document.createTextNode(node.textContent ?? '')
  if (!(node instanceof Element)) return undefined
  const { localName, namespaceURI } = node
  if (!elements[namespaceURI ?? '']?.has(localName)) return undefined
  const copy = document.createElementNS(namespaceURI, localName)
  for (const { name, value } of node.attributes) if (isAllowed(name, value)) copy.setAttribute(name, value)
  if (localName === 'img' && !copy.hasAttribute('src')) return undefined
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
