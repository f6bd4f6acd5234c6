// The memory of a tensor on this device, and a view over it.

import type { BackendMemory } from './engine.ts'

/** The content of a tensor's storage on this device. */
export interface Handle {
  /** null if there are no elements, while it is packed, and after it was freed */
  memory: BackendMemory | null
  /** the elements in 16 bits each, until they are needed */
  packed?: Handle
  readonly length: number
  /** where it starts in the memory, which it may share; default 0 */
  start?: number
  /** the same for all handles that share a memory */
  home?: object
  /** the values of an int32 tensor that came from the host, usually indices */
  readonly host?: Int32Array
}

/** A shape and strides over a handle. */
export interface Strided {
  readonly handle: Handle
  readonly shape: readonly number[]
  readonly strides: readonly number[]
  readonly offset: number
}
