// From a program of TypeScript to a module that a worker can import. Lines stay where they are, so that the line of an error is
// the line of the source. Imports lead to modules that the worker makes, and the value of the last expression is handed over.

import { type Node, type Program, parse } from 'acorn'
import { transform } from 'sucrase'

/** A mistake that is found before the program runs. */
export class ProgramError extends Error {
  override readonly name = 'SyntaxError'
  readonly line: number
  readonly file?: string

  constructor(message: string, line: number, file?: string) {
    super(message)
    this.line = line
    this.file = file
  }
}

/** A part of a text. */
interface Place {
  readonly start: number
  readonly end: number
}

/** An import of a program, at the place where the name of the module is written, with its quotation marks. */
export interface Import extends Place {
  readonly module: string
  /** the names that it takes, where they are listed */
  readonly names: readonly string[]
  readonly line: number
  /** whether it is done when the program comes to it: `import('…')` */
  readonly isLate: boolean
}

/** A program without types. */
export interface Stripped {
  readonly code: string
  readonly imports: readonly Import[]
  /** where `import.meta.url` is written */
  readonly urls: readonly Place[]
}

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error))

function withoutTypes(source: string): string {
  try {
    return transform(source, { transforms: ['typescript'], disableESTransforms: true }).code
  } catch (error) {
    const message = messageOf(error)
    const [, line] = /\((\d+):\d+\)$/.exec(message) ?? []
    throw new ProgramError(message.replace(/^Error transforming [^:]*: |\s*\(\d+:\d+\)$/g, ''), Number(line ?? 1))
  }
}

function parsed(code: string): Program {
  try {
    return parse(code, { ecmaVersion: 'latest', sourceType: 'module', locations: true })
  } catch (error) {
    const { loc } = error as { readonly loc?: { readonly line: number } }
    throw new ProgramError(messageOf(error).replace(/\s*\(\d+:\d+\)$/, ''), loc?.line ?? 1)
  }
}

const isNode = (value: unknown): value is Node => typeof value === 'object' && value !== null && 'type' in value

/** Calls `visit` with a node and all nodes in it. */
function walk(node: Node, visit: (node: Node) => void): void {
  visit(node)
  for (const value of Object.values(node))
    for (const child of Array.isArray(value) ? value : [value]) if (isNode(child)) walk(child, visit)
}

interface Importing extends Node {
  readonly source: (Node & { readonly value?: unknown }) | null
  readonly specifiers?: readonly { readonly imported?: { readonly name?: string; readonly value?: string } }[]
}

const importing = new Set(['ImportDeclaration', 'ExportNamedDeclaration', 'ExportAllDeclaration', 'ImportExpression'])

/** Name of the global function that takes the value of the last expression. */
export const LAST = '__cocagradLast'

/**
 * Removes the types. The last statement of the first `lines` lines, if it is an expression, hands its value to `LAST`.
 * @throws ProgramError for a program that cannot be parsed
 */
export function strip(source: string, lines = Number.POSITIVE_INFINITY): Stripped {
  let code = withoutTypes(source)
  const last = parsed(code).body.findLast(({ loc }) => loc !== undefined && loc !== null && loc.start.line <= lines)
  if (last?.type === 'ExpressionStatement') {
    const { start, end } = last.expression
    code = `${code.slice(0, start)}${LAST}(${code.slice(start, end)})${code.slice(end)}`
  }
  const imports: Import[] = []
  const urls: Place[] = []
  walk(parsed(code), node => {
    const { start, end, type } = node
    if (type === 'MemberExpression' && code.slice(start, end) === 'import.meta.url') urls.push({ start, end })
    if (!importing.has(type)) return
    const { source, specifiers = [], loc } = node as Importing
    if (typeof source?.value !== 'string') return
    const names = specifiers.flatMap(({ imported }) => imported?.name ?? imported?.value ?? [])
    const isLate = type === 'ImportExpression'
    imports.push({
      ...{ module: source.value, names, isLate, line: loc?.start.line ?? 1 },
      ...{ start: source.start, end: source.end },
    })
  })
  return { code, imports, urls }
}

/**
 * The program with the addresses of its modules in place of their names.
 * @param url stands in the place of `import.meta.url`
 */
export function linked({ code, imports, urls }: Stripped, addresses: ReadonlyMap<string, string>, url = ''): string {
  const places = [
    ...imports.map(({ module, start, end }) => ({ start, end, text: addresses.get(module) ?? module })),
    ...urls.map(place => ({ ...place, text: url })),
  ]
  let whole = code
  for (const { start, end, text } of places.sort((a, b) => b.start - a.start))
    whole = whole.slice(0, start) + JSON.stringify(text) + whole.slice(end)
  return whole
}
