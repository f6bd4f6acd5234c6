// Every operation and how it is called: what the tests, `cocagrad gradcheck` and printed programs draw from.

import type { OperationCases } from './case.ts'
import { elementwise } from './elementwise.ts'
import { gather } from './gather.ts'
import { movement } from './movement.ts'
import { network } from './network.ts'
import { reduce } from './reduce.ts'

export type { OperationCase, OperationCases } from './case.ts'

/** Ways to call each operation, by its name and by what each is about. */
export const operations = { ...elementwise, ...reduce, ...movement, ...gather, ...network } satisfies Readonly<
  Record<string, OperationCases>
>
