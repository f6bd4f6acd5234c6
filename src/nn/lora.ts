// Low-rank adaptation (Hu et al. 2021): the weights of a trained model stay, and a product of two small matrices is learned beside them.

import { linear, noGrad } from '../autograd/index.ts'
import { checkArguments } from '../tensor/arguments.ts'
import { firstFew } from '../tensor/first-few.ts'
import { randn, type Tensor, zeros } from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'
import { type Settings, settle } from '../tensor/options.ts'
import { insert, lastInserted, removeInserted } from './inserted.ts'
import { Linear } from './layers.ts'
import { Module, placesBelow, type StateDict, StateDictError } from './module.ts'
import { Parameter } from './parameter.ts'

/** Options of {@link lora}. */
export interface LoraOptions {
  /** r, the number of rows of A */
  readonly rank: number
  /** α: the adaptation is multiplied by α / r; default r, a factor of 1 */
  readonly alpha?: number
  /**
   * which Linear modules are adapted: the ends of their paths (`query`, `attention.value`), or a function of a path; default the projections of
   * queries and values, as in section 4.2 of the paper
   */
  readonly targets?: readonly string[] | ((path: string, module: Linear) => boolean)
}
const areTargets = new is.Kind<readonly string[] | ((path: string, module: Linear) => boolean)>(
  'a list of the ends of paths, or a function of a path',
  x => typeof x === 'function' || (Array.isArray(x) && x.every(end => typeof end === 'string')),
  ([value]) => (typeof value === 'string' ? { text: `['${value}']`, values: 1 } : undefined),
)
const loraOptions = {
  rank: is.count,
  alpha: is.optional(is.number),
  targets: is.byDefault(['query', 'value'], areTargets),
} satisfies Settings<LoraOptions>

/** A Linear module with an adaptation. */
interface Adapted extends Linear {
  readonly loraA: Parameter // [rank, in]
  readonly loraB: Parameter // [out, rank]
  readonly loraScale: number
}

const isModule = is.instance('a module', Module)
const isAdapted = (module: unknown): module is Adapted => module instanceof Linear && 'loraA' in module

/** The Linear modules in a module, and itself, once each, by their first path. */
function linearsIn(module: Module): Map<Linear, string> {
  const found = new Map<Linear, string>()
  if (module instanceof Linear) found.set(module, '')
  for (const { path, value } of placesBelow(module))
    if (value instanceof Linear && !found.has(value)) found.set(value, path)
  return found
}

/**
 * Adapts Linear modules of a trained model by matrices of low rank (Hu et al. 2021): W x becomes W x + (α / r) B A x. All parameters of the
 * model are frozen, and A [r, in] and B [out, r] are trained: A starts normal with deviation 1/√in and B at 0, so that the model computes what it
 * did. The modules stay where they are and get the fields `loraA` and `loraB`. {@link loraState} gives the adapters alone, and {@link mergeLora}
 * adds them to the weights. Make the optimizer afterwards.
 *
 *     lora(model, { rank: 4, targets: ['query', 'value'] })
 *
 * @returns the same model
 * @throws TypeError if there is nothing to adapt, or a module is adapted already or has a computed weight
 */
export function lora<M extends Module>(model: M, options: LoraOptions): M {
  const call = 'lora(model, options)'
  checkArguments(call, [isModule], [model])
  const { rank, alpha = rank, targets } = settle(call, options, loraOptions)
  const isTarget =
    typeof targets === 'function'
      ? targets
      : (path: string) => targets.some(end => path === end || path.endsWith(`.${end}`))
  const linears = linearsIn(model)
  const chosen = [...linears].filter(([module, path]) => isTarget(path, module))
  if (chosen.length === 0)
    throw new TypeError(
      `lora: no Linear module is a target; ${linears.size === 0 ? 'the model has none' : `there are ${firstFew([...linears.values()])}`}; write { targets: [end of a path, …] }`,
    )
  for (const [module, path] of chosen) {
    if (isAdapted(module)) throw new TypeError(`lora: ${path || 'the module'} is adapted already; call mergeLora first`)
    if (!Object.hasOwn(module, 'weight'))
      throw new TypeError(`lora: the weight of ${path || 'the module'} is computed; call removeParametrization first`)
  }
  model.freeze()
  for (const [module] of chosen) adapt(module, rank, alpha / rank)
  return model
}

function adapt(module: Linear, rank: number, scale: number): void {
  const [outputs, inputs] = module.weight.shape
  const options = { dtype: module.weight.dtype as 'float32', device: module.weight.device }
  Object.assign(module, {
    loraA: new Parameter(noGrad(() => randn([rank, inputs], options).div(Math.sqrt(inputs)))),
    loraB: new Parameter(zeros([outputs, rank], options)),
    loraScale: scale,
  })
  insert(module, parent => ({
    loraA: { value: undefined, writable: true }, // marks what was inserted
    forward: {
      value(this: Adapted, x: Tensor) {
        const adaptation = linear(linear(x, this.loraA), this.loraB)
        return (parent as Linear).forward.call(this, x).add(adaptation.mul(this.loraScale))
      },
    },
  }))
}

/** The adapters of a model, by their paths: the part of its state dict that {@link lora} trains. */
export function loraState(model: Module): StateDict {
  checkArguments('loraState(model)', [isModule], [model])
  const own = new Set<Tensor>([...linearsIn(model).keys()].filter(isAdapted).flatMap(m => [m.loraA, m.loraB]))
  return new Map([...model.namedParameters()].filter(([, parameter]) => own.has(parameter)))
}

/**
 * Assigns the adapters that {@link loraState} gave to a model that {@link lora} adapted with the same options.
 * @returns the same model
 * @throws StateDictError naming adapters that are missing, unknown, or of another shape
 */
export function loadLoraState<M extends Module>(model: M, state: ReadonlyMap<string, Tensor>): M {
  const isState = new is.Kind<ReadonlyMap<string, Tensor>>('a Map of tensors by name', x => x instanceof Map)
  checkArguments('loadLoraState(model, state)', [isModule, isState], [model, state])
  const own = [...loraState(model).keys()]
  const [missing, unexpected] = [own.filter(name => !state.has(name)), [...state.keys()].filter(x => !own.includes(x))]
  if (missing.length + unexpected.length > 0) throw new StateDictError(missing, unexpected, [])
  return model.loadStateDict(new Map([...model.stateDict(), ...state]))
}

/**
 * Adds the adapters of a model to its weights, W + (α / r) B A, and removes them: the Linear modules are as before {@link lora}, and compute the
 * same as with their adapters, but for rounding. The parameters stay frozen; `model.freeze(false)` trains them all.
 * @returns the same model
 * @throws TypeError if nothing is adapted, or a weight is computed
 */
export function mergeLora<M extends Module>(model: M): M {
  checkArguments('mergeLora(model)', [isModule], [model])
  const adapted = [...linearsIn(model)].filter(([module]) => isAdapted(module)) as [Adapted, string][]
  if (adapted.length === 0)
    throw new TypeError('mergeLora: no module is adapted; lora(model, { rank: 4 }) adapts a model')
  for (const [module, path] of adapted)
    if (!lastInserted(module, 'loraA') || !Object.hasOwn(module, 'weight'))
      throw new TypeError(
        `mergeLora: the weight of ${path || 'the module'} is computed; call removeParametrization first`,
      )
  for (const [module] of adapted) {
    const { weight, loraA, loraB, loraScale } = module
    weight.assign(noGrad(() => weight.add(loraB.matmul(loraA).mul(loraScale))))
    for (const name of ['loraA', 'loraB', 'loraScale']) Reflect.deleteProperty(module, name)
    removeInserted(module)
  }
  return model
}
