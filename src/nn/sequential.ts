// Modules and functions of one tensor, applied one after the other.

import { given, isPlain } from '../tensor/given.ts'
import { ArgumentError, type Tensor } from '../tensor/index.ts'
import { sequence } from './forward.ts'
import { Module } from './module.ts'

/** A module that computes a tensor from a tensor. */
export interface TensorModule extends Module {
  /** The result for x. */
  forward(x: Tensor): Tensor
}

/** What {@link Sequential} applies: a module, or a function such as `x => x.relu()`. */
export type Stage = TensorModule | ((x: Tensor) => Tensor)

const isStage = (x: unknown): x is Stage =>
  typeof x === 'function' || (x instanceof Module && typeof (x as Partial<TensorModule>).forward === 'function')

/**
 * Applies modules and functions of one tensor, one after the other. Activations are functions here, and the identity is `x => x`.
 * Parameters are named by the position of their stage, as in PyTorch, where functions count too; or by the names that are given:
 *
 *     new Sequential(new Linear(2, 16), x => x.relu(), new Linear(16, 1)) // 0.weight, 0.bias, 2.weight, 2.bias
 *     new Sequential({ up: new Linear(2, 16), relu: x => x.relu(), down: new Linear(16, 1) }) // up.weight, …
 *
 * A loop over it gives its stages. It is `nn.Sequential` of PyTorch.
 *
 * @throws ArgumentError for a stage that is neither a module nor a function, and for a name that a field cannot have
 */
export class Sequential extends Module implements Iterable<Stage> {
  /** names of the stages, in order */
  readonly names: readonly string[]

  constructor(stages: Readonly<Record<string, Stage>>)
  constructor(...stages: readonly Stage[])
  constructor(...stages: readonly unknown[]) {
    super()
    const named = Object.entries(stages.length === 1 && isPlain(stages[0]) ? stages[0] : stages)
    this.names = named.map(([name]) => name)
    for (const [name, stage] of named) {
      if (name === '' || name.includes('.') || name in this) throw refused(name, 'cannot be the name of a stage', stage)
      if (!isStage(stage)) throw refused(name, `must be a module or a function, not ${given(stage)}`, stage)
      Object.assign(this, { [name]: stage })
    }
  }

  /** The stages, in their order. */
  *[Symbol.iterator](): Generator<Stage> {
    for (const name of this.names) yield this[name as keyof this] as Stage
  }

  /** The stages, applied one after the other: x → the result of the last one. */
  forward(x: Tensor): Tensor {
    return sequence(x, this, (y, stage) => (typeof stage === 'function' ? stage(y) : stage.forward(y)))
  }
}

const refused = (name: string, problem: string, stage: unknown): ArgumentError =>
  new ArgumentError(
    `Sequential: stage '${name}' ${problem}; write new Sequential(new Linear(2, 16), x => x.relu()), or an object of stages whose names have no dots`,
    'Sequential',
    'stages',
    stage,
  )
