// What arguments and options may be, in words and as a test: arguments.ts and options.ts check by these.

import { dtypes } from './dtype.ts'
import { given, isPlain, isPromise, listed } from './given.ts'
import { nearest } from './nearest.ts'
import type { Size2d } from './sides.ts'
import { Tensor } from './tensor.ts'

/** What to write in place of values that were given one after the other, and of how many of them. */
export interface Advice {
  readonly text: string
  readonly values: number
}

/** One kind of value. */
export class Kind<T> {
  /** completes "must be …" */
  readonly says: string
  readonly fits: (value: unknown) => value is T
  /** what was meant by values of which the first does not fit; undefined where nobody can tell */
  readonly advise: (values: readonly unknown[]) => Advice | undefined

  constructor(
    says: string,
    fits: (value: unknown) => boolean,
    advise: (values: readonly unknown[]) => Advice | undefined = () => undefined,
  ) {
    this.says = says
    this.fits = fits as (value: unknown) => value is T
    this.advise = advise
  }
}

/** A kind of option that has a value where none is given. */
export class Defaulted<T> extends Kind<T> {
  readonly value: T

  constructor({ says, fits, advise }: Kind<T>, value: T) {
    super(says, fits, advise)
    this.value = value
  }
}

const isInteger = (value: unknown): boolean => Number.isInteger(value)
const isListOf = (value: unknown, fits: (item: unknown) => boolean): boolean =>
  Array.isArray(value) && value.every(fits)
const isNumbers = (value: unknown): boolean => typeof value === 'number' || isListOf(value, isNumbers)

const instead = (value: unknown): Advice => ({ text: given(value), values: 1 })

/** Numbers given one after the other, as a list. */
function asList(values: readonly unknown[]): Advice | undefined {
  const end = values.findIndex(value => typeof value !== 'number')
  const numbers = end < 0 ? values : values.slice(0, end)
  return numbers.length === 0 ? undefined : { text: given(numbers), values: numbers.length }
}

const isNumeral = (value: unknown): boolean =>
  typeof value === 'string' && value.trim() !== '' && !Number.isNaN(Number(value))

/** A list of one number, as the number; of several, as arguments one after the other; digits as the number that they are. */
function asItems([value]: readonly unknown[]): Advice | undefined {
  if (isNumeral(value)) return instead(Number(value))
  return isListOf(value, isInteger) ? { text: (value as number[]).join(', '), values: 1 } : undefined
}

/** Numbers, or a list of them, as a tensor. */
function asTensor([value]: readonly unknown[]): Advice | undefined {
  if (ArrayBuffer.isView(value)) return { text: 'tensor(…)', values: 1 }
  return isNumbers(value) ? { text: `tensor(${given(value)})`, values: 1 } : undefined
}

/** One of several words. */
export const oneOf = <T extends string>(...words: readonly T[]): Kind<T> =>
  new Kind(
    listed(
      words.map(word => `'${word}'`),
      'or',
    ),
    x => words.includes(x as T),
    ([value]) => {
      const meant = nearest(String(value), words)
      return meant === undefined ? undefined : instead(meant)
    },
  )

/** Whatever the function that takes it checks itself. */
export const anything = new Kind<unknown>('anything', () => true)
export const number = new Kind<number>('a number', x => typeof x === 'number', asItems)
export const integer = new Kind<number>('a whole number', isInteger, asItems)
export const size = new Kind<number>('a whole number, 0 or more', x => isInteger(x) && (x as number) >= 0, asItems)
export const count = new Kind<number>('a whole number above 0', x => isInteger(x) && (x as number) > 0, asItems)
export const positive = new Kind<number>(
  'a number above 0',
  x => typeof x === 'number' && x > 0 && x < Infinity,
  asItems,
)
export const flag = new Kind<boolean>('true or false', x => typeof x === 'boolean')
export const text = new Kind<string>('a string', x => typeof x === 'string')
export const list = new Kind<readonly unknown[]>('a list', Array.isArray)
/** A function, of whatever signature the type says. */
export const callback = new Kind<(...args: never[]) => unknown>(
  'a function',
  x => typeof x === 'function',
  ([value]) =>
    value instanceof Tensor || isPlain(value) || isPromise(value) ? { text: '() => …', values: 1 } : undefined,
)

export const tensor = new Kind<Tensor>('a tensor', x => x instanceof Tensor, asTensor)
export const operand = new Kind<Tensor | number>(
  'a tensor or a number',
  x => x instanceof Tensor || typeof x === 'number',
  values => (isNumeral(values[0]) ? instead(Number(values[0])) : asTensor(values)),
)
export const tensors = new Kind<readonly Tensor[]>(
  'a list of tensors',
  x => isListOf(x, item => item instanceof Tensor),
  values => {
    const end = values.findIndex(value => !(value instanceof Tensor))
    const list = (end < 0 ? values : values.slice(0, end)).map((_, i) => (i === 0 ? 'x' : i === 1 ? 'y' : `x${i}`))
    return list.length === 0 ? undefined : { text: `[${list.join(', ')}]`, values: list.length }
  },
)

/** The same, where other tensors follow that do not belong to the list. */
export const tensorList = new Kind<readonly Tensor[]>(tensors.says, tensors.fits, ([value]) =>
  value instanceof Tensor ? { text: '[x]', values: 1 } : undefined,
)

/** Positions on an axis, ids of words or classes: operations check that they are int32. */
export const indices = new Kind<Tensor>(
  'an int32 tensor',
  x => x instanceof Tensor,
  ([value]) => (isNumbers(value) ? { text: `tensor(${given(value)}, { dtype: 'int32' })`, values: 1 } : undefined),
)

export const dtype = oneOf(...dtypes)

export const shape = new Kind<readonly number[]>(
  'a list of sizes such as [2, 3]',
  x => isListOf(x, item => typeof item === 'number'),
  values => (values[0] instanceof Tensor ? { text: `[${values[0].shape.join(', ')}]`, values: 1 } : asList(values)),
)
export const axes = new Kind<number | readonly number[]>(
  'an axis or a list of axes',
  x => isInteger(x) || isListOf(x, isInteger),
)
export const order = new Kind<readonly number[]>('a list of axes such as [1, 0]', x => isListOf(x, isInteger), asList)

/** A number for all spatial axes, or a list with one for each. */
export const perAxis = ({ says, fits }: Kind<number>): Kind<number | readonly number[]> =>
  new Kind(`${says}, or a list with one for each spatial axis`, x => fits(x) || isListOf(x, fits))

/** The size of an image or of a patch. */
export const size2d = new Kind<Size2d>(
  'a whole number above 0, or [height, width]',
  x => count.fits(x) || (Array.isArray(x) && x.length === 2 && x.every(side => count.fits(side))),
  ([value]) => (isNumeral(value) || (Array.isArray(value) && value.length === 1) ? instead(Number(value)) : undefined),
)

/** What stands around the input of a convolution. */
export const convolutionPadding = new Kind<number | readonly number[] | 'same' | 'valid'>(
  `${perAxis(size).says}, 'same' or 'valid'`,
  x => perAxis(size).fits(x) || x === 'same' || x === 'valid',
  ([word]) => (typeof word === 'string' ? oneOf('same', 'valid').advise([word]) : undefined),
)

/** An object literal of options; `settle` checks what is in it. */
export const options = new Kind<object | undefined>('an object of options', x => x === undefined || isPlain(x))

/** All arguments from one place on: none, or any number of one kind. */
export class Rest extends Kind<unknown> {
  /** each of them */
  readonly one: Kind<unknown>

  constructor({ says, fits, advise }: Kind<unknown>) {
    super(says, () => true)
    this.one = new Kind(says, fits, values =>
      isListOf(values[0], fits) ? { text: '...xs', values: 1 } : advise(values),
    )
  }
}
export const rest = (each: Kind<unknown>): Rest => new Rest(each)

/** The same, or nothing. */
export const optional = <T>({ says, fits, advise }: Kind<T>): Kind<T | undefined> =>
  new Kind(says, value => value === undefined || fits(value), advise)

/** The same, with a value for an option that is not given. */
export const byDefault = <T>(value: T, kind: Kind<T>): Defaulted<T> => new Defaulted(kind, value)

/** One of several words, the first where none is given. */
export const choice = <T extends string>(first: T, ...others: readonly T[]): Defaulted<T> =>
  byDefault(first, oneOf(first, ...others))

/** An object of a class. */
export const instance = <T>(says: string, type: abstract new (...args: never[]) => T): Kind<T> =>
  new Kind(says, x => x instanceof type)

/** What a default value says that an option is. */
export function kindOf(value: unknown): Kind<unknown> {
  switch (typeof value) {
    case 'boolean':
      return flag
    case 'number':
      return number
    case 'string':
      return text
    case 'function':
      return callback
    default:
      return Array.isArray(value) ? list : anything
  }
}
