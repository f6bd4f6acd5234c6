// The functions of modules.py, here.

import { concat, type TensorFunction } from '../../../src/autograd/index.ts'
import {
  GRU,
  GRUCell,
  Linear,
  LSTM,
  LSTMCell,
  type Module,
  MultiHeadAttention,
  RNN,
  RNNCell,
  rotary,
  weightNorm,
  withParameters,
} from '../../../src/nn/index.ts'
import { type Tensor, tensor } from '../../../src/tensor/index.ts'
import type { Functions } from './functions.ts'

/** A module as a function of `count` inputs and its parameters, with its results flattened and joined. */
function of<M extends Module>(
  make: () => M,
  count: number,
  run: (module: M, ...inputs: Tensor[]) => Tensor,
): TensorFunction {
  return (...xs) => {
    const module = make()
    return withParameters(module, xs.slice(count), () => run(module, ...xs.slice(0, count)))
  }
}

const joined = (...xs: readonly Tensor[]): Tensor => concat(xs.map(x => x.reshape([x.size])))
const lengths = (...list: number[]): Tensor => tensor(list, { dtype: 'int32' })
const both = { bidirectional: true }

export const modules: Functions = {
  RNN: of(
    () => new RNN(2, 3),
    1,
    (rnn, x) => {
      const { output, state } = rnn.forward(x)
      return joined(output, state)
    },
  ),
  'RNN of relu, without biases': of(
    () => new RNN(2, 2, { activation: 'relu', bias: false }),
    1,
    (rnn, x) => {
      const { output, state } = rnn.forward(x)
      return joined(output, state)
    },
  ),
  'GRU, both ways, with a state': of(
    () => new GRU(2, 2, both),
    2,
    (gru, x, before) => {
      const { output, state } = gru.forward(x, { state: before })
      return joined(output, state)
    },
  ),
  'GRU of two layers, with lengths': of(
    () => new GRU(2, 2, { layers: 2 }),
    1,
    (gru, x) => {
      const { output, state } = gru.forward(x, { lengths: lengths(1, 3) })
      return joined(output, state)
    },
  ),
  'LSTM of two layers, both ways': of(
    () => new LSTM(2, 2, { layers: 2, ...both }),
    1,
    (lstm, x) => {
      const { output, state } = lstm.forward(x)
      return joined(output, state.hidden, state.cell)
    },
  ),
  'LSTM, with a state and lengths': of(
    () => new LSTM(2, 2, both),
    3,
    (lstm, x, hidden, cell) => {
      const { output, state } = lstm.forward(x, { state: { hidden, cell }, lengths: lengths(3, 2) })
      return joined(output, state.hidden, state.cell)
    },
  ),
  RNNCell: of(
    () => new RNNCell(2, 3),
    2,
    (cell, x, h) => cell.forward(x, h),
  ),
  GRUCell: of(
    () => new GRUCell(2, 3),
    2,
    (cell, x, h) => cell.forward(x, h),
  ),
  LSTMCell: of(
    () => new LSTMCell(2, 2),
    3,
    (lstm, x, hidden, cell) => {
      const after = lstm.forward(x, { hidden, cell })
      return joined(after.hidden, after.cell)
    },
  ),
  weightNorm: of(
    () => weightNorm(new Linear(3, 2)),
    1,
    (layer, x) => layer.forward(x),
  ),
  'grouped queries': of(
    () => new MultiHeadAttention({ width: 4, heads: 4, keyHeads: 2 }),
    1,
    (attention, x) => attention.forward(x, { causal: true }),
  ),
  rotary: x => rotary(x),
  'rotary, interleaved': x => rotary(x, { pairs: 'interleaved' }),
}
