// Reports a property that fails as a program: TypeScript that fails with the smallest input that was found.

import fc from 'fast-check'
import type { CheckedFunction, Fused } from '../autograd/index.ts'
import { type DeviceName, device, type Tensor } from '../tensor/index.ts'
import { readable } from './arbitraries/readable.ts'
import { ArgumentsError, replaceTensors, tensorsIn } from './arguments.ts'
import { GradientAssertionError } from './exactly.ts'
import { sourceOf } from './source-text.ts'

/** The source that calls an operation in a printed program. */
export interface SourceCall {
  /** an expression for it */
  readonly expression: string
  /** first lines of the program */
  readonly imports: readonly string[]
}

/** A check of this package, which the program calls with a function, its inputs, and options. */
export interface Check {
  readonly name: string
  /** source of the options in TypeScript */
  readonly options?: string
  /** a device that the program opens first */
  readonly opens?: DeviceName
  run(f: CheckedFunction, inputs: readonly Tensor[]): void | Promise<void>
}

/** A check of an operation against its definition: called with both. */
export interface DefinitionCheck extends Pick<Check, 'name' | 'options'> {
  runBoth(f: CheckedFunction, definition: CheckedFunction, inputs: readonly Tensor[]): void
}

export type Operation<A extends readonly unknown[]> = ((...args: A) => Tensor | readonly Tensor[]) & Partial<Fused<A>>

/** A call as a function of the tensors among its arguments. */
const ofTensors =
  <A extends readonly unknown[]>(op: Operation<A>, args: Readonly<A>): CheckedFunction =>
  (...xs) => {
    let next = 0
    return op(...(replaceTensors(args, () => xs[next++]) as A))
  }

const letters = ['x', 'y', 'z']
const nameOf = (n: number, count: number) => (count <= letters.length ? letters[n] : `x${n}`)

/** The program that runs a check on one call. */
export function programOf(
  { expression, imports }: SourceCall,
  check: Check | DefinitionCheck,
  args: readonly unknown[],
): string {
  const tensors = tensorsIn(args)
  const names = tensors.map((_, n) => nameOf(n, tensors.length))
  let next = 0
  const list = args.map(arg => sourceOf(arg, () => names[next++]))
  const ofNames = (op: string) =>
    list.join() === names.join() ? op : `(${names.join(', ')}) => ${op}(${list.join(', ')})`
  const parts = [
    ofNames(expression),
    ...('runBoth' in check ? [ofNames(`${expression}.definition`)] : []),
    `[${tensors.map(x => sourceOf(x)).join(', ')}]`,
    ...(check.options ? [check.options] : []),
  ]
  const open = 'opens' in check && check.opens ? opening(check.opens) : []
  return [
    `import { ${open.length > 0 ? 'device, ' : ''}tensor } from 'cocagrad'`,
    `import { ${check.name} } from 'cocagrad/testing'`,
    ...imports,
    '',
    ...open,
    `await ${check.name}(${parts.join(', ')})`,
  ].join('\n')
}

/** The line that opens a device with the backend that is open here; none for a device that opens automatically. */
function opening(name: DeviceName): string[] {
  const on = device.get(name)
  return 'backend' in on ? [`await device.open(${sourceOf(name)}, ${sourceOf({ backend: on.backend })})`] : []
}

/** Options of sampling, as in fast-check. */
export interface Samples {
  /** number of samples; default that of fast-check */
  readonly numRuns?: number
  /** draws the same samples again */
  readonly seed?: number
  /** path of one sample, as a failed check prints it */
  readonly path?: string
}

/**
 * Runs a check on examples, then on samples of arguments.
 * @throws GradientAssertionError with the failure, a program that reproduces it, seed and path
 */
export async function checkSamples<A extends readonly unknown[]>(
  op: Operation<A>,
  call: SourceCall,
  check: Check | DefinitionCheck,
  samples: fc.Arbitrary<Readonly<A>>,
  parameters: Samples & { readonly examples?: readonly Readonly<A>[] },
): Promise<void> {
  const property = fc.asyncProperty(readable(samples), async args => {
    const f = ofTensors(op, args)
    const inputs = tensorsIn(args)
    if ('run' in check) await check.run(f, inputs)
    else if (op.definition) check.runBoth(f, ofTensors(op.definition, args), inputs)
  })
  const examples = parameters.examples?.map((args): [Readonly<A>] => [args])
  const outcome = await fc.check(property, { ...parameters, examples })
  if (!outcome.failed) return
  const [args] = outcome.counterexample ?? [[]]
  const { errorInstance: cause, seed, counterexamplePath: path } = outcome
  // no program can be printed
  if (cause instanceof ArgumentsError) throw cause
  throw new GradientAssertionError(
    [
      cause instanceof Error ? cause.message : String(cause),
      '',
      'A program that fails with the smallest input found:',
      '',
      programOf(call, check, args),
      '',
      `after ${outcome.numRuns} samples and ${outcome.numShrinks} shrinking steps: seed ${seed}, path ${JSON.stringify(path)}`,
    ].join('\n'),
    { cause },
  )
}
