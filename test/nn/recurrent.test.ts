// Recurrent networks beside their cells, and what the lengths of sequences change. Their numbers stand beside PyTorch's in
// test/golden/pytorch.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Tape } from '../../src/autograd/index.ts'
import { GRU, GRUCell, LSTM, LSTMCell, RNN, RNNCell } from '../../src/nn/index.ts'
import { type Tensor, tensor, zeros } from '../../src/tensor/index.ts'
import { assertClose, values } from '../support.ts'
import { random, randomize } from './support.ts'

const lengths = (...list: number[]) => tensor(list, { dtype: 'int32' })

/** The parameters of a layer in the fields of a cell. */
const ofLayer = (state: ReadonlyMap<string, Tensor>) =>
  new Map([...state].map(([name, value]) => [name.replace('_l0', ''), value]))

test('a layer takes the steps of its cell', () => {
  const x = random([2, 4, 3])
  const steps = [0, 1, 2, 3].map(t => x.slice([{}, t]))
  for (const [layer, cell] of [
    [new RNN(3, 2), new RNNCell(3, 2)],
    [new GRU(3, 2), new GRUCell(3, 2)],
  ] as const) {
    randomize(layer)
    cell.double().loadStateDict(ofLayer(layer.stateDict()))
    const { output, state } = layer.forward(x)
    let h: Tensor = zeros([2, 2], { dtype: 'float64' })
    for (const [t, step] of steps.entries()) {
      h = cell.forward(step, t === 0 ? undefined : h)
      assertClose(output.slice([{}, t]), { shape: [2, 2], data: values(h) })
    }
    assertClose(state, { shape: [1, 2, 2], data: values(h) })
  }
  const lstm = randomize(new LSTM(3, 2))
  const cell = new LSTMCell(3, 2).double().loadStateDict(ofLayer(lstm.stateDict()))
  const { output, state } = lstm.forward(x)
  let after = cell.forward(steps[0])
  for (const step of steps.slice(1)) after = cell.forward(step, after)
  assertClose(output.slice([{}, 3]), { shape: [2, 2], data: values(after.hidden) })
  assertClose(state.cell, { shape: [1, 2, 2], data: values(after.cell) })
})

test('a sequence with a length gives what it gives alone, and zeros beyond its length', () => {
  const x = random([2, 4, 3])
  for (const layers of [new LSTM(3, 2, { layers: 2, bidirectional: true }), new GRU(3, 2, { bidirectional: true })]) {
    randomize(layers)
    const stateOf = ({ state }: ReturnType<typeof layers.forward>) => ('cell' in state ? state.cell : state)
    const both = layers.forward(x, { lengths: lengths(4, 2) })
    const alone = layers.forward(x.slice([{ start: 1 }, { stop: 2 }]))
    const [, time, width] = both.output.shape
    assertClose(both.output.slice([1, { stop: 2 }]), { shape: [2, width], data: values(alone.output) })
    assert.deepEqual(values(both.output.slice([1, { start: 2 }])), new Array((time - 2) * width).fill(0))
    const own = stateOf(both).slice([{}, 1])
    assertClose(own, { shape: own.shape, data: values(stateOf(alone)) })
    const whole = layers.forward(x)
    assertClose(both.output.slice([0]), { shape: [4, width], data: values(whole.output.slice([0])) })
  }
})

test('the way from the end is the way forward over the reversed sequence', () => {
  const both = randomize(new GRU(3, 2, { bidirectional: true }))
  const forward = new GRU(3, 2).double()
  const reverse = [...both.stateDict()].filter(([name]) => name.endsWith('_reverse'))
  forward.loadStateDict(new Map(reverse.map(([name, value]) => [name.replace('_reverse', ''), value])))
  const x = random([2, 4, 3])
  const expected = forward.forward(x.flip(1)).output.flip(1)
  assertClose(both.forward(x).output.slice([{}, {}, { start: 2 }]), { shape: [2, 4, 2], data: values(expected) })
})

test('a length of 0 leaves the state as it was', () => {
  const gru = randomize(new GRU(3, 2))
  const state = random([1, 2, 2])
  const after = gru.forward(random([2, 3, 3]), { state, lengths: lengths(0, 3) }).state
  assert.deepEqual(values(after.slice([0, 0])), values(state.slice([0, 0])))
  assert.notDeepEqual(values(after.slice([0, 1])), values(state.slice([0, 1])))
})

test('the input is multiplied once for all steps of a layer', () => {
  for (const [layers, ways] of [
    [new LSTM(3, 2, { layers: 2 }), 2],
    [new GRU(3, 2, { bidirectional: true }), 2],
    [new RNN(3, 2), 1],
  ] as const) {
    const names = (time: number) => {
      const tape = new Tape()
      for (const parameter of layers.parameters()) tape.watch(parameter)
      tape.run(() => layers.forward(zeros([2, time, 3])).output)
      return tape.entries.map(({ name }) => name)
    }
    // the state is multiplied at every step
    for (const time of [1, 4]) assert.equal(names(time).filter(name => name === 'linear').length, ways * (1 + time))
  }
})

test('parameters have the names and shapes of PyTorch', () => {
  const named = [...new GRU(3, 2, { layers: 2, bidirectional: true }).namedParameters()]
  assert.deepEqual(
    named.map(([name, { shape }]) => `${name} ${shape}`),
    ['l0', 'l0_reverse', 'l1', 'l1_reverse'].flatMap(end => [
      `weight_ih_${end} 6,${end.startsWith('l0') ? 3 : 4}`,
      `weight_hh_${end} 6,2`,
      `bias_ih_${end} 6`,
      `bias_hh_${end} 6`,
    ]),
  )
  assert.deepEqual(
    [...new LSTM(3, 2, { bias: false }).stateDict()].map(([name, { shape }]) => `${name} ${shape}`),
    ['weight_ih_l0 8,3', 'weight_hh_l0 8,2'],
  )
})

test('dropout is between layers, in training alone', () => {
  const layers = new LSTM(3, 8, { layers: 2, dropout: 0.5 })
  const x = random([1, 3, 3]).cast('float32')
  const run = () => values(layers.forward(x).output)
  assert.notDeepEqual(run(), run())
  layers.eval()
  assert.deepEqual(run(), run())
  const one = new LSTM(3, 8, { dropout: 0.5 })
  assert.deepEqual(values(one.forward(x).output), values(one.forward(x).output))
})

test('what does not fit is named', () => {
  const lstm = new LSTM(3, 2)
  const x = zeros([2, 4, 3])
  assert.throws(
    () => lstm.forward(zeros([4, 3])),
    /LSTM: x must be \[batch, time, 3\], not \[4, 3\]; write x.unsqueeze\(0\)/,
  )
  assert.throws(() => lstm.forward(zeros([2, 0, 3])), /must have a step/)
  assert.throws(() => lstm.forward(zeros([2, 4, 3], { dtype: 'int32' })), /must be floating, not int32/)
  const state = zeros([1, 2, 2])
  assert.throws(
    () => lstm.forward(x, { state: { hidden: state, cell: zeros([2, 2]) } }),
    /must be \[1, 2, 2\], not \[2, 2\]/,
  )
  assert.throws(() => lstm.forward(x, { state: state as never }), /LSTM: the state must be { hidden, cell }/)
  assert.throws(() => new GRU(3, 2).forward(x, { state: {} as never }), /GRU: the state must be a tensor/)
  assert.throws(
    () => lstm.forward(x, { lengths: lengths(1) }),
    /lengths must be \[2\], one for each sequence, not \[1\]/,
  )
  assert.throws(() => lstm.forward(x, { lengths: zeros([2]) }), /lengths must be int32, not float32/)
  assert.throws(() => new LSTM(3, 2, { dropout: 1 }), /LSTM: the dropout must be in \[0, 1\), not 1/)
  assert.throws(() => new GRUCell(3, 2).forward(zeros([3])), /GRUCell: x must be \[batch, 3\], not \[3\]/)
})
