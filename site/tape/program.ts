// The visitor's code as a program: it calls `walk(inputs, f)`. Mistakes are told with their line.

import * as cocagrad from 'cocagrad'

/** Named inputs and a function of them. */
export interface Program {
  readonly names: readonly string[]
  readonly inputs: readonly cocagrad.Tensor[]
  readonly f: (...inputs: cocagrad.Tensor[]) => cocagrad.Tensor
}

/** A mistake in the visitor's code. */
export class CodeError extends Error {
  override readonly name = 'CodeError'
  /** counted from 1 */
  readonly line?: number

  constructor(message: string, line?: number) {
    super(message)
    this.line = line
  }
}

/** The name that the code has in a stack. */
const FILE = 'visitors-function.js'
/** Lines that `new Function` puts before its body. */
const HEAD = 2

/** An error that was thrown while the code ran, with the line of the code that led to it. */
export function located(error: unknown): CodeError {
  if (error instanceof CodeError) return error
  const { name, message, stack } =
    error instanceof Error ? error : { name: '', message: String(error), stack: undefined }
  const found = new RegExp(`${FILE.replace('.', '\\.')}:(\\d+)`).exec(stack ?? '')
  const isCommon = name === '' || name === 'Error'
  return new CodeError(isCommon ? message : `${name}: ${message}`, found ? Number(found[1]) - HEAD : undefined)
}

/** JavaScript of TypeScript, line by line. Throws CodeError for a mistake of syntax. */
async function toJavaScript(code: string): Promise<string> {
  const [{ transform }, { parse }] = await Promise.all([import('sucrase'), import('acorn')])
  try {
    const { code: script } = transform(code, { transforms: ['typescript'], disableESTransforms: true })
    parse(script, { ecmaVersion: 'latest', sourceType: 'script', allowReturnOutsideFunction: true })
    return script
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
    const { message } = error
    const line = /\((\d+):\d+\)/.exec(message)?.[1]
    const says = message.replace(/^Error transforming [^:]*: /, '').replace(/ ?\(\d+:\d+\)/, '')
    throw new CodeError(`This is no JavaScript: ${says}`, line === undefined ? undefined : Number(line))
  }
}

const isName = (name: string) => /^[A-Za-z_$][\w$]*$/.test(name)

/** Runs the code, which gives the inputs and the function; the function itself does not run. */
export async function open(code: string): Promise<Program> {
  const script = await toJavaScript(code)
  let found: Program | undefined
  const walk = (inputs: unknown, f: unknown): void => {
    if (found) throw new CodeError('walk is called twice: one function is drawn at a time')
    const entries = typeof inputs === 'object' && inputs !== null ? Object.entries(inputs) : []
    if (entries.length === 0 || entries.some(([, x]) => !(x instanceof cocagrad.Tensor)))
      throw new TypeError('walk(inputs, f): inputs must be named tensors, as in { x: tensor([1, 2, 3]) }')
    if (typeof f !== 'function')
      throw new TypeError('walk(inputs, f): f must be a function of the inputs, as in ({ x }) => x.square().sum()')
    const names = entries.map(([name]) => name)
    found = {
      names,
      inputs: entries.map(([, x]) => x as cocagrad.Tensor),
      f: (...xs) => f(Object.fromEntries(names.map((name, i) => [name, xs[i]]))) as cocagrad.Tensor,
    }
  }
  const scope = Object.entries({ ...cocagrad, walk }).filter(([name]) => isName(name))
  cocagrad.seed(0)
  try {
    const run = new Function(...scope.map(([name]) => name), `'use strict'; {${script}\n}\n//# sourceURL=${FILE}`)
    run(...scope.map(([, value]) => value))
  } catch (error) {
    throw located(error)
  }
  if (!found)
    throw new CodeError(
      'The code calls no walk(inputs, f): end it as in walk({ x: tensor([1, 2]) }, ({ x }) => x.square().sum())',
    )
  return found
}
