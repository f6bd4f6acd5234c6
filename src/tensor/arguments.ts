// Checks the arguments of calls: each function declares the kinds of its arguments once, and any other argument is an error
// that says what to write.

import { given, isPlain, isPromise } from './given.ts'
import { type Advice, anything, type Kind, options, Rest } from './kinds.ts'
import { nearest } from './nearest.ts'
import { AxisError, IndexError } from './shape.ts'

/** An invalid argument: of another kind, missing, or one too many. */
export class ArgumentError extends TypeError {
  override readonly name = 'ArgumentError'
  /** the function that was called */
  readonly function: string
  /** name of the argument; empty if there is one too many */
  readonly argument: string
  /** the argument that was given */
  readonly value: unknown

  constructor(message: string, of: string, argument: string, value: unknown) {
    super(message)
    this.function = of
    this.argument = argument
    this.value = value
  }
}

/** Whether functions of an object are named with the object: those of a class, and those of these objects. */
const isNamespace = (object: string): boolean => /^[A-Z]/.test(object) || ['device', 'init'].includes(object)

/** The parts of a call as it is written: `x.sum(options)`, `linear(x, weight, bias)`, `new Linear(inputs, outputs, options)`. */
export interface CallForm {
  /** `sum`, `Linear`, `device.use` */
  readonly name: string
  /** names of the parameters; the object of a method is the first */
  readonly parameters: readonly string[]
  readonly isMethod: boolean
  /** the call with other texts in place of its parameters */
  write(texts: readonly string[]): string
}

export function callForm(call: string): CallForm {
  const [, keyword = '', object = '', name, list] = /^(new )?(?:(\w+)\.)?(\w+)\((.*)\)$/.exec(call)!
  const own = list === '' ? [] : list.replace('...', '').split(', ')
  const isMethod = object !== '' && !isNamespace(object)
  const whole = object && !isMethod ? `${object}.${name}` : name
  return {
    name: whole,
    parameters: isMethod ? [object, ...own] : own,
    isMethod,
    write: texts =>
      isMethod ? `${texts[0]}.${name}(${texts.slice(1).join(', ')})` : `${keyword}${whole}(${texts.join(', ')})`,
  }
}

/** Arguments of a suggested call: numbers and strings as they were given, the others by their names. */
export const writtenArguments = (parameters: readonly string[], args: readonly unknown[]): string[] =>
  parameters.map((parameter, i) => (['number', 'string'].includes(typeof args[i]) ? given(args[i]) : parameter))

/** A call that was made. The object of a method is the first argument, whether it was checked or not. */
interface Made {
  readonly form: CallForm
  readonly kinds: readonly Kind<unknown>[]
  readonly args: readonly unknown[]
}

function made(call: string, kinds: readonly Kind<unknown>[], args: readonly unknown[]): Made {
  const form = callForm(call)
  const isWithout = form.isMethod && form.parameters.length > kinds.length
  return isWithout ? { form, kinds: [anything, ...kinds], args: [undefined, ...args] } : { form, kinds, args }
}

/** The text to write in place of an invalid argument. */
function adviceAt(at: number, { form, kinds, args }: Made): Advice | undefined {
  const value = args[at]
  if (isPromise(value)) return { text: `await ${form.parameters[at]}`, values: 1 }
  if (!isPlain(value)) return kinds[at].advise(args.slice(at))
  // an argument given by name, as in split(x, 2, { axis: 1 }), or options after an argument that was left out
  const [[name, named] = ['', undefined], ...others] = Object.entries(value)
  const place = form.parameters.indexOf(nearest(name, form.parameters.slice(at)) ?? '')
  const isArgument = others.length === 0 && kinds[place]?.fits(named)
  const to = isArgument ? place : kinds[kinds.length - 1] === options ? kinds.length - 1 : at
  if (to === at ? !isArgument : !kinds.slice(at, to).every(kind => kind.fits(undefined)))
    return kinds[at].advise(args.slice(at))
  return { text: `${'undefined, '.repeat(to - at)}${given(isArgument ? named : value)}`, values: 1 }
}

/** The error for the first invalid argument. */
function wrongArgument(call: Made): ArgumentError {
  const { form, kinds, args } = call
  const at = kinds.findIndex((kind, i) => kind !== options && !kind.fits(args[i]))
  const [kind, value] = [kinds[at], args[at]]
  const parameter = form.parameters[Math.min(at, form.parameters.length - 1)]
  const before = writtenArguments(form.parameters.slice(0, at), args)
  const error = (message: string) => new ArgumentError(`${form.name}: ${message}`, form.name, parameter, value)
  if (value === undefined) {
    const missing = form.parameters.slice(at).filter((_, i) => kinds[at + i] && !kinds[at + i].fits(undefined))
    return error(`${parameter} is missing: it must be ${kind.says}; write ${form.write([...before, ...missing])}`)
  }
  const problem = `${parameter} must be ${kind.says}, not ${given(value)}`
  const advice = adviceAt(at, call)
  if (!advice) return error(problem)
  const next = at + advice.values
  // other arguments are invalid too
  if (kinds.some((each, i) => i >= next && args[i] === undefined && !each.fits(undefined)))
    return error(`${problem}; it is called as ${form.write(form.parameters)}`)
  const after = writtenArguments(form.parameters.slice(at + 1), args.slice(next)).filter(
    (_, i) => args[next + i] !== undefined,
  )
  return error(`${problem}; write ${form.write([...before, advice.text, ...after])}`)
}

function excessArguments(call: string, { form, kinds, args }: Made): ArgumentError {
  const extra = args.slice(kinds.length)
  const many = extra.length === 1 ? 'one argument' : `${extra.length} arguments`
  const message = `${form.name}: ${many} too many, ${extra.map(given).join(', ')}; it is called as ${call}`
  return new ArgumentError(message, form.name, '', extra[0])
}

/**
 * Checks that there are no more arguments than kinds, and that each is of its kind. `settle` checks the options.
 * @param call the call as it is written, with the names of all arguments: `new Linear(inputs, outputs, options)`
 * @throws ArgumentError
 */
export function checkArguments(call: string, kinds: readonly Kind<unknown>[], args: readonly unknown[]): void {
  const last = kinds[kinds.length - 1]
  if (last instanceof Rest) {
    const rest = args.slice(kinds.length - 1).map(() => last.one)
    checkArguments(call, [...kinds.slice(0, -1), ...rest], args)
    return
  }
  for (let i = 0; i < kinds.length; i++)
    if (kinds[i] !== options && !kinds[i].fits(args[i])) throw wrongArgument(made(call, kinds, args))
  // `settle` reports any other value in place of options, because it knows what to write
  if (args.length > kinds.length && (last !== options || options.fits(args[kinds.length - 1])))
    throw excessArguments(call, made(call, kinds, args))
}

/**
 * Checks that all values are of a kind.
 * @param what name of a value in the message, before its number: `grad: argument 0 must be …`
 * @throws ArgumentError
 */
export function checkEach(name: string, what: string, kind: Kind<unknown>, values: readonly unknown[]): void {
  const at = values.findIndex(value => !kind.fits(value))
  if (at < 0) return
  const value = values[at]
  const advice = isPromise(value) ? 'await …' : kind.advise([value])?.text
  throw new ArgumentError(
    `${name}: ${what} ${at} must be ${kind.says}, not ${given(value)}${advice ? `; write ${advice}` : ''}`,
    name,
    `${what} ${at}`,
    value,
  )
}

/** One kind for each argument; the last of a list of any length is `is.rest(kind)`. */
type KindsOf<A extends readonly unknown[]> = number extends A['length']
  ? readonly Kind<unknown>[]
  : { readonly [I in keyof Required<A>]: Kind<unknown> }

/**
 * A function that checks its arguments. Errors about axes and indices that are thrown inside of it have its name.
 * @param call the call as it is written: `x.softmax(options)`, `linear(x, weight, bias)`
 */
export function takes<F extends (...args: never[]) => unknown>(call: string, kinds: KindsOf<Parameters<F>>, f: F): F {
  const { name } = callForm(call)
  const checked = (...args: Parameters<F>): unknown => {
    checkArguments(call, kinds, args)
    try {
      return f(...args)
    } catch (error) {
      throw error instanceof IndexError || error instanceof AxisError ? error.of(name) : error
    }
  }
  return Object.defineProperty(Object.assign(checked, f), 'name', { value: name }) as unknown as F
}
