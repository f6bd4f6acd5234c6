// Defines operations by a forward computation on kernels and a rule for the gradient, one line each. The rule is written in
// differentiable operations on tensors, so it has a gradient itself.

import { checkArguments } from '../tensor/arguments.ts'
import { floating, isFloating, type Kernels, Tensor } from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'
import { type Settings, settle } from '../tensor/options.ts'
import { type Batching, levelOf, sameValues } from './batched.ts'
import { commonDevice, computedBy } from './checks.ts'
import { announceOperation, unobserved } from './observing.ts'
import { type DefinedOperation, type Entry, isRecording, type Jvp, noGrad, record, type Thunks } from './recording.ts'
import { Tape } from './tape.ts'

/** A tensor in its own dtype if that is floating, else as float32. */
export const asFloating = (k: Kernels, x: Tensor): Tensor => (isFloating(x.dtype) ? x : k.cast(x, floating(x.dtype)))

/** A result that is a separate tensor for the tape, even if it is one of the arguments. */
export const fresh = (result: Tensor, args: readonly unknown[]): Tensor =>
  args.includes(result) ? sameValues(result) : result

type Rule<A extends readonly unknown[]> = (gradient: Tensor, result: Tensor, ...args: A) => Thunks

/** One call of an operation, as an entry of a tape. */
class Call<A extends readonly unknown[]> implements Entry {
  readonly operation: DefinedOperation<A>
  readonly args: A
  readonly result: Tensor

  constructor(operation: DefinedOperation<A>, args: A, result: Tensor) {
    this.operation = operation
    this.args = args
    this.result = result
  }

  get name(): string {
    return this.operation.name
  }

  rule(gradient: Tensor): Thunks {
    return this.operation.rule!(gradient, this.result, ...this.args)
  }
}

/**
 * Defines a differentiable operation.
 * @param forward computes the result with the device's kernels
 * @param rule maps the gradient of the result, the result and the arguments to one thunk per argument (undefined for an
 *   argument that has no gradient). It neither sums over broadcast axes nor accumulates: the tape does. An operation without
 *   a rule is not differentiable: gradients stop at it.
 * @param batching how `vmap` computes it for all samples at once; without it, they are computed one after the other
 * @param jvp how `jvp` computes the tangent of the result; without it, by the transpose of the rule, which costs more
 */
export function defineOp<A extends readonly unknown[]>(
  name: string,
  forward: (kernels: Kernels, ...args: A) => Tensor,
  rule?: Rule<A>,
  batching?: Batching<A>,
  jvp?: Exclude<Jvp<A>, 'definition'>,
): (...args: A) => Tensor {
  checkArguments(
    'defineOp(name, forward, rule, batching, jvp)',
    [is.text, is.callback, is.optional(is.callback), isBatching, isJvp],
    [name, forward, rule, batching, jvp],
  )
  const op = (...args: A): Tensor => {
    const level = levelOf(args)
    if (level) {
      const result = level.outside(() => level.compute(op, args, batching))
      if (rule) level.inside(() => record(new Call(operation, args, result)))
      return result
    }
    const result = fresh(computedBy(name, forward(commonDevice(name, args).kernels, ...args)), args)
    announceOperation(name, args, result)
    if (rule && isRecording()) record(new Call(operation, args, result))
    return result
  }
  const operation: DefinedOperation<A> = { name, rule, jvp, op }
  return named(name, op)
}

const isBatching = is.optional(
  new is.Kind<Batching<never>>("'broadcast' or a function", x => x === 'broadcast' || typeof x === 'function'),
)

const isJvp = is.optional(
  new is.Kind<Jvp<never>>(
    "'elementwise', 'linear', 'bilinear', 'definition' or a function",
    x => typeof x === 'function' || ['elementwise', 'linear', 'bilinear', 'definition'].includes(x as string),
  ),
)

/**
 * Records an entry that is made otherwise than by `defineOp`. In a mapped function, recorders around it get an entry for the
 * whole batch.
 */
export function recordEntry(entry: Entry): void {
  const level = levelOf([entry.result, ...entry.args])
  if (!level) {
    record(entry)
    return
  }
  level.inside(() => record(entry))
  level.outside(() => {
    if (isRecording()) recordEntry(level.lifted(entry))
  })
}

/** Gives a function the name that error messages and tests use. */
const named = <F extends object>(name: string, f: F): F => Object.defineProperty(f, 'name', { value: name })

/** The parts of a fused operation. */
export interface Fused<A extends readonly unknown[]> {
  /** The operation in terms of differentiable operations: this defines it. */
  readonly definition: (...args: A) => Tensor
  /** A device's own kernel; undefined if the device has none for these arguments. */
  readonly kernel?: (kernels: Kernels, ...args: A) => Tensor | undefined
  /** A shorter formula for the gradient, which must agree with that of the definition. */
  readonly rule?: Rule<A>
  /** How `vmap` computes it for all samples at once; default: as the definition. */
  readonly batching?: Batching<A>
  /** How `jvp` computes the tangent of the result; default: by the definition if there is no rule, else by the transpose of the rule. */
  readonly jvp?: Jvp<A>
}

const fusedSettings = {
  definition: is.callback as is.Kind<Fused<never>['definition']>,
  kernel: is.optional(is.callback as is.Kind<NonNullable<Fused<never>['kernel']>>),
  rule: is.optional(is.callback as is.Kind<NonNullable<Fused<never>['rule']>>),
  batching: isBatching,
  jvp: isJvp,
} satisfies Settings<Fused<never>>

/** An operation that is one entry on the tape and has a definition. */
export type FusedOp<A extends readonly unknown[]> = ((...args: A) => Tensor) & Fused<A>

/**
 * Defines an operation by other operations. It is one entry on the tape, whether a kernel of the device computes it or the
 * definition, of which nothing is recorded. Without a rule, the gradient is that of the definition, which runs again for it.
 */
export function defineFused<A extends readonly unknown[]>(name: string, fused: Fused<A>): FusedOp<A> {
  checkArguments('defineFused(name, fused)', [is.text], [name])
  settle('defineFused(name, fused)', fused as Fused<never>, fusedSettings)
  return makeFused(name, fused).op
}

/** A fused operation, and what makes an entry of a result that was computed for it. */
function makeFused<A extends readonly unknown[]>(name: string, fused: Fused<A>) {
  const {
    definition,
    kernel,
    rule = derivedRule(definition),
    batching,
    jvp = fused.rule ? undefined : 'definition',
  } = fused
  const finish = (computed: Tensor, args: A): Tensor => {
    const result = fresh(computedBy(name, computed), args)
    announceOperation(name, args, result)
    if (isRecording()) record(new Call(operation, args, result))
    return result
  }
  const op = (...args: A): Tensor => {
    const level = levelOf(args)
    if (level) {
      // unless a tape around the mapped function records them, the intermediate values of the definition are freed
      const compute = () => fresh(computedBy(name, definition(...args)), args)
      const result = level.outside(() => {
        if (batching) return level.compute(op, args, batching)
        return isRecording() ? compute() : noGrad(compute)
      })
      level.inside(() => record(new Call(operation, args, result)))
      return result
    }
    const kernels = commonDevice(name, args).kernels
    return finish(kernel?.(kernels, ...args) ?? noGrad(() => unobserved(() => definition(...args))), args)
  }
  const operation: DefinedOperation<A> = { name, rule, jvp, op, definition }
  return { op: named(name, Object.assign(op, { ...fused, rule })) as FusedOp<A>, finish }
}

/** Fused operations with the same arguments, which one kernel computes. */
export interface Together<A extends readonly unknown[], Name extends string> {
  /** each of them by itself */
  readonly ops: Readonly<Record<Name, FusedOp<A>>>
  /**
   * Results by their position. Nothing is computed before it is asked for. The kernel runs for the first result; without that one, and where
   * there is no kernel, the others are computed by their definitions.
   */
  readonly results: (...args: A) => (position: number) => Tensor
}

/**
 * Defines fused operations whose common part a device computes once: the gradients of an operation with respect to its arguments. Each result
 * has a memory of its own.
 * @param parts the operations, in the order of the kernel's results
 * @param kernel a device's own kernel for all of them; undefined if the device has none for these arguments
 */
export function defineTogether<A extends readonly unknown[], Name extends string>(
  parts: Readonly<Record<Name, Omit<Fused<A>, 'kernel'>>>,
  kernel: (kernels: Kernels, ...args: A) => readonly Tensor[] | undefined,
): Together<A, Name> {
  const made = Object.entries<Omit<Fused<A>, 'kernel'>>(parts).map(([name, part], i) => ({
    name,
    definition: part.definition,
    ...makeFused<A>(name, { ...part, kernel: (kernels, ...args) => kernel(kernels, ...args)?.[i] }),
  }))
  return {
    ops: Object.fromEntries(made.map(({ name, op }) => [name, op])) as Record<Name, FusedOp<A>>,
    results: (...args) => {
      let computed: readonly Tensor[] | undefined
      return position => {
        if (position === 0 && !levelOf(args)) computed = kernel(commonDevice(made[0].name, args).kernels, ...args)
        const { finish, definition } = made[position]
        return computed ? finish(computed[position], args) : definition(...args)
      }
    },
  }
}

/** The rule that runs a function again on its own tape and differentiates it there. */
export function derivedRule<A extends readonly unknown[]>(f: (...args: A) => Tensor): Rule<A> {
  return (gradient, _, ...args) => {
    const inputs = [...new Set(args.filter(arg => arg instanceof Tensor && isFloating(arg.dtype)))] as Tensor[]
    let gradients: (Tensor | undefined)[] | undefined
    const all = () => {
      const tape = new Tape()
      for (const x of inputs) tape.watch(x)
      const result = tape.run(() => f(...args))
      gradients = tape.partials(result, inputs, { seed: gradient })
      tape.end(gradients)
      return gradients
    }
    // a tensor at two positions has one gradient, which is returned at the first
    return args.map((arg, i) => {
      const at = inputs.indexOf(arg as Tensor)
      return at >= 0 && args.indexOf(arg) === i ? () => (gradients ?? all())[at] : undefined
    })
  }
}
