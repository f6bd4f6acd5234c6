// Small models for tests: in float64, with weights large enough that every part matters.

import assert from 'node:assert/strict'
import '../reference.ts'
import { CoCa, type CoCaConfig } from '../../src/models/index.ts'
import { lossAndGradients, type Module, type Parameter } from '../../src/nn/index.ts'
import { Generator, randn, seed, type Tensor, tensor } from '../../src/tensor/index.ts'

export const pad = 0
export const start = 1
export const end = 2

export const small = {
  image: { size: 8, patch: 4, width: 12, layers: 1, heads: 2, hidden: 16 },
  text: { vocabulary: 7, context: 6, width: 8, heads: 2, hidden: 16, unimodalLayers: 2, multimodalLayers: 2, pad },
  pooler: { queries: 3, heads: 2 },
  embedding: 8,
} as const satisfies CoCaConfig

export const withoutPad: CoCaConfig = { ...small, text: { ...small.text, pad: undefined } }
/** The arrangements of the poolers, one without any, and one without a generative pooler. */
export const arrangements = ['cascade', 'parallel', 'shared', 'none', 'unpooled'] as const
export type ArrangementName = (typeof arrangements)[number]
export const arranged = (arrangement: ArrangementName, config: CoCaConfig = small): CoCaConfig => ({
  ...config,
  image: arrangement === 'none' ? { ...config.image, classToken: true, outputNorm: true } : config.image,
  pooler:
    arrangement === 'unpooled'
      ? { ...config.pooler, arrangement: 'parallel', queries: 0 }
      : { ...config.pooler, arrangement, ...(arrangement === 'none' && { queries: 0 }) },
})
/** With three [CLS] tokens. */
export const severalClassTokens: CoCaConfig = { ...small, text: { ...small.text, classTokens: 3 } }

/** All parameters as float64, each moved by normal noise, so that nothing is zero or one by initialisation. */
export function stirred<M extends Module>(make: () => M, number = 1, deviation = 0.3): M {
  seed(number)
  const model = make()
  const generator = new Generator(number).fork('stirred')
  for (const parameter of model.parameters()) {
    const noise = randn(parameter.shape, { dtype: 'float64', generator })
    parameter.assign(parameter.add(noise.mul(deviation)))
  }
  return model
}

/** A stirred CoCa with its temperature left as it was made. */
export function coca(config: CoCaConfig = small, number = 1, deviation = 0.3): CoCa {
  return stirred(() => new CoCa(config), number, deviation)
}

/** n pictures of the small size, float64. */
export const pictures = (n: number, number = 7, size = 8): Tensor =>
  randn([n, 3, size, size], { dtype: 'float64', generator: new Generator(number) })

export const ids = (rows: readonly (readonly number[])[]): Tensor => tensor(rows, { dtype: 'int32' })

/** Three texts: a full one, a short one, and a shorter one. */
export const texts = ids([
  [1, 3, 4, 5, 6, 2],
  [1, 5, 3, 2, 0, 0],
  [1, 6, 2, 0, 0, 0],
])

/** Gradients of a loss, or of a part of one, as plain numbers, by the parameter's name. */
export function gradientsOf(module: Module, f: () => Tensor): Map<string, number[]> {
  const { gradients } = lossAndGradients(module, f, { allowUnused: true })
  return new Map([...gradients].map(([name, gradient]) => [name, [...gradient.dataSync()]]))
}

export const largestOf = (numbers: Iterable<number>): number => Math.max(...[...numbers].map(Math.abs))

/** Σ w x with fixed normal weights w: a scalar under which no parts of x cancel. */
export const weighted = (x: Tensor): Tensor =>
  x.mul(randn(x.shape, { dtype: 'float64', generator: new Generator(99) })).sum()

/** The numbers of a row of a tensor's first axis. */
export const rowsOf = (x: Tensor): number[][] => {
  const data = [...x.dataSync()]
  const width = data.length / x.shape[0]
  return Array.from({ length: x.shape[0] }, (_, row) => data.slice(row * width, (row + 1) * width))
}

/** Names of parameters that start with one of these. */
export const among =
  (...prefixes: readonly string[]) =>
  (name: string): boolean =>
    prefixes.some(prefix => name.startsWith(prefix))

/** Copies weights from one module to another; `rename` gives the name there, and undefined leaves a parameter out. */
export function transplant(from: Module, to: Module, rename: (name: string) => string | undefined): void {
  const there = new Map<string, Parameter>(to.namedParameters())
  for (const [name, parameter] of from.namedParameters()) {
    const other = rename(name)
    if (other !== undefined) there.get(other)!.assign(parameter.add(0))
  }
}

/** Fails unless actual > bound, and says both. */
export const assertAbove = (actual: number, bound: number): void =>
  assert.ok(actual > bound, `${actual} is not above ${bound}`)

/** Fails unless actual < bound, and says both. */
export const assertBelow = (actual: number, bound: number): void =>
  assert.ok(actual < bound, `${actual} is not below ${bound}`)
