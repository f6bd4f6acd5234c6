// What a subject has to give: a function of tensors for each of its cases.

import type { TensorFunction } from '../../../src/autograd/index.ts'

/** By the name of the case. */
export type Functions = Readonly<Record<string, TensorFunction>>
