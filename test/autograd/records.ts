// One record for every operation; a test fails when one has none. OPERATION=softmax,gelu keeps those alone.

import { elementwise } from './records/elementwise.ts'
import { gather } from './records/gather.ts'
import { movement } from './records/movement.ts'
import { network } from './records/network.ts'
import type { OperationRecord } from './records/record.ts'
import { reduce } from './records/reduce.ts'

export const allRecords: readonly OperationRecord[] = [...elementwise, ...reduce, ...movement, ...gather, ...network]

const only = process.env.OPERATION?.split(',')

/** Whether tests of this operation are asked for. */
export const isAsked = (name: string): boolean => only?.includes(name) ?? true

export const records: readonly OperationRecord[] = allRecords.filter(({ name }) => isAsked(name))
