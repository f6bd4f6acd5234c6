// In place of program.ts where there is no machine code: in one-file builds for pages.

import type { assemble as real } from './program.ts'

export const assemble: typeof real = () => {
  throw new Error('this build has no machine code')
}
