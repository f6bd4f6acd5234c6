// What takes the place of index.ts in the one-file build without the gpu device.

import { DeviceError, type DeviceReport } from '../device.ts'

const reason = 'this file is cocagrad without GPU.js; cocagrad.min.js has the gpu device'

/** @throws DeviceError */
export async function openGpu(): Promise<never> {
  throw new DeviceError(`gpu: ${reason}`, 'gpu', [reason])
}

export const probeGpu = async (): Promise<DeviceReport[]> => [{ name: 'gpu', available: false, detail: reason }]
