// The weights and the batch from which every framework starts, made by cocagrad where the framework runs.

import { device } from 'cocagrad'
import { type SizeName, sizes, trainingStep } from '../../../bench/model.ts'
import type { Start } from '../../../bench/peers/weights.ts'

export async function startOf(size: SizeName): Promise<Start> {
  await device.use('cpu', { threads: 1 })
  const { model, images, ids } = trainingStep(sizes[size])
  const state = model.stateDict()
  const names = [...state.keys()]
  return {
    config: sizes[size].config,
    batch: sizes[size].batch,
    names,
    parameters: model.parameterCount(),
    async parameter(name) {
      const x = state.get(name)!
      return { shape: x.shape, data: (await x.data()) as Float32Array }
    },
    images: { shape: images.shape, data: (await images.data()) as Float32Array },
    ids: { shape: ids.shape, data: (await ids.data()) as Int32Array },
  }
}
