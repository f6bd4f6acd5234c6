// Twenty steps of each algorithm beside PyTorch's, in float64. test/golden/optimizers.py computed the numbers.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { Module, parameter } from '../../src/nn/index.ts'
import { Adagrad, Adam, AdamW, Muon, type OptimizerOptions, RMSprop, SGD } from '../../src/optim/index.ts'
import { fromData } from '../../src/tensor/index.ts'
import { assertCloseNumbers } from '../support.ts'
import { numbers } from './plain.ts'

const algorithms = { SGD, AdamW, Adam, RMSprop, Adagrad, Muon }

interface Golden {
  readonly algorithm: keyof typeof algorithms
  readonly options: OptimizerOptions
  readonly shape: readonly number[]
  readonly start: readonly number[]
  readonly end: readonly number[]
}

const file = new URL('../golden/optimizers.json', import.meta.url)
const { cases } = JSON.parse(readFileSync(file, 'utf8')) as { readonly cases: readonly Golden[] }

for (const { algorithm, options, shape, start, end } of cases)
  test(`${algorithm} ${JSON.stringify(options)} of ${shape} makes PyTorch's steps`, () => {
    class One extends Module {
      readonly weight = parameter(shape, () => fromData(Float64Array.from(start), shape))
    }
    const { weight } = new One()
    const optimizer = new algorithms[algorithm](new Map([['weight', weight]]), options)
    for (let step = 0; step < 20; step++) {
      const gradient = numbers(weight).map((w, i) => ((i + 1) * w) / weight.size + Math.sin(7 * step + 1.3 * i))
      optimizer.step(new Map([['weight', fromData(Float64Array.from(gradient), shape)]]))
    }
    assertCloseNumbers(numbers(weight), [...end], 1e-11)
    assert.notDeepEqual(end, start)
  })
