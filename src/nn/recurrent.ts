// Recurrent networks: Elman's, LSTM (Hochreiter and Schmidhuber 1997) and GRU (Cho et al. 2014), each as a cell that takes one step
// and as layers that go over a sequence. The parameters have the names, shapes and order of gates of PyTorch, so that its state
// dicts load as they are.

import { concat, dropout, linear, stack, where } from '../autograd/index.ts'
import { checkArguments } from '../tensor/arguments.ts'
import { given, isPlain } from '../tensor/given.ts'
import { DTypeError, isFloating, type Shape, ShapeError, sameShape, show, Tensor, zeros } from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'
import { type Settings, settle } from '../tensor/options.ts'
import { uniform } from './init.ts'
import { Module } from './module.ts'
import { type Parameter, parameter } from './parameter.ts'

/** The state of an LSTM. */
export interface LSTMState {
  /** h, [batch, hidden] for a cell, [layers · directions, batch, hidden] for a network */
  readonly hidden: Tensor
  /** c, of the same shape */
  readonly cell: Tensor
}

/** One step of one layer: from x Wᵢᵀ + bᵢ, and from h Wₕᵀ + bₕ, both [batch, gates · hidden], and the state before it. */
type Step = (fromInput: Tensor, fromHidden: Tensor, state: readonly Tensor[]) => readonly Tensor[]

/** A kind of recurrent network. Its state is a list of tensors, of which the first is what the layer gives. */
interface Recurrence {
  readonly gates: number
  readonly states: readonly string[]
  readonly step: Step
}

const elman = (activation: RNNActivation): Recurrence => ({
  gates: 1,
  states: ['hidden'],
  step: (fromInput, fromHidden) => [fromInput.add(fromHidden)[activation]()],
})

const gru: Recurrence = {
  gates: 3,
  states: ['hidden'],
  step: (fromInput, fromHidden, [h]) => {
    const size = h.shape[1]
    const [resetInput, updateInput, newInput] = fromInput.split(size, 1)
    const [resetHidden, updateHidden, newHidden] = fromHidden.split(size, 1)
    const update = updateInput.add(updateHidden).sigmoid()
    const next = newInput.add(resetInput.add(resetHidden).sigmoid().mul(newHidden)).tanh()
    return [next.add(update.mul(h.sub(next)))]
  },
}

const lstm: Recurrence = {
  gates: 4,
  states: ['hidden', 'cell'],
  step: (fromInput, fromHidden, [h, c]) => {
    const [input, forget, candidate, output] = fromInput.add(fromHidden).split(h.shape[1], 1)
    const cell = forget.sigmoid().mul(c).add(input.sigmoid().mul(candidate.tanh()))
    return [output.sigmoid().mul(cell.tanh()), cell]
  },
}

type Role = `${'weight' | 'bias'}_${'ih' | 'hh'}`

const roles: readonly Role[] = ['weight_ih', 'weight_hh', 'bias_ih', 'bias_hh']

/** Makes the parameters of one layer: uniform within ±1/√hidden, as in PyTorch. */
function parametersOf(inputs: number, hidden: number, gates: number): (role: Role) => Parameter {
  const init = uniform(1 / Math.sqrt(hidden))
  const rows = gates * hidden
  return role => parameter(role.startsWith('bias') ? [rows] : [rows, role === 'weight_ih' ? inputs : hidden], init)
}

/** x Wᵀ + b, with the parameters that a module has for the input (`ih`) or the state (`hh`) under a suffix. */
function project(module: Module, of: 'ih' | 'hh', suffix: string, x: Tensor): Tensor {
  const at = (role: Role) => module[`${role}${suffix}` as keyof Module] as unknown as Tensor
  return linear(x, at(`weight_${of}`), at(`bias_${of}`))
}

/** Checks an input [..., inputs] of a rank. */
function checkInput(name: string, x: Tensor, rank: number, inputs: number): void {
  const form = rank === 2 ? `[batch, ${inputs}]` : `[batch, time, ${inputs}]`
  if (x.rank !== rank || x.shape[rank - 1] !== inputs) {
    const isOne = x.rank === rank - 1 && x.shape[rank - 2] === inputs
    throw new ShapeError(
      `${name}: x must be ${form}, not ${show(x.shape)}${isOne ? '; write x.unsqueeze(0) for a batch of one' : ''}`,
      x.shape,
    )
  }
  if (!isFloating(x.dtype))
    throw new DTypeError(
      `${name}: x ${show(x.shape)} must be floating, not ${x.dtype}; write x.cast('float32')`,
      x.dtype,
    )
}

/** The tensors of an initial state, or zeros. */
function statesOf(name: string, state: unknown, names: readonly string[], shape: Shape, like: Tensor): Tensor[] {
  if (state === undefined) return names.map(() => zeros(shape, { dtype: like.dtype, device: like.device }))
  const isOne = names.length === 1
  const parts = isOne ? [state] : isPlain(state) ? names.map(key => state[key]) : []
  if (parts.length === 0 || !parts.every(part => part instanceof Tensor)) {
    const form = isOne ? 'a tensor' : `{ ${names.join(', ')} }, two tensors`
    throw new TypeError(`${name}: the state must be ${form}, as forward gives it, not ${given(state)}`)
  }
  for (const part of parts)
    if (!sameShape(part.shape, shape))
      throw new ShapeError(`${name}: the state must be ${show(shape)}, not ${show(part.shape)}`, part.shape, shape)
  return parts
}

/** Options of {@link RNNCell}, {@link GRUCell} and {@link LSTMCell}. */
export interface RecurrentCellOptions {
  /** default true */
  readonly bias?: boolean
}
const recurrentCellOptions = { bias: true } satisfies Settings<RecurrentCellOptions>

/** The activation of an {@link RNN}. */
export type RNNActivation = 'tanh' | 'relu'

/** Options of {@link RNNCell}. */
export interface RNNCellOptions extends RecurrentCellOptions {
  /** default tanh */
  readonly activation?: RNNActivation
}
const isRNNActivation = is.choice<RNNActivation>('tanh', 'relu')
const rnnCellOptions = { ...recurrentCellOptions, activation: isRNNActivation } satisfies Settings<RNNCellOptions>

/** What the cells have in common: the state after one step. */
abstract class RecurrentCell extends Module {
  readonly weight_ih: Parameter // [gates · hidden, inputs]
  readonly weight_hh: Parameter // [gates · hidden, hidden]
  readonly bias_ih?: Parameter // [gates · hidden]
  readonly bias_hh?: Parameter // [gates · hidden]
  readonly inputs: number
  readonly hidden: number

  constructor(gates: number, inputs: number, hidden: number, bias: boolean) {
    super()
    const make = parametersOf(inputs, hidden, gates)
    this.inputs = inputs
    this.hidden = hidden
    this.weight_ih = make('weight_ih')
    this.weight_hh = make('weight_hh')
    if (!bias) return
    this.bias_ih = make('bias_ih')
    this.bias_hh = make('bias_hh')
  }

  protected step(recurrence: Recurrence, x: Tensor, state: unknown): readonly Tensor[] {
    const { name } = this.constructor
    checkArguments('cell.forward(x, state)', [is.tensor], [x])
    checkInput(name, x, 2, this.inputs)
    const before = statesOf(name, state, recurrence.states, [x.shape[0], this.hidden], x)
    return recurrence.step(project(this, 'ih', '', x), project(this, 'hh', '', before[0]), before)
  }
}

const newCall = (name: string) => `new ${name}(inputs, hidden, options)`
const sizes = [is.count, is.count]

/**
 * One step of a recurrent network: h' = tanh(x Wᵢᵀ + bᵢ + h Wₕᵀ + bₕ), or relu. x [batch, inputs] and h [batch, hidden] → [batch, hidden].
 * It is `nn.RNNCell` of PyTorch.
 */
export class RNNCell extends RecurrentCell {
  /** tanh or relu */
  readonly activation: RNNActivation

  constructor(inputs: number, hidden: number, options?: RNNCellOptions) {
    checkArguments(newCall('RNNCell'), sizes, [inputs, hidden])
    const { bias, activation } = settle(newCall('RNNCell'), options, rnnCellOptions)
    super(1, inputs, hidden, bias)
    this.activation = activation
  }

  /**
   * One step: x [batch, inputs] → [batch, hidden].
   * @param state h, zeros by default
   * @returns the state after the step
   */
  forward(x: Tensor, state?: Tensor): Tensor {
    return this.step(elman(this.activation), x, state)[0]
  }
}

/**
 * One step of a GRU (Cho et al. 2014), as PyTorch's `nn.GRUCell` has it: r = σ(x Wᵢᵣᵀ + bᵢᵣ + h Wₕᵣᵀ + bₕᵣ), z likewise,
 * n = tanh(x Wᵢₙᵀ + bᵢₙ + r ⊙ (h Wₕₙᵀ + bₕₙ)), h' = (1 - z) ⊙ n + z ⊙ h. The parameters hold r, z and n, in this order.
 * x [batch, inputs] and h [batch, hidden] → [batch, hidden].
 */
export class GRUCell extends RecurrentCell {
  constructor(inputs: number, hidden: number, options?: RecurrentCellOptions) {
    checkArguments(newCall('GRUCell'), sizes, [inputs, hidden])
    super(gru.gates, inputs, hidden, settle(newCall('GRUCell'), options, recurrentCellOptions).bias)
  }

  /**
   * One step: x [batch, inputs] → [batch, hidden].
   * @param state h, zeros by default
   * @returns the state after the step
   */
  forward(x: Tensor, state?: Tensor): Tensor {
    return this.step(gru, x, state)[0]
  }
}

/**
 * One step of an LSTM (Hochreiter and Schmidhuber 1997): i = σ(x Wᵢᵢᵀ + bᵢᵢ + h Wₕᵢᵀ + bₕᵢ), f and o likewise, g with tanh,
 * c' = f ⊙ c + i ⊙ g, h' = o ⊙ tanh c'. The parameters hold i, f, g and o, in this order. x [batch, inputs], h and c [batch, hidden].
 * It is `nn.LSTMCell` of PyTorch.
 */
export class LSTMCell extends RecurrentCell {
  constructor(inputs: number, hidden: number, options?: RecurrentCellOptions) {
    checkArguments(newCall('LSTMCell'), sizes, [inputs, hidden])
    super(lstm.gates, inputs, hidden, settle(newCall('LSTMCell'), options, recurrentCellOptions).bias)
  }

  /**
   * One step: x [batch, inputs] → h and c, [batch, hidden].
   * @param state h and c, zeros by default
   * @returns the state after the step
   */
  forward(x: Tensor, state?: LSTMState): LSTMState {
    const [hidden, cell] = this.step(lstm, x, state)
    return { hidden, cell }
  }
}

/** Options of {@link GRU} and {@link LSTM}. */
export interface RecurrentOptions extends RecurrentCellOptions {
  /** number of layers, each over the outputs of the one before; default 1 */
  readonly layers?: number
  /** each layer also goes over the sequence from its end, and gives both outputs, joined; default false */
  readonly bidirectional?: boolean
  /** probability of dropout between layers, in training; default 0 */
  readonly dropout?: number
}
const recurrentOptions = {
  ...recurrentCellOptions,
  layers: is.byDefault(1, is.count),
  bidirectional: false,
  dropout: 0,
} satisfies Settings<RecurrentOptions>

/** Options of {@link RNN}. */
export interface RNNOptions extends RecurrentOptions {
  /** default tanh */
  readonly activation?: RNNActivation
}
const rnnOptions = { ...recurrentOptions, activation: isRNNActivation } satisfies Settings<RNNOptions>

/** Options of `forward` of {@link RNN}, {@link GRU} and {@link LSTM}. */
export interface RecurrentForwardOptions<State> {
  /** before the first step; default: zeros */
  readonly state?: State
  /**
   * int32 [batch]: the number of steps of each sequence; default: all. Beyond it the output is 0 and the state stays, and the way from the
   * end begins at it. PyTorch has packed sequences for this.
   */
  readonly lengths?: Tensor
}
const forwardOptions = { state: undefined, lengths: is.optional(is.indices) } satisfies Settings<
  RecurrentForwardOptions<unknown>
>

/** What `forward` of {@link RNN}, {@link GRU} and {@link LSTM} gives. */
export interface RecurrentResult<State> {
  /** of the last layer at every step: [batch, time, directions · hidden] */
  readonly output: Tensor
  /** after the last step: [layers · directions, batch, hidden], first the way forward and then the way from the end of each layer */
  readonly state: State
}

/** The ways over a sequence, as the names of their parameters end. */
const waysOf = ({ bidirectional }: Recurrent): readonly string[] => (bidirectional ? ['', '_reverse'] : [''])

type Advance = (fromInput: Tensor, state: readonly Tensor[]) => readonly Tensor[]

interface Way {
  /** what each step takes from the input, [batch, gates · hidden] */
  readonly steps: readonly Tensor[]
  readonly initial: readonly Tensor[]
  /** bool [batch, 1] for each step: whether the sequence has it */
  readonly seen?: readonly Tensor[]
  readonly isReversed: boolean
}

/** Goes over a sequence, forward or from its end. */
function over(advance: Advance, { steps, initial, seen, isReversed }: Way) {
  const outputs: Tensor[] = []
  let state = initial
  for (let i = 0; i < steps.length; i++) {
    const t = isReversed ? steps.length - 1 - i : i
    const next = advance(steps[t], state)
    const isSeen = seen?.[t]
    outputs[t] = isSeen ? where(isSeen, next[0], 0) : next[0]
    const before = state
    state = isSeen ? next.map((part, s) => where(isSeen, part, before[s])) : next
  }
  return { outputs, state }
}

function checkLengths(name: string, lengths: Tensor | undefined, batch: number): void {
  if (!lengths) return
  if (lengths.dtype !== 'int32')
    throw new DTypeError(`${name}: lengths must be int32, not ${lengths.dtype}`, lengths.dtype)
  if (!sameShape(lengths.shape, [batch]))
    throw new ShapeError(
      `${name}: lengths must be [${batch}], one for each sequence, not ${show(lengths.shape)}`,
      lengths.shape,
    )
}

/** What the recurrent layers have in common. */
abstract class Recurrent extends Module {
  /** of layer 0, 1, … and, after `_reverse`, of its way from the end; weights [gates · hidden, inputs or hidden], biases [gates · hidden] */
  readonly [name: `${Role}_l${number}${'' | '_reverse'}`]: Parameter
  readonly inputs: number
  readonly hidden: number
  readonly layers: number
  readonly bidirectional: boolean
  readonly dropout: number

  constructor(gates: number, inputs: number, hidden: number, options: Required<RecurrentOptions>) {
    super()
    const { layers, bidirectional, dropout, bias } = options
    if (!(dropout >= 0 && dropout < 1))
      throw new RangeError(`${this.constructor.name}: the dropout must be in [0, 1), not ${dropout}`)
    this.inputs = inputs
    this.hidden = hidden
    this.layers = layers
    this.bidirectional = bidirectional
    this.dropout = dropout
    const ways = waysOf(this)
    for (let layer = 0; layer < layers; layer++) {
      const make = parametersOf(layer === 0 ? inputs : ways.length * hidden, hidden, gates)
      for (const way of ways)
        for (const role of bias ? roles : roles.slice(0, 2))
          Object.assign(this, { [`${role}_l${layer}${way}`]: make(role) })
    }
  }

  /** The output and the tensors of the state. */
  protected run<State>(recurrence: Recurrence, x: Tensor, options?: RecurrentForwardOptions<State>) {
    const { name } = this.constructor
    const call = 'layers.forward(x, options)'
    checkArguments(call, [is.tensor], [x])
    const { state, lengths } = settle(call, options, forwardOptions as Settings<RecurrentForwardOptions<State>>)
    checkInput(name, x, 3, this.inputs)
    const [batch, time] = x.shape
    if (time === 0) throw new ShapeError(`${name}: x ${show(x.shape)} must have a step`, x.shape)
    checkLengths(name, lengths, batch)
    const ways = waysOf(this)
    const shape = [this.layers * ways.length, batch, this.hidden]
    const before = statesOf(name, state, recurrence.states, shape, x)
    const seen = lengths && Array.from({ length: time }, (_, t) => lengths.greater(t).unsqueeze(1))

    const after: (readonly Tensor[])[] = []
    let output = x
    for (let layer = 0; layer < this.layers; layer++) {
      if (layer > 0 && this.training && this.dropout > 0) output = dropout(output, this.dropout)
      const outputs = ways.map((way, w) => {
        const suffix = `_l${layer}${way}`
        // the input of all steps at once: only what comes from the state has to wait for the step before
        const steps = project(this, 'ih', suffix, output).unbind({ axis: 1 })
        const initial = before.map(part => part.slice([layer * ways.length + w]))
        const advance: Advance = (fromInput, parts) =>
          recurrence.step(fromInput, project(this, 'hh', suffix, parts[0]), parts)
        const result = over(advance, { steps, initial, seen, isReversed: w === 1 })
        after.push(result.state)
        return stack(result.outputs, 1)
      })
      output = ways.length === 1 ? outputs[0] : concat(outputs, 2)
    }
    return { output, states: recurrence.states.map((_, i) => stack(after.map(state => state[i]))) }
  }
}

/**
 * A recurrent network (Elman 1990) over sequences, the steps of {@link RNNCell}: x [batch, time, inputs] → { output, state }. Parameters are
 * named as in PyTorch's `nn.RNN` (`weight_ih_l0`, `bias_hh_l1_reverse`), so that its state dicts load; the batch comes first.
 *
 * @throws ShapeError for an x, state or lengths of another shape, RangeError for a dropout outside of [0, 1)
 */
export class RNN extends Recurrent {
  /** tanh or relu */
  readonly activation: RNNActivation

  constructor(inputs: number, hidden: number, options?: RNNOptions) {
    checkArguments(newCall('RNN'), sizes, [inputs, hidden])
    const { activation, ...settled } = settle(newCall('RNN'), options, rnnOptions)
    super(1, inputs, hidden, settled)
    this.activation = activation
  }

  /**
   * All steps: the output of the last layer at every step, [batch, time, directions · hidden], and the last states.
   * @param x [batch, time, inputs]; the state is [layers · directions, batch, hidden]
   */
  forward(x: Tensor, options?: RecurrentForwardOptions<Tensor>): RecurrentResult<Tensor> {
    const { output, states } = this.run(elman(this.activation), x, options)
    return { output, state: states[0] }
  }
}

/**
 * A GRU (Cho et al. 2014) over sequences, the steps of {@link GRUCell}: x [batch, time, inputs] → { output, state }. Parameters are named as
 * in PyTorch's `nn.GRU`, with its order of gates (r, z, n), so that its state dicts load; the batch comes first.
 *
 * @throws ShapeError for an x, state or lengths of another shape, RangeError for a dropout outside of [0, 1)
 */
export class GRU extends Recurrent {
  constructor(inputs: number, hidden: number, options?: RecurrentOptions) {
    checkArguments(newCall('GRU'), sizes, [inputs, hidden])
    super(gru.gates, inputs, hidden, settle(newCall('GRU'), options, recurrentOptions))
  }

  /**
   * All steps: the output of the last layer at every step, [batch, time, directions · hidden], and the last states.
   * @param x [batch, time, inputs]; the state is [layers · directions, batch, hidden]
   */
  forward(x: Tensor, options?: RecurrentForwardOptions<Tensor>): RecurrentResult<Tensor> {
    const { output, states } = this.run(gru, x, options)
    return { output, state: states[0] }
  }
}

/**
 * An LSTM (Hochreiter and Schmidhuber 1997) over sequences, the steps of {@link LSTMCell}: x [batch, time, inputs] → { output, state }.
 * Parameters are named as in PyTorch's `nn.LSTM`, with its order of gates (i, f, g, o), so that its state dicts load; the batch comes first.
 *
 *     const lstm = new LSTM(8, 16, { layers: 2, bidirectional: true })
 *     const { output, state } = lstm.forward(x, { lengths }) // output [batch, time, 32], state.hidden and state.cell [4, batch, 16]
 *
 * @throws ShapeError for an x, state or lengths of another shape, RangeError for a dropout outside of [0, 1)
 */
export class LSTM extends Recurrent {
  constructor(inputs: number, hidden: number, options?: RecurrentOptions) {
    checkArguments(newCall('LSTM'), sizes, [inputs, hidden])
    super(lstm.gates, inputs, hidden, settle(newCall('LSTM'), options, recurrentOptions))
  }

  /**
   * All steps: the output of the last layer at every step, [batch, time, directions · hidden], and the last states.
   * @param x [batch, time, inputs]; hidden and cell of the state are [layers · directions, batch, hidden]
   */
  forward(x: Tensor, options?: RecurrentForwardOptions<LSTMState>): RecurrentResult<LSTMState> {
    const { output, states } = this.run(lstm, x, options)
    return { output, state: { hidden: states[0], cell: states[1] } }
  }
}
