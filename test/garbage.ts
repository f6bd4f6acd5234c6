// Garbage collection on purpose, for tests that compare memory before and after something that returns to the event loop: what earlier
// tests left behind would be freed in between.

import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** Collects until a number, such as bytes in use, no longer falls. Finalizers may run some tasks after a collection. */
export async function collectGarbage(inUse: () => number): Promise<number> {
  setFlagsFromString('--expose-gc')
  const collect: () => void = runInNewContext('gc')
  let before = inUse()
  for (let unchanged = 0; unchanged < 3; unchanged++) {
    collect()
    await new Promise(resolve => setTimeout(resolve, 5))
    if (inUse() < before) unchanged = -1
    before = inUse()
  }
  return before
}
