// The processor, as Linux describes it.

import { askNode } from '../host.ts'

export interface Processor {
  /** `GenuineIntel` or `AuthenticAMD` on x86; elsewhere empty */
  readonly vendor: string
  /** names of the instructions; elsewhere empty */
  readonly instructions: ReadonlySet<string>
}

export function processor(): Processor {
  const text = askNode(node => node.getBuiltinModule('node:fs').readFileSync('/proc/cpuinfo', 'utf8')) ?? ''
  const field = (name: string) => new RegExp(`^${name}\\s*:(.*)$`, 'm').exec(text)?.[1].trim() ?? ''
  return { vendor: field('vendor_id'), instructions: new Set(field('flags').split(/\s+/)) }
}
