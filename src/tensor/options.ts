// The options of every function, read in one way: a name that is not known is an error and not a default. What is known
// stands in an object of settings beside the type, one entry an option: its default, or the kind of value that it is.

import { callForm } from './arguments.ts'
import { given, isPlain, listed, literal } from './given.ts'
import { Defaulted, Kind, kindOf } from './kinds.ts'
import { nearest } from './nearest.ts'

/** Options that a function does not have, that are missing, of another kind, or no object of options. */
export class OptionsError extends TypeError {
  override readonly name = 'OptionsError'
  /** the function that was called */
  readonly function: string
  /** path of the option; empty where something else stands in the place of the options */
  readonly option: string
  /** the value that was given */
  readonly value: unknown
  /** names of the options that there are */
  readonly known: readonly string[]
  /** what is wrong with the option, without its name and the function: `is missing`, `must be a number, not 'x'` */
  readonly reason: string
  /** the other mistakes in the same options */
  others: readonly OptionsError[] = []

  constructor(message: string, of: string, mistake: Mistake) {
    super(message)
    this.function = of
    this.option = mistake.option
    this.value = mistake.value
    this.known = mistake.known
    this.reason = mistake.reason
  }
}

type Mistake = Pick<OptionsError, 'option' | 'value' | 'known' | 'reason'>

/**
 * One entry for each option of `O`: the default of an optional one, or undefined where it has none and may be anything; else
 * a kind. A kind that does not take undefined is of an option that must be given.
 */
export type Settings<O> = {
  readonly [K in keyof Required<O>]: object extends Pick<O, K> ? O[K] | Kind<O[K]> : Kind<O[K]>
}

/** The options with their defaults. */
export type Settled<O, S> = {
  readonly [K in keyof Required<O>]: K extends keyof S
    ? S[K] extends OptionalGroup<infer T>
      ? Settled<Exclude<O[K], undefined>, T> | undefined
      : S[K] extends Group<infer T>
        ? Settled<Exclude<O[K], undefined>, T>
        : S[K] extends Kind<infer T>
          ? T
          : S[K] extends undefined
            ? O[K]
            : Exclude<O[K], undefined>
    : never
}

type AnySettings = Readonly<Record<string, unknown>>

const kindFor = (setting: unknown): Kind<unknown> => (setting instanceof Kind ? setting : kindOf(setting))

const isRequired = (setting: unknown): boolean =>
  setting instanceof Kind && !(setting instanceof Defaulted) && !setting.fits(undefined)

/** Options within options, such as those of a part of a model. */
export class Group<S extends object> extends Kind<never> {
  readonly isGroup = true
  readonly settings: S
  /** whether their defaults are taken where the whole group is left out */
  readonly hasDefaults: boolean

  /** @param mayBeLeftOut whether the whole group may be, though some of it must be given */
  constructor(settings: S, mayBeLeftOut: boolean) {
    const hasDefaults = !Object.values(settings).some(isRequired)
    super('an object of options', x => isPlain(x) || ((hasDefaults || mayBeLeftOut) && x === undefined))
    this.settings = settings
    this.hasDefaults = hasDefaults && !mayBeLeftOut
  }
}

/** Options within options, with settings of their own; where none of them must be given, neither must they. */
export const group = <S extends object>(settings: S): Group<S> => new Group(settings, false)

class OptionalGroup<S extends object> extends Group<S> {
  readonly isOptional = true
}

/** The same, all of them or none. */
export const optionalGroup = <S extends object>(settings: S): OptionalGroup<S> => new OptionalGroup(settings, true)

/** A list of objects of options, all with the same settings. */
export class GroupList<O> extends Defaulted<readonly O[]> {
  readonly settings: AnySettings

  constructor(settings: AnySettings) {
    const asList = ([value]: readonly unknown[]) => (isPlain(value) ? { text: '[…]', values: 1 } : undefined)
    super(new Kind('a list of objects of options', x => Array.isArray(x) && x.every(isPlain), asList), [])
    this.settings = settings
  }
}

/** A list of objects of options, empty where none is given. */
export const groups = <O extends object>(settings: Settings<O>): GroupList<O> =>
  new GroupList(settings as unknown as AnySettings)

/** Where options are read. */
interface Place {
  readonly call: string
  readonly settings: AnySettings
  /** the groups around, with a point after them */
  readonly path: string
  /** an object of options as a part of those of the call */
  readonly within: (object: string) => string
  /** gets what is wrong */
  readonly mistakes: OptionsError[]
}

function read(place: Place, options: unknown): AnySettings {
  const { settings, mistakes } = place
  if (options !== undefined && !isPlain(options)) {
    mistakes.push(noOptions(place, options))
    return {}
  }
  for (const name of Object.keys(options ?? {}))
    if (!Object.hasOwn(settings, name)) mistakes.push(unknownOption(place, name, options![name]))
  const settled: Record<string, unknown> = {}
  for (const name of Object.keys(settings)) {
    const value = options?.[name]
    settled[name] = value === undefined ? withoutValue(place, name) : withValue(place, name, value)
  }
  return settled
}

function withoutValue(place: Place, name: string): unknown {
  const setting = place.settings[name]
  if (!(setting instanceof Kind)) return setting
  if (setting instanceof Defaulted) return setting.value
  if (!setting.fits(undefined)) place.mistakes.push(wrongValue(place, name, setting, undefined))
  const isGroup = setting instanceof Group && setting.hasDefaults
  return isGroup ? read(inside(place, name, setting.settings as AnySettings), undefined) : undefined
}

function withValue(place: Place, name: string, value: unknown): unknown {
  const setting = place.settings[name]
  const kind = kindFor(setting)
  if (!kind.fits(value)) {
    place.mistakes.push(wrongValue(place, name, kind, value))
    return undefined
  }
  if (setting instanceof Group) return read(inside(place, name, setting.settings as AnySettings), value)
  if (setting instanceof GroupList)
    return (value as readonly unknown[]).map((each, i) => read(inside(place, name, setting.settings, i), each))
  return value
}

/** @param at the place in a list */
const inside = ({ call, path, within, mistakes }: Place, name: string, settings: AnySettings, at?: number): Place => ({
  call,
  settings,
  mistakes,
  path: at === undefined ? `${path}${name}.` : `${path}${name}[${at}].`,
  within: object => within(`{ ${name}: ${at === undefined ? object : `[${object}]`} }`),
})

interface Problem {
  readonly value: unknown
  readonly problem: string
  readonly reason: string
  /** what the object of options should hold */
  readonly entries?: string
}

function errorAt(place: Place, name: string, { value, problem, reason, entries }: Problem): OptionsError {
  const { call, settings, path, within } = place
  const form = callForm(call)
  const [before, last] = [form.parameters.slice(0, -1), form.parameters[form.parameters.length - 1]]
  const write = form.write([...before, last.replace(/\w+/, () => within(`{ ${entries} }`))])
  const message = `${form.name}: ${problem}${entries === undefined ? '' : `; write ${write}`}`
  const option = `${path}${name}`.replace(/\.$/, '')
  return new OptionsError(message, form.name, { option, value, known: Object.keys(settings), reason })
}

function optionsOf({ settings }: Place): string {
  const names = Object.keys(settings)
  if (names.length === 0) return 'there are none'
  return names.length === 1 ? `the only option is ${names[0]}` : `the options are ${listed(names)}`
}

function unknownOption(place: Place, name: string, value: unknown): OptionsError {
  const problem = `there is no option ${place.path}${name}`
  const explanation = explanations[name.toLowerCase().replaceAll('_', '')]
  const reason = 'is no option'
  if (explanation) return errorAt(place, name, { value, problem: `${problem}: ${explanation}`, reason })
  const near = nearest(name, Object.keys(place.settings))
  const kind = near === undefined ? undefined : kindFor(place.settings[near])
  const entry = kind && `${near}: ${kind.fits(value) ? literal(value) : (kind.advise([value])?.text ?? '…')}`
  return errorAt(place, name, {
    value,
    problem: `${problem}, which was ${given(value)}; ${optionsOf(place)}`,
    reason,
    entries: entry,
  })
}

function wrongValue(place: Place, name: string, kind: Kind<unknown>, value: unknown): OptionsError {
  const path = `${place.path}${name}`
  if (value === undefined) {
    const problem = `${path} is missing: it must be ${kind.says}`
    return errorAt(place, name, { value, problem, reason: 'is missing', entries: `${name}: …` })
  }
  const advice = kind.advise([value])
  const reason = `must be ${kind.says}, not ${given(value)}`
  return errorAt(place, name, {
    value,
    problem: `${path} ${reason}`,
    reason,
    entries: advice && `${name}: ${advice.text}`,
  })
}

/** Something else where options stand: perhaps the value of one of them. */
function noOptions(place: Place, value: unknown): OptionsError {
  const names = Object.keys(place.settings)
  const meant = names.find(name => place.settings[name] !== undefined && kindFor(place.settings[name]).fits(value))
  const what = callForm(place.call).parameters.at(-1)?.match(/\w+/)?.[0]
  const reason = `must be an object, not ${given(value)}`
  const problem = `${what} ${reason}; ${optionsOf(place)}`
  return errorAt(place, '', { value, problem, reason, entries: meant && `${meant}: ${literal(value)}` })
}

/** Options of other libraries that are something else here. */
const explanations: Readonly<Record<string, string>> = {
  requiresgrad:
    'gradients are asked for where they are wanted, by grad(f)(x) or new Tape().watch(x); parameters of modules have them',
}

const same = (object: string): string => object

/** What is read where no options are given. */
const defaults = new WeakMap<object, unknown>()

/**
 * The options of a call with their defaults.
 *
 *     const reduceOptions = { axis: is.optional(is.axes), keepDims: false } satisfies Settings<ReduceOptions>
 *     const { axis, keepDims } = settle('x.sum(options)', options, reduceOptions)
 *
 * @param call as people write it, the options last: `x.sum(options)`, `x.slice([range])`
 * @param settings an entry for every option
 * @throws OptionsError for a name that is not among them, for a value of another kind, and for what is no object of options;
 *   the first mistake, with all others as its `others`
 */
export function settle<O extends object, S extends Settings<O>>(
  call: string,
  options: O | undefined,
  settings: S & Settings<O>,
): Settled<O, S> {
  const known = options === undefined ? defaults.get(settings) : undefined
  if (known) return known as Settled<O, S>
  const mistakes: OptionsError[] = []
  const settled = read({ call, settings: settings as AnySettings, path: '', within: same, mistakes }, options)
  const [first, ...others] = mistakes
  if (first) {
    first.others = others
    throw first
  }
  if (options === undefined) defaults.set(settings, Object.freeze(settled))
  return settled as unknown as Settled<O, S>
}
