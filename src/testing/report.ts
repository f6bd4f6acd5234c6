// A property that fails is reported as a program: the smallest input that was found, as TypeScript that runs and fails again.

import fc from 'fast-check'
import type { CheckedFunction, Fused } from '../autograd/index.ts'
import { type DeviceName, device, type Tensor } from '../tensor/index.ts'
import { readable } from './arbitraries/readable.ts'
import { ArgumentsError, replaceTensors, tensorsIn } from './arguments.ts'
import { GradientAssertionError } from './exactly.ts'
import { sourceOf } from './source-text.ts'

/** How programs call an operation. */
export interface SourceCall {
  /** an expression for it */
  readonly expression: string
  /** lines that such a program begins with */
  readonly imports: readonly string[]
}

/** A check of this package, as such a program calls it: with a function, its inputs, and options. */
export interface Check {
  readonly name: string
  /** as TypeScript */
  readonly options?: string
  /** a device that such a program opens first */
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

/** The line that opens a device as it is open here; none for those that open by themselves. */
function opening(name: DeviceName): string[] {
  const on = device.get(name)
  return 'backend' in on ? [`await device.open(${sourceOf(name)}, ${sourceOf({ backend: on.backend })})`] : []
}

/** Which samples are drawn: as fast-check takes them. */
export interface Samples {
  readonly numRuns?: number
  readonly seed?: number
  readonly path?: string
}

/**
 * Runs a check on samples of arguments, and on examples before them.
 * @throws GradientAssertionError with what was found, the program that finds it again, seed and path
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
  // no program to print
  if (cause instanceof ArgumentsError) throw cause
  throw new GradientAssertionError(
    [
      cause instanceof Error ? cause.message : String(cause),
      '',
      'The smallest input that was found, as a program that fails again:',
      '',
      programOf(call, check, args),
      '',
      `after ${outcome.numRuns} samples and ${outcome.numShrinks} steps down: seed ${seed}, path ${JSON.stringify(path)}`,
    ].join('\n'),
    { cause },
  )
}
