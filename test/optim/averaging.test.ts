// Averages of weights: over steps, and over models.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Tape } from '../../src/autograd/index.ts'
import { Linear, Module, type Parameter, parameter, StateDictError } from '../../src/nn/index.ts'
import { averageWeights, ExponentialMovingAverage } from '../../src/optim/index.ts'
import { ArgumentError, device, OptionsError, type Tensor, tensor, zeros } from '../../src/tensor/index.ts'
import { assertCloseNumbers } from '../support.ts'
import { gradientsAt, Loose, numbers, snapshot, TwoLayers } from './plain.ts'

/** Other values for every parameter. */
const move = (module: Module, step: number) => {
  for (const [name, value] of gradientsAt(module, step))
    new Map(module.namedParameters()).get(name)!.assign(value.cast(module.parameters()[0].dtype as 'float64'))
}

const averagesOf = (average: ExponentialMovingAverage) =>
  Object.fromEntries([...average.stateDict().tensors].map(([name, x]) => [name, numbers(x)]))

test('the average of t updates is the weighted sum of all weights', () => {
  const decay = 0.9
  for (const warmup of [true, false]) {
    const module = new Loose()
    const average = new ExponentialMovingAverage(module, { decay, warmup })
    const seen = [snapshot(module)]
    for (let step = 0; step < 150; step++) {
      move(module, step)
      average.update()
      seen.push(snapshot(module))
    }
    assert.equal(average.updates, 150)
    // θ̄ = Σ wₛ θₛ with wₛ = (1 - dₛ₋₁) Π dₜ over the later updates t, and w₀ = Π dₜ
    const kept = (n: number) => (warmup ? Math.min(decay, (1 + n) / (10 + n)) : decay)
    for (const [name, values] of Object.entries(averagesOf(average))) {
      const expected = values.map((_, i) => {
        let sum = 0
        let later = 1
        for (let s = seen.length - 1; s > 0; s--) {
          sum += later * (1 - kept(s - 1)) * seen[s][name][i]
          later *= kept(s - 1)
        }
        return sum + later * seen[0][name][i]
      })
      assertCloseNumbers(values, expected, 1e-12)
    }
  }
})

test('the average of weights that do not change is exactly these weights', async t => {
  await device.use('cpu')
  t.after(() => device.use('reference'))
  const module = new TwoLayers()
  const before = snapshot(module)
  const average = new ExponentialMovingAverage(module)
  for (let step = 0; step < 20; step++) average.update()
  assert.deepEqual(averagesOf(average), before)
})

test('within gives the model its averages, and restores the weights bit for bit, also after an error', async () => {
  const module = new TwoLayers()
  const average = new ExponentialMovingAverage(module, { decay: 0.5, warmup: false })
  move(module, 1)
  average.update()
  const [weights, averages] = [snapshot(module), averagesOf(average)]
  assert.deepEqual(
    average.within(() => snapshot(module)),
    averages,
  )
  assert.deepEqual(snapshot(module), weights)
  const later = await average.within(async () => {
    await Promise.resolve()
    return snapshot(module)
  })
  assert.deepEqual(later, averages)
  assert.throws(() => average.within(() => assert.fail('no')), /no/)
  await assert.rejects(
    average.within(() => Promise.reject(new Error('no'))),
    /no/,
  )
  assert.deepEqual([snapshot(module), averagesOf(average), average.isSwapped], [weights, averages, false])
  average.swap()
  assert.deepEqual([snapshot(module), average.isSwapped], [averages, true])
  assert.throws(() => average.update(), /the parameters have their averages now/)
  assert.throws(() => average.stateDict(), /call swap before/)
  assert.throws(() => average.within(() => 0), /have their averages already/)
  average.swap()
  assert.deepEqual(snapshot(module), weights)
})

test('an average that is saved and loaded goes on bit for bit', () => {
  const module = new TwoLayers()
  const average = new ExponentialMovingAverage(module, { decay: 0.95 })
  for (let step = 0; step < 5; step++) {
    move(module, step)
    average.update()
  }
  const { tensors, values } = average.stateDict()
  const saved = new Map([...tensors].map(([name, x]) => [name, tensor(x.dataSync(), { shape: x.shape })]))
  const twin = new TwoLayers().loadStateDict(module.stateDict())
  const resumed = new ExponentialMovingAverage(twin, { decay: 0.95 })
  resumed.loadStateDict({ tensors: saved, values: JSON.parse(JSON.stringify(values)) })
  for (const [model, of] of [[module, average], [twin, resumed]] as const) // biome-ignore format: a list
    for (let step = 5; step < 40; step++) {
      move(model, step)
      of.update()
    }
  assert.deepEqual([resumed.updates, averagesOf(resumed)], [40, averagesOf(average)])
})

test('parameters that are frozen need no average until they are trained', () => {
  const module = new TwoLayers()
  module.first.freeze()
  const average = new ExponentialMovingAverage(module)
  assert.deepEqual(Object.keys(averagesOf(average)), ['second.weight', 'second.bias'])
  const frozen = numbers(module.first.weight)
  average.update()
  assert.deepEqual(
    average.within(() => numbers(module.first.weight)),
    frozen,
  )
  module.first.freeze(false)
  average.update()
  const { tensors, values } = average.stateDict()
  assert.deepEqual(numbers(tensors.get('first.weight')!), frozen)
  const twin = new TwoLayers()
  twin.first.freeze()
  const resumed = new ExponentialMovingAverage(twin).loadStateDict({ tensors: new Map(tensors), values })
  assert.deepEqual(averagesOf(resumed), averagesOf(average))
})

test('an average within bounds of the weights stays within them in float32', async t => {
  await device.use('cpu')
  t.after(() => device.use('reference'))
  class One extends Module {
    readonly logScale: Parameter = parameter([], () => tensor(Math.log(14)))
  }
  const module = new One()
  const most = Math.fround(Math.log(100))
  const average = new ExponentialMovingAverage(module, { decay: 0.7 })
  for (let step = 0; step < 200; step++) {
    module.logScale.assign(tensor(most))
    average.update()
    const [value] = numbers(average.stateDict().tensors.get('logScale')!)
    assert.ok(value <= most, `${value} after ${step} updates`)
  }
})

test('a tape does not record an update, and memory does not grow', async t => {
  await device.use('cpu')
  t.after(() => device.use('reference'))
  const module = new TwoLayers()
  const average = new ExponentialMovingAverage(module)
  const tape = new Tape()
  tape.watch(module.first.weight)
  tape.run(() => {
    module.first.weight.sum()
    average.update()
  })
  assert.match(String(tape), /sum/)
  assert.doesNotMatch(String(tape), /sub|mul/)
  average.update()
  const { bytes } = device.get().memory()
  for (let i = 0; i < 20; i++) {
    average.update()
    average.within(() => 0)
  }
  assert.equal(device.get().memory().bytes, bytes)
})

test('averages are the same on all devices, and move between them', async t => {
  t.after(() => device.use('reference'))
  const results: Record<string, number[]>[] = []
  for (const name of ['reference', 'cpu', 'gpu'] as const) {
    await device.use(name, name === 'gpu' ? { backend: 'cpu' } : {})
    const module = new Linear(3, 2)
    const values = (step: number) =>
      tensor(
        Float32Array.from([1, 2, 3, 4, 5, 6], x => Math.sin(x * (step + 1))),
        { shape: [2, 3] },
      )
    module.weight.assign(values(0))
    module.bias!.assign(zeros([2], { dtype: 'float32' }))
    const average = new ExponentialMovingAverage(module, { decay: 0.8 })
    for (let step = 1; step < 10; step++) {
      module.weight.assign(values(step))
      average.update()
    }
    await device.use('reference')
    await average.to('reference')
    results.push(averagesOf(average))
  }
  for (const result of results.slice(1))
    for (const [name, values] of Object.entries(result)) assertCloseNumbers(values, results[0][name], 1e-6)
})

test('what does not fit is refused', () => {
  const module = new TwoLayers()
  for (const decay of [-0.1, 1, Number.NaN])
    assert.throws(() => new ExponentialMovingAverage(module, { decay }), /decay = .*must be in \[0, 1\)/)
  assert.throws(() => new ExponentialMovingAverage(module, { dekay: 0.9 } as never), OptionsError)
  assert.throws(() => new ExponentialMovingAverage({} as never), ArgumentError)
  const average = new ExponentialMovingAverage(module)
  const before = averagesOf(average)
  const { tensors } = average.stateDict()
  const load = (change: (tensors: Map<string, Tensor>) => void, updates = 1) => {
    const changed = new Map<string, Tensor>(tensors)
    changed.set('first.bias', tensor(new Float64Array(8).fill(9)))
    change(changed)
    average.loadStateDict({ tensors: changed, values: { updates } })
  }
  assert.throws(() => load(x => x.delete('second.bias')), StateDictError)
  assert.throws(() => load(x => x.set('third', tensor(1))), /not in the module: third/)
  assert.throws(() => load(x => x.set('second.bias', tensor([1, 2, 3]))), /second.bias is \[2\] here and \[3\] there/)
  assert.throws(() => load(() => {}, 1.5), /updates = 1.5/)
  assert.throws(() => average.loadStateDict({} as never), /what stateDict of an ExponentialMovingAverage gives/)
  assert.deepEqual(averagesOf(average), before)
})

test('averageWeights is the mean of the weights, and exact for equal models', () => {
  const models = [1, 2, 3].map(seed => new Loose(10 * seed))
  const mean = averageWeights(models)
  const all = models.map(snapshot)
  for (const [name, value] of mean)
    assertCloseNumbers(
      numbers(value),
      all[0][name].map((_, i) => (all[0][name][i] + all[1][name][i] + all[2][name][i]) / 3),
      1e-14,
    )
  const twins = [0, 1, 2].map(() => new Loose(5))
  const soup = new Loose(9).loadStateDict(averageWeights(twins))
  assert.deepEqual(snapshot(soup), snapshot(twins[0]))
  assert.deepEqual(snapshot(new Loose(9).loadStateDict(averageWeights([twins[0]]))), snapshot(twins[0]))
  assert.throws(() => averageWeights([]), ArgumentError)
  assert.throws(() => averageWeights(models[0] as never), /write averageWeights\(\[model\]\)/)
  assert.throws(
    () => averageWeights([new Linear(2, 3), new Linear(2, 4)]),
    /weight is \[3, 2\] here and \[4, 2\] there/,
  )
  assert.throws(() => averageWeights([new Linear(2, 3), new Linear(2, 3, { bias: false })]), /missing: bias/)
})
