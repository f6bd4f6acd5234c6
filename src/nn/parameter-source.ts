// The source of parameters for functions that differentiate or move them: a module, or a list of parameters with their
// names; and paths that match names.

import { given, isPlain } from '../tensor/given.ts'
import { ArgumentError, Tensor } from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'
import { Module, nameOf } from './module.ts'
import { Parameter } from './parameter.ts'

/** A module, or parameters with their names. */
export type ParameterSource = Module | Iterable<readonly [name: string, parameter: Parameter]>

export const isParameterSource = new is.Kind<ParameterSource>(
  'a module, or parameters with their names',
  x => x instanceof Module || (typeof x === 'object' && x !== null && Symbol.iterator in x),
  ([value]) => (value instanceof Tensor || isPlain(value) ? { text: 'module', values: 1 } : undefined),
)

/** Its name in a message. */
export const titleOf = (source: ParameterSource): string =>
  source instanceof Module ? nameOf(source) : 'these parameters'

/**
 * @param of the function or class that needs the parameters, for messages
 * @throws ArgumentError for a list that contains anything but pairs of a name and a parameter
 */
export function* namedIn(
  of: string,
  source: ParameterSource,
): Generator<readonly [name: string, parameter: Parameter]> {
  for (const item of source instanceof Module ? source.namedParameters() : (source as Iterable<unknown>)) {
    const [name, parameter] = Array.isArray(item) ? item : []
    if (typeof name === 'string' && parameter instanceof Parameter) yield [name, parameter]
    else {
      const write = /^[A-Z]/.test(of) ? `new ${of}` : of
      const advice =
        parameter instanceof Tensor
          ? 'only a Parameter has a value that changes: write new Parameter(x)'
          : `parameters must have names: write ${write}(module) or ${write}(module.namedParameters())`
      throw new ArgumentError(
        `${of}: parameters must be pairs of a name and a parameter, not ${given(item)}; ${advice}`,
        of,
        'parameters',
        item,
      )
    }
  }
}

/**
 * Whether the name of a parameter is under a path: a parameter, a module with everything in it, or an inclusive range of a list:
 * `logScale`, `encoder`, `unimodal.blocks.0-5`.
 */
export function matchesPath(name: string, path: string): boolean {
  const [names, parts] = [name.split('.'), path.split('.')]
  return parts.length <= names.length && parts.every((part, i) => isPart(names[i], part))
}

function isPart(name: string, part: string): boolean {
  const range = /^(\d+)-(\d+)$/.exec(part)
  if (!range) return name === part
  return /^\d+$/.test(name) && Number(range[1]) <= Number(name) && Number(name) <= Number(range[2])
}
