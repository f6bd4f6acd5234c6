// The linear memory that threads share: with 32-bit addresses, up to 4 GiB, in every engine; with 64-bit ones, up to 16 GiB, where
// the engine has them (WebAssembly's Memory64: Node 24, Chromium 133, Firefox 134).

import { DeviceError } from '../device.ts'

/** Pages of 64 KiB. */
const FEWEST = 64
/** The most that an engine allows, and fewer, because a system may reserve less: phones do. */
const most = { 32: [65_536, 32_768, 16_384, 8192, 4096], 64: [262_144, 131_072] } as const

/** A memory of the given size, or the error of the engine. */
function shared(addresses: 32 | 64, maximum: number): WebAssembly.Memory {
  const sizes = { initial: FEWEST, maximum }
  if (addresses === 32) return new WebAssembly.Memory({ ...sizes, shared: true })
  const wide = { initial: BigInt(FEWEST), maximum: BigInt(maximum), address: 'i64', shared: true }
  return new WebAssembly.Memory(wide as unknown as WebAssembly.MemoryDescriptor)
}

/** The largest memory that there is, with the number of pages that it may grow to. Throws DeviceError if there is none. */
export function openMemory(addresses: 32 | 64): { readonly memory: WebAssembly.Memory; readonly pages: number } {
  let reason: unknown
  for (const pages of most[addresses]) {
    try {
      return { memory: shared(addresses, pages), pages }
    } catch (error) {
      reason = error
    }
  }
  throw new DeviceError(`cpu: cannot allocate memory that threads share: ${reason}`, 'cpu')
}

/** (module (import "" "" (memory i64 1 1 shared))): valid where memory can have 64-bit addresses and be shared. */
const probe = Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0, 2, 7, 1, 0, 0, 2, 7, 1, 1)

/** Whether the engine has memory with 64-bit addresses, and the system has room for one of more than 4 GiB. */
export function hasWideMemory(): boolean {
  if (typeof WebAssembly === 'undefined' || !WebAssembly.validate(probe)) return false
  try {
    openMemory(64)
    return true
  } catch {
    return false
  }
}
