// Random programs of operations have the same properties as single operations: they are compared with finite differences, laws,
// checkpoint and the cpu.

import { it } from 'node:test'
import type { TensorFunction } from '../../src/autograd/index.ts'
import type { Tensor } from '../../src/tensor/index.ts'
import { checkCheckpoint, checkDevice, checkGradients, checkLaws } from '../../src/testing/index.ts'
import { fc, runs } from '../support.ts'
import { programs } from './records/programs.ts'

const holds = (check: (f: TensorFunction, xs: readonly Tensor[]) => void | Promise<void>) =>
  fc.assert(
    fc.asyncProperty(programs, async ({ options: { f }, inputs }) => check(f, inputs)),
    runs(25),
  )

it('the first and second derivatives of a program equal finite differences', () =>
  holds((f, xs) => checkGradients(f, xs, { order: 2 })))

it('a program obeys the laws', () => holds(checkLaws))

it('checkpoint does not change a program', () => holds(checkCheckpoint))

it('a program is the same on cpu', () => holds((f, xs) => checkDevice(f, xs, 'cpu')))
