// The training step in cocagrad.

import { type CpuDevice, device } from 'cocagrad'
import { sizes, trainingStep } from '../../../bench/model.ts'
import type { Open } from './measure.ts'

export const open: Open = async ({ backend, size, threads }) => {
  if (backend === 'cpu') {
    await device.use('cpu', { threads })
    await (device.get() as CpuDevice).ready
  } else await device.use('gpu')
  const { model, step } = trainingStep(sizes[size])
  return { step, parameters: model.parameterCount(), description: device.description }
}
