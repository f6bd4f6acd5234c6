// Prints a tape as a list and as a Mermaid flowchart.

import { briefValues, indented } from '../tensor/display.ts'
import { show, Tensor } from '../tensor/index.ts'
import { type Settings, settle } from '../tensor/options.ts'

/** The parts of a tape that are printed. */
interface Printable {
  readonly entries: readonly { readonly name: string; readonly args: readonly unknown[]; readonly result: Tensor }[]
  readonly watched: ReadonlyMap<Tensor, string>
}

/** Numbers for the tensors, in the order of the tape. */
function number(tape: Printable): Map<unknown, number> {
  const numbers = new Map<unknown, number>()
  for (const x of tape.watched.keys()) numbers.set(x, numbers.size)
  for (const { result } of tape.entries) numbers.set(result, numbers.size)
  return numbers
}

function showArgument(arg: unknown, numbers: Map<unknown, number>): string {
  const n = numbers.get(arg)
  if (n !== undefined) return `%${n}`
  if (arg instanceof Tensor) return `constant ${show(arg.shape)}`
  if (Array.isArray(arg)) return `[${arg.map(item => showArgument(item, numbers)).join(', ')}]`
  if (typeof arg === 'object' && arg !== null) {
    const fields = Object.entries(arg).filter(([, value]) => value !== undefined)
    return fields.map(([key, value]) => `${key}=${showArgument(value, numbers)}`).join(', ')
  }
  return String(arg)
}

const isReadable = (x: Tensor): boolean => x.storage.device.readSync !== undefined

/** A few values of a tensor, or the reason why they cannot be shown. */
function showValues(x: Tensor): string {
  if (x.storage.isFreed) return 'freed'
  return isReadable(x) ? briefValues(x) : `on ${x.device}`
}

/** How a tape is printed. */
export interface TapeTextOptions {
  /** whether to print a few values of every tensor that can be read synchronously; default false */
  readonly values?: boolean
}
const tapeTextOptions = { values: false } satisfies Settings<TapeTextOptions>

/**
 * The tape with one operation per line:
 *
 *     %0  x                    [2, 3]
 *     %1  w                    [4, 3]
 *     %2  transpose(%1)        [3, 4]
 *     %3  matmul(%0, %2)       [2, 4]
 */
export function toText(tape: Printable, options?: TapeTextOptions): string {
  const { values } = settle('tape.toString(options)', options, tapeTextOptions)
  const numbers = number(tape)
  const rows = [
    ...[...tape.watched].map(([x, name]) => ({ x, text: name })),
    ...tape.entries.map(({ name, args, result }) => ({
      x: result,
      text: `${name}(${args
        .filter(arg => arg !== undefined)
        .map(arg => showArgument(arg, numbers))
        .filter(text => text !== '')
        .join(', ')})`,
    })),
  ].map(({ x, text }) => [
    `%${numbers.get(x)}`,
    text,
    `${show(x.shape)}${x.dtype === 'float32' ? '' : ` ${x.dtype}`}`,
    values ? showValues(x) : '',
  ])
  const isWaiting = values && tape.entries.some(({ result }) => !isReadable(result))
  const widths = [0, 1, 2].map(column => Math.max(0, ...rows.map(row => row[column].length)))
  const lines = rows.map(([n, text, shape, shown]) =>
    `${n.padStart(widths[0])}  ${text.padEnd(widths[1])}  ${shape.padEnd(widths[2])}  ${shown}`.trimEnd(),
  )
  if (isWaiting)
    lines.push(
      'values on this device are read asynchronously: await tape.entries[0].result.text() gives those of one tensor',
    )
  return lines.join('\n')
}

/** A tape in one line: its number of operations. */
export const inOneLine = ({ entries: { length } }: Printable): string =>
  `Tape of ${length} operation${length === 1 ? '' : 's'}`

/** The same, followed by the list of operations. */
export const inFull = (tape: Printable): string => `${inOneLine(tape)}\n${indented(toText(tape))}`.trimEnd()

/** A flowchart: rounded boxes are watched tensors, other boxes are operations with the shape of their result. */
export function toMermaid(tape: Printable): string {
  const numbers = number(tape)
  const quote = (text: string) => text.replaceAll('"', '#quot;')
  const lines = ['flowchart TD']
  for (const [x, name] of tape.watched) lines.push(`  t${numbers.get(x)}(["${quote(name)} ${show(x.shape)}"])`)
  for (const { name, args, result } of tape.entries) {
    const to = `t${numbers.get(result)}`
    lines.push(`  ${to}["${quote(name)} ${show(result.shape)}"]`)
    for (const arg of args) if (numbers.has(arg)) lines.push(`  t${numbers.get(arg)} --> ${to}`)
  }
  return lines.join('\n')
}
