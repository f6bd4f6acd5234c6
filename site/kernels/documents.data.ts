// What the library says of its operations: the sentence of the docstring, the page of the reference, and whether there is a gradient.

import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { type OperationCases, type OperationName, operations } from '../../src/testing/operations/index.ts'

/** Written by scripts/reference.js. */
interface Written {
  readonly about: string
  readonly page: string
  readonly group: string
}
export interface Documented extends Written {
  readonly hasGradient: boolean
}

declare const data: Readonly<Record<OperationName, Documented>>

export { data }

export default {
  load(): Readonly<Record<string, Documented>> {
    const file = fileURLToPath(new URL('../reference/operations.json', import.meta.url))
    const written = JSON.parse(readFileSync(file, 'utf8')) as Readonly<Record<string, Written>>
    const all = Object.entries(operations as Readonly<Record<string, OperationCases>>).map(([name, cases]) => {
      const hasGradient = Object.values(cases).some(({ order }) => order > 0)
      return [name, { ...written[name], hasGradient }] as const
    })
    return Object.fromEntries(all)
  },
}
