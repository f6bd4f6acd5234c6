// One record for every operation. A test fails when one has none.

import { elementwise } from './records/elementwise.ts'
import { gather } from './records/gather.ts'
import { movement } from './records/movement.ts'
import { network } from './records/network.ts'
import type { OperationRecord } from './records/record.ts'
import { reduce } from './records/reduce.ts'

export const records: readonly OperationRecord[] = [...elementwise, ...reduce, ...movement, ...gather, ...network]
