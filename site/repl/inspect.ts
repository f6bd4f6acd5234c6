// The text of a value as the console of Node prints it.

const inspectCustom = Symbol.for('nodejs.util.inspect.custom')
const WIDTH = 72
const DEPTH = 2
const ITEMS = 100

interface Inspectable {
  [inspectCustom](depth: number, options: { readonly depth: number }): unknown
}
export const isInspectable = (value: unknown): value is Inspectable =>
  typeof value === 'object' && value !== null && typeof (value as Partial<Inspectable>)[inspectCustom] === 'function'

const quoted = (text: string) =>
  text.includes("'") && !text.includes('"')
    ? `"${text}"`
    : `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'").replaceAll('\n', '\\n')}'`
const keyText = (key: string | symbol) =>
  typeof key === 'symbol' ? `[${String(key)}]` : /^[A-Za-z_$][\w$]*$/.test(key) ? key : quoted(key)
const numberText = (value: number) => (Object.is(value, -0) ? '-0' : String(value))

/** Entries in one line where they fit, else one a line; many numbers in aligned columns. */
function enclosed(open: string, close: string, entries: readonly string[], isNumbers: boolean): string {
  if (entries.length === 0) return `${open}${close}`
  const start = open.length > 1 ? `${open}` : open
  if (entries.length > 6 && isNumbers) {
    const width = Math.max(...entries.map(entry => entry.length)) + 2
    const columns = Math.max(
      1,
      Math.min(16, Math.floor(WIDTH / width), Math.round(Math.sqrt(2.5 * width * entries.length) / width)),
    )
    const rows: string[] = []
    for (let i = 0; i < entries.length; i += columns)
      rows.push(
        entries
          .slice(i, i + columns)
          .map((entry, j) => (i + j < entries.length - 1 ? `${entry},` : entry).padStart(width - 1))
          .join(' '),
      )
    return `${start}\n  ${rows.join('\n  ')}\n${close}`
  }
  const line = `${start} ${entries.join(', ')} ${close}`
  if (line.length <= WIDTH && !line.includes('\n') && entries.length <= 6 + 10) return line
  return `${start}\n${entries.map(entry => entry.replaceAll(/^/gm, '  ')).join(',\n')}\n${close}`
}

const more = (count: number) => (count > ITEMS ? [`... ${count - ITEMS} more item${count > ITEMS + 1 ? 's' : ''}`] : [])

function object(value: object, depth: number, seen: readonly object[]): string {
  if (seen.includes(value)) return '[Circular *1]'
  const inside = (child: unknown) => inspect(child, depth + 1, [...seen, value])
  const name = value.constructor?.name ?? '[Object: null prototype]'
  if (value instanceof Error)
    return value.stack?.includes(value.message) ? `${value.name}: ${value.message}` : String(value)
  if (value instanceof Date) return value.toISOString()
  if (value instanceof RegExp) return String(value)
  if (value instanceof Promise) return 'Promise { <pending> }'
  if (depth > DEPTH) return Array.isArray(value) ? '[Array]' : `[${name}]`
  if (Array.isArray(value)) {
    const shown = value.slice(0, ITEMS)
    return enclosed(
      name === 'Array' ? '[' : `${name}(${value.length}) [`,
      ']',
      [...shown.map(inside), ...more(value.length)],
      shown.every(each => typeof each === 'number' || typeof each === 'bigint'),
    )
  }
  if (ArrayBuffer.isView(value) && 'length' in value) {
    const all = value as unknown as { readonly length: number } & Iterable<number>
    const shown = Array.from(all).slice(0, ITEMS)
    return enclosed(`${name}(${all.length}) [`, ']', [...shown.map(inside), ...more(all.length)], true)
  }
  if (value instanceof Map)
    return enclosed(
      `${name}(${value.size}) {`,
      '}',
      Array.from(value, ([k, v]) => `${inside(k)} => ${inside(v)}`),
      false,
    )
  if (value instanceof Set) return enclosed(`${name}(${value.size}) {`, '}', Array.from(value, inside), false)
  const fields = Reflect.ownKeys(value).flatMap(key => {
    const field = Object.getOwnPropertyDescriptor(value, key)
    if (!field?.enumerable) return []
    return [`${keyText(key)}: ${field.get ? '[Getter]' : inside(field.value)}`]
  })
  return enclosed(name === 'Object' ? '{' : `${name} {`, '}', fields, false)
}

/** The text of a value inside another one, or alone. */
export function inspect(value: unknown, depth = 0, seen: readonly object[] = []): string {
  if (isInspectable(value)) {
    const shown = value[inspectCustom](DEPTH - depth, { depth: DEPTH })
    return typeof shown === 'string' ? shown : inspect(shown, depth, seen)
  }
  switch (typeof value) {
    case 'string':
      return quoted(value)
    case 'number':
      return numberText(value)
    case 'bigint':
      return `${value}n`
    case 'function':
      return /^class\b/.test(Function.prototype.toString.call(value))
        ? `[class ${value.name || '(anonymous)'}]`
        : `[Function: ${value.name || '(anonymous)'}]`
    case 'object':
      return value === null ? 'null' : object(value, depth, seen)
    default:
      return String(value)
  }
}

/** The text of an argument of console.log. */
export const printed = (value: unknown): string => (typeof value === 'string' ? value : inspect(value))

/** The arguments of console.log with those that its first argument asks for with %s, %d, %i, %f, %j, %o and %O put in. */
export function formatted(values: readonly unknown[]): readonly unknown[] {
  const [first, ...rest] = values
  if (typeof first !== 'string' || rest.length === 0 || !first.includes('%')) return values
  const text = first.replaceAll(/%([sdifjoO%])/g, (whole, kind: string) => {
    if (kind === '%') return '%'
    if (rest.length === 0) return whole
    const value = rest.shift()
    if (kind === 's') return printed(value)
    if (kind === 'j') return JSON.stringify(value)
    if (kind === 'o' || kind === 'O') return inspect(value)
    const number = typeof value === 'bigint' ? Number(value) : Number(value)
    return numberText(kind === 'i' ? Math.trunc(number) : number)
  })
  return [text, ...rest]
}
