// Muon (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon): the momentum of a matrix, with all its singular values
// brought near 1 by a few products of matrices. The other parameters are moved by AdamW.

import { Module, type Parameter, type ParameterSource } from '../nn/index.ts'
import { namedIn } from '../nn/parameter-source.ts'
import { type Shape, show, sizeOf, type Tensor } from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'
import { type Settings, settle } from '../tensor/options.ts'
import { adamwUpdate, twoNumbers } from './adamw.ts'
import { Optimizer, type OptimizerOptions, optimizerOptions, type UpdateInput, type UpdateResult } from './optimizer.ts'
import { checkSetting } from './setting.ts'

/** Options of `Muon`. */
export interface MuonOptions extends OptimizerOptions {
  /**
   * which parameters are matrices of hidden layers, [out, ...], whose axes after the first are taken together; AdamW moves the
   * others. Embeddings and the last layer of a model train better with AdamW. Default: all parameters of two axes
   */
  readonly matrices?: (name: string, parameter: Parameter) => boolean
  /** μ, the share of the old momentum; default 0.95 */
  readonly momentum?: number
  /** Nesterov momentum; default true */
  readonly nesterov?: boolean
  /** number of Newton–Schulz iterations; default 5 */
  readonly iterations?: number
  /**
   * the factor of the learning rate of a matrix [n, m]: `original` is √max(1, n / m), as in Jordan's implementation; `adamw` is
   * 0.2 √max(n, m), which gives a step the size of AdamW's, so that its learning rate and weight decay fit (Liu et al. 2025, arXiv
   * 2502.16982). Default original
   */
  readonly scale?: 'original' | 'adamw'
  /** decay rates of the moments of the other parameters; default [0.9, 0.999] */
  readonly betas?: readonly [number, number]
  /** added to the root of their second moment; default 1e-8 */
  readonly epsilon?: number
}
const muonOptions = {
  ...optimizerOptions,
  weightDecay: 0.1,
  matrices: is.byDefault(
    (_: string, { rank }: Parameter) => rank === 2,
    is.callback as is.Kind<NonNullable<MuonOptions['matrices']>>,
  ),
  momentum: 0.95,
  nesterov: true,
  iterations: is.byDefault(5, is.count),
  scale: is.choice('original', 'adamw'),
  betas: is.byDefault([0.9, 0.999], twoNumbers),
  epsilon: 1e-8,
} satisfies Settings<MuonOptions>

/** The coefficients of the polynomial, the largest slope at 0 for which singular values stay in about [0.7, 1.2]. */
const [A, B, C] = [3.4445, -4.775, 2.0315]

/**
 * A matrix with the singular vectors of x and singular values near 1: X ← a X + b (X Xᵀ) X + c (X Xᵀ)² X, from x divided by its
 * Frobenius norm. The shorter axis comes first, so that X Xᵀ is small.
 */
function orthogonalized(x: Tensor, iterations: number): Tensor {
  const [n, m] = x.shape
  const isTall = n > m
  let y = (isTall ? x.transpose() : x).div(x.norm().maximum(1e-7))
  for (let i = 0; i < iterations; i++) {
    const gram = y.matmul(y.transpose())
    const polynomial = gram.mul(B).add(gram.matmul(gram).mul(C))
    y = y.mul(A).add(polynomial.matmul(y))
  }
  return isTall ? y.transpose() : y
}

/**
 * For matrices: v ← μ v + (1 - μ) g, u = v, or with Nesterov (1 - μ) g + μ v, O = the nearest orthogonal matrix of u, approximately,
 * w ← (1 - η λ) w - η s O, with the learning rate η, weight decay λ (default 0.1) and the factor s that `scale` says. For the other
 * parameters: AdamW, whose learning rate is usually much smaller; give it by a group, or use the scale `adamw` and one rate for all:
 *
 *     const isOther = (name: string, p: Parameter) => p.rank !== 2
 *     new Muon(model, { learningRate: 0.02, groups: [{ match: isOther, learningRateFactor: 0.015 }] })
 *
 * PyTorch's torch.optim.Muon computes O in bfloat16 and takes only matrices.
 * @throws TypeError if `matrices` selects a parameter of fewer than two axes
 */
export class Muon extends Optimizer {
  readonly algorithm = 'Muon'
  /** the options with every default */
  readonly settings: Readonly<Required<Omit<MuonOptions, keyof OptimizerOptions | 'matrices'>>>
  readonly #matrices: ReadonlySet<Tensor>

  constructor(parameters: ParameterSource, options?: MuonOptions) {
    const settled = settle('new Muon(parameters, options)', options, muonOptions)
    const { matrices, momentum, nesterov, iterations, scale, betas, epsilon, ...shared } = settled
    const isList = typeof parameters === 'object' && parameters !== null && Symbol.iterator in parameters
    // read twice, which not every iterable can be
    const source = isList && !(parameters instanceof Module) ? [...namedIn('Muon', parameters)] : parameters
    super(source, shared)
    checkSetting('momentum', momentum, 0, 1)
    for (const [i, beta] of betas.entries()) checkSetting(`betas[${i}]`, beta, 0, 1)
    checkSetting('epsilon', epsilon, 0)
    this.settings = { momentum, nesterov, iterations, scale, betas, epsilon }
    const chosen = [...namedIn('Muon', source)].filter(([name, parameter]) => matrices(name, parameter))
    for (const [name, { shape }] of chosen)
      if (shape.length < 2)
        throw new TypeError(
          `Muon: matrices selects ${name} ${show(shape)}, which is no matrix; select parameters of two axes or more`,
        )
    this.#matrices = new Set(chosen.map(([, parameter]) => parameter))
  }

  protected slotShapes(parameter: Parameter): Readonly<Record<string, Shape>> {
    const { shape } = parameter
    return this.#matrices.has(parameter) ? { momentum: shape } : { firstMoment: shape, secondMoment: shape }
  }

  protected update(input: UpdateInput): UpdateResult {
    const { value, gradient, slots, learningRate, weightDecay } = input
    const { momentum: kept, nesterov, iterations, scale } = this.settings
    if (!this.#matrices.has(value)) return adamwUpdate(input, this.settings)
    const momentum = slots.momentum.mul(kept).add(gradient.mul(1 - kept))
    const moved = nesterov ? momentum.mul(kept).add(gradient.mul(1 - kept)) : momentum
    const [n, m] = [value.shape[0], sizeOf(value.shape.slice(1))]
    const direction = orthogonalized(moved.reshape([n, m]), iterations).reshape(value.shape)
    const factor = scale === 'adamw' ? 0.2 * Math.sqrt(Math.max(n, m)) : Math.sqrt(Math.max(1, n / m))
    const decayed = value.mul(1 - learningRate * weightDecay)
    return { value: decayed.sub(direction.mul(learningRate * factor)), slots: { momentum } }
  }
}
