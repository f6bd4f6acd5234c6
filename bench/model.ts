// The training step of the benchmarks: a CoCa with one shared pooler, its batch and its optimizer, in three sizes. Other
// frameworks run the same model; a different number of parameters means that the model differs.

import {
  AdamW,
  CoCa,
  type CoCaConfig,
  capture,
  Generator,
  lossAndGradients,
  randint,
  randn,
  scope,
  seed,
  sidesOf,
  type Tensor,
} from '../src/index.ts'

export interface Size {
  readonly config: CoCaConfig
  readonly batch: number
  readonly parameters: number
}

const size = (
  [imageSize, patch]: readonly [number, number],
  [width, heads]: readonly [number, number],
  [layers, unimodalLayers, multimodalLayers]: readonly [number, number, number],
  [queries, context, vocabulary]: readonly [number, number, number],
  batch: number,
  parameters: number,
): Size => ({
  config: {
    image: { size: imageSize, patch, width, layers, heads },
    text: { vocabulary, context, width, heads, unimodalLayers, multimodalLayers },
    pooler: { arrangement: 'shared', queries, heads },
    embedding: width,
  },
  batch,
  parameters,
})

export const sizes = {
  tiny: size([32, 8], [64, 4], [2, 1, 1], [8, 12, 64], 32, 265_153),
  small: size([64, 8], [192, 3], [6, 3, 3], [32, 24, 1024], 16, 6_462_593),
  medium: size([128, 16], [384, 6], [12, 6, 6], [64, 32, 8192], 8, 53_686_785),
} as const

export type SizeName = keyof typeof sizes

/** Steps that are not timed: JavaScript engines compile while they run, for about a second. */
export const warmups: Readonly<Record<SizeName, number>> = { tiny: 60, small: 20, medium: 3 }

export interface TrainingStep {
  readonly model: CoCa
  readonly images: Tensor
  readonly ids: Tensor
  /** Runs forward, loss, backward and update; returns the loss before the update. */
  readonly step: () => Promise<number>
}

/**
 * The model, its inputs and its step on the current device, with the same numbers on every device.
 * @param isCaptured whether the kernels of the loss and its gradient run without their JavaScript after a few steps
 */
export function trainingStep(
  { config, batch: pairs }: Pick<Size, 'config' | 'batch'>,
  { isCaptured = false } = {},
): TrainingStep {
  seed(0)
  const model = new CoCa(config)
  const optimizer = new AdamW(model, { learningRate: 1e-4, betas: [0.9, 0.999], epsilon: 1e-8, weightDecay: 0.01 })
  const generator = new Generator(1)
  const images = randn([pairs, 3, ...sidesOf(config.image.size)], { generator })
  const ids = randint(0, config.text.vocabulary, [pairs, config.text.context], { generator })
  const plain = (images: Tensor, ids: Tensor) => lossAndGradients(model, () => model.loss(images, ids))
  const gradientsOf = isCaptured ? capture(plain) : plain
  const step = () =>
    scope(() => {
      const { loss, gradients } = gradientsOf(images, ids)
      optimizer.step(gradients)
      return loss.total.item()
    }, 'a training step')
  return { model, images, ids, step }
}
