// One record for every operation; a test fails if an operation has none. OPERATION=softmax,gelu selects only those.

import { activation } from './records/activation.ts'
import { arrange } from './records/arrange.ts'
import { attention } from './records/attention.ts'
import { convolution } from './records/convolution.ts'
import { diagonals } from './records/diagonals.ts'
import { dropout } from './records/dropout.ts'
import { einsum } from './records/einsum.ts'
import { elementwise } from './records/elementwise.ts'
import { gather } from './records/gather.ts'
import { indexing } from './records/indexing.ts'
import { interpolation } from './records/interpolation.ts'
import { matmul } from './records/matmul.ts'
import { movement } from './records/movement.ts'
import { normalization } from './records/normalization.ts'
import { order } from './records/order.ts'
import { pooling } from './records/pooling.ts'
import type { OperationRecord } from './records/record.ts'
import { reduce } from './records/reduce.ts'
import { sampling } from './records/sampling.ts'
import { softmax } from './records/softmax.ts'

export const allRecords: readonly OperationRecord[] = [
  ...elementwise,
  ...activation,
  ...reduce,
  ...matmul,
  ...einsum,
  ...movement,
  ...arrange,
  ...diagonals,
  ...gather,
  ...indexing,
  ...sampling,
  ...order,
  ...softmax,
  ...normalization,
  ...attention,
  ...dropout,
  ...convolution,
  ...pooling,
  ...interpolation,
]

const only = process.env.OPERATION?.split(',')

/** Whether tests of this operation are selected. */
export const isAsked = (name: string): boolean => only?.includes(name) ?? true

export const records: readonly OperationRecord[] = allRecords.filter(({ name }) => isAsked(name))
