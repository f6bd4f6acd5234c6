// The device that defines every operation: float32 and float64 in plain loops over ndarray views. It is written to be
// readable, all other devices are tested against it, and it is fast enough to train a tiny model.

import type { Device } from '../device.ts'
import { allocate, dtypeOf, type TypedArray } from '../dtype.ts'
import { fill } from '../fill.ts'
import { sizeOf } from '../shape.ts'
import { Storage, type View } from '../storage.ts'
import { Tensor } from '../tensor.ts'
import { referenceKernels } from './kernels.ts'
import { create, forEachRun, type Nd, view } from './loops.ts'

const use = { bytes: 0, buffers: 0 }

function count(data: TypedArray): TypedArray {
  use.bytes += data.byteLength
  use.buffers += 1
  return data
}

function readSync(x: View): TypedArray {
  const from = view(x)
  const out = create(x.storage.dtype, x.shape)
  forEachRun([out, from], ([o, i], n, [, step]) => {
    for (let k = 0; k < n; k++) out.data[o + k] = from.data[i + k * step]
  })
  return out.data
}

const tensorOf = (x: Nd): Tensor =>
  new Tensor(new Storage(reference, dtypeOf(x.data), x.data.length, count(x.data)), x.shape)

export const reference: Device = {
  name: 'reference',
  isManaged: true,
  description: 'plain loops over ndarray views, float32 and float64',
  dtypes: ['float32', 'float64', 'int32', 'bool'],
  kernels: referenceKernels(tensorOf),
  upload: data => count(data.slice()),
  uploadPieces(dtype, length, pieces) {
    const whole = allocate(dtype, length)
    fill(whole, pieces)
    return count(whole)
  },
  read: async x => readSync(x),
  readSync,
  elements({ storage, shape, offset }) {
    return (storage.handle as TypedArray).subarray(offset, offset + sizeOf(shape))
  },
  free(handle) {
    use.bytes -= (handle as TypedArray).byteLength
    use.buffers -= 1
  },
  memory: () => ({ ...use }),
}
