// Programs as a JavaScript user writes them, where no compiler has objected, and what their errors must say.

import assert from 'node:assert/strict'
import { test } from 'node:test'

/** A value that may be called, constructed and asked for anything. */
export type Loose = ((...args: unknown[]) => Loose) &
  (new (
    ...args: unknown[]
  ) => Loose) & { readonly [name: string]: Loose }

export const loose = (value: unknown): Loose => value as Loose

/** A wrong program, the class of its error, and what the message must say. */
export type Row = readonly [program: string, run: () => unknown, error: string, ...says: string[]]

/** Declares a test for each row. */
export function refuse(rows: readonly Row[]): void {
  for (const [program, run, name, ...says] of rows)
    test(`${program} is refused: ${says.join(' … ')}`, async () => {
      let thrown: unknown
      try {
        await run()
      } catch (error) {
        thrown = error
      }
      assert.ok(thrown instanceof Error, `nothing was thrown, and ${name} was expected`)
      assert.equal(thrown.name, name, thrown.message)
      for (const part of says) assert.ok(thrown.message.includes(part), `"${part}" is not in: ${thrown.message}`)
    })
}
