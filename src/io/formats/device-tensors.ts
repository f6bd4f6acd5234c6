// Tensors of a device as safetensors stores them, and back.

import { type DType, device, fromData, type Tensor, type TypedArray } from '../../tensor/index.ts'
import { SafetensorsError } from '../errors.ts'
import type { SafetensorsDtype, SafetensorsTensor } from './safetensors.ts'

/** How each dtype is stored. */
export const SAFETENSORS_DTYPE = {
  float32: 'F32',
  float64: 'F64',
  int32: 'I32',
  bool: 'BOOL',
} as const satisfies Record<DType, SafetensorsDtype>

/** The dtype of the current device that is stored so; undefined if it has none. */
export const dtypeStoredAs = (stored: SafetensorsDtype): DType | undefined =>
  device.get().dtypes.find(dtype => SAFETENSORS_DTYPE[dtype] === stored)

/**
 * Copies of tensors on the host, as they are written to a file:
 *
 *     const pieces = encodeSafetensors(await toSafetensors(model.stateDict()))
 *     const file = new Blob(pieces)
 */
export async function toSafetensors(tensors: ReadonlyMap<string, Tensor>): Promise<Map<string, SafetensorsTensor>> {
  const stored = new Map<string, SafetensorsTensor>()
  for (const [name, tensor] of tensors)
    stored.set(name, { dtype: SAFETENSORS_DTYPE[tensor.dtype], shape: tensor.shape, data: await tensor.data() })
  return stored
}

/**
 * Tensors of a file on the current device; float16 and bfloat16 have become float32.
 *
 *     model.loadStateDict(fromSafetensors((await readSafetensors(source)).tensors))
 *
 * @throws SafetensorsError for a dtype that the device does not have
 */
export function fromSafetensors(tensors: ReadonlyMap<string, SafetensorsTensor>): Map<string, Tensor> {
  const made = new Map<string, Tensor>()
  for (const [name, { dtype: stored, shape, data }] of tensors) {
    const dtype = dtypeStoredAs(stored === 'F16' || stored === 'BF16' ? 'F32' : stored)
    if (dtype === undefined)
      throw new SafetensorsError(
        `tensor '${name}' is ${stored}, but device ${device.current} supports ${device.get().dtypes.join(', ')}${stored === 'I64' ? '; toInt32 converts ids' : ''}`,
      )
    made.set(name, fromData(data as TypedArray, shape, undefined, dtype))
  }
  return made
}
