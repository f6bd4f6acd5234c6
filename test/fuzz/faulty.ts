// Readers with faults, which a fuzz test must find.

import { DataError } from '../../src/io/index.ts'
import type { Reader } from './readers.ts'

const reader = (read: Reader['read']): Reader => ({
  samples: async () => [{ name: 'a', bytes: Uint8Array.of(1, 2, 3), format: 'bytes' }],
  read,
})

export const readers: Readonly<Record<string, Reader>> = {
  typed: reader(async file => {
    throw new DataError('is wrong', { file })
  }),
  nameless: reader(async () => {
    throw new DataError('is wrong')
  }),
  crash: reader(async () => {
    throw new TypeError('undefined is not a function')
  }),
  late: reader(async () => {
    void Promise.reject(new TypeError('nobody waits for this'))
  }),
  hang: reader(async () => {
    for (;;);
  }),
  large: reader(async () => new Uint8Array(2 ** 30).fill(1).length),
  exit: reader(async () => process.exit(3)),
}
