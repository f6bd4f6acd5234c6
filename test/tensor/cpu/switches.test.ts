// Both branches of every condition of the kernels of the cpu device: in WebAssembly, with BLAS and in machine code, on one thread and on
// several, in memory that shows elements which are not written. A device is opened once per process, so each setting has its own
// process. In short, each setting takes a part of the layouts, so that every layout of every call is made on one thread or on three,
// and every layout of a product in two of the settings; in full, each takes them all.

import { before, describe, test } from 'node:test'
import { device, scope } from '../../../src/tensor/index.ts'
import { isAgain, runAgain } from '../../again.ts'
import { isLong } from '../../support.ts'
import { elements, inMachineCode, manyScores, type Part, products, type SwitchCheck } from '../switches/index.ts'
import { everyInstructions, missing } from './machine/support.ts'
import { checkBounds } from './watched.ts'

interface Setting {
  readonly environment: Readonly<Record<string, string>>
  /** what is checked, and in short which part of the layouts on one thread */
  readonly checks: readonly (readonly [checks: readonly SwitchCheck[], part: Part])[]
  readonly skip?: string | false
}

/** The part of a setting on three threads: the other half, or half of all further on. */
const opposite = ({ index, of }: Part): Part => ({ index: (index + of / 2) % of, of })

const settings: Readonly<Record<string, Setting>> = {
  'in WebAssembly': {
    environment: { COCAGRAD_MACHINE_CODE: 'off', COCAGRAD_BLAS: 'off' },
    checks: [
      [products, { index: 0, of: 4 }],
      [[...elements, ...manyScores], { index: 0, of: 2 }],
    ],
  },
  // BLAS makes products and nothing else
  'with BLAS': { environment: { COCAGRAD_MACHINE_CODE: 'off' }, checks: [[products, { index: 1, of: 4 }]] },
  ...Object.fromEntries(
    everyInstructions.map((instructions, i): [string, Setting] => [
      `with ${instructions}`,
      {
        environment: { COCAGRAD_MACHINE_CODE: instructions, COCAGRAD_BLAS: 'off' },
        checks: [[[...products, ...inMachineCode], { index: i, of: 4 }]],
        skip: missing(instructions),
      },
    ]),
  ),
}

const NAME = 'COCAGRAD_TEST_SETTING'

describe('every switch has the results of the reference on both sides', { concurrency: isAgain ? 1 : 2 }, () => {
  if (!isAgain) {
    for (const [name, { environment, skip }] of Object.entries(settings))
      for (const threads of ['1', '3'])
        test(`${name}, ${threads === '1' ? 'alone' : 'on three threads'}`, { skip }, () =>
          runAgain(import.meta.url, { ...environment, [NAME]: name, COCAGRAD_THREADS: threads }),
        )
    return
  }
  before(() => device.open('cpu'))
  for (const [checks, part] of settings[process.env[NAME]!].checks)
    for (const { name, run } of checks)
      test(name, async () => {
        const some = isLong ? undefined : process.env.COCAGRAD_THREADS === '1' ? part : opposite(part)
        await scope(() => run(device.get('cpu'), Number.POSITIVE_INFINITY, some))
        checkBounds()
      })
})
