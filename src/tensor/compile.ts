// WebAssembly modules compiled from bytes, which the content security policy of a page may forbid.

import { DeviceError } from './device.ts'

/** What engines say when a policy forbids it: Chromium and Safari name the missing source, Firefox the policy. */
const forbidden = /content security policy|unsafe-eval|blocked by csp/i

/**
 * @param what the part of the library that needs the module
 * @param instead what works without it
 * @throws DeviceError if the page's content security policy does not allow WebAssembly
 */
export function compileModule(bytes: Uint8Array<ArrayBuffer>, what: string, instead: string): WebAssembly.Module {
  try {
    return new WebAssembly.Module(bytes)
  } catch (error) {
    if (!(error instanceof Error && forbidden.test(error.message))) throw error
    throw new DeviceError(
      `${what}: the content security policy of this page does not allow WebAssembly; add 'wasm-unsafe-eval' to its script-src, or ${instead}`,
      'cpu',
      [error.message],
    )
  }
}
