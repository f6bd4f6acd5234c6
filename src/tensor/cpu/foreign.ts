// koffi, the optional package through which functions outside of JavaScript are called: those of a BLAS, and machine code of the device.

import { askNode } from '../host.ts'

type Native = (...args: (number | bigint)[]) => unknown

/** The part of koffi that is used. */
export interface Koffi {
  /** null: what the process has loaded already, such as the C library */
  load(library: string | null): { func(definition: string): Native; unload(): void }
  address(memory: Uint8Array): bigint
  proto(result: string, parameters: readonly string[]): object
  /** the function at an address */
  decode(address: number, prototype: object): Native
  /** writes bytes to an address */
  encode(address: number, type: object, values: Uint8Array): void
  array(type: string, length: number): object
}

/** koffi, and its file, by which a thread loads it again. */
export interface Foreign {
  readonly file: string
  readonly koffi: Koffi
}

export const loadKoffi = (file: string): Koffi =>
  process.getBuiltinModule('node:module').createRequire(file)(file) as Koffi

/** koffi, or what it needs: a Node, or to be installed. */
export function openKoffi(): Foreign | { readonly needs: string } | { readonly missing: string } {
  const modules = askNode(node => node.getBuiltinModule('node:module'))
  if (!modules) return { needs: askNode(node => node.version) ? 'Node 20.16 or later' : 'Node' }
  let file = ''
  try {
    file = modules.createRequire(import.meta.url).resolve('koffi')
    return { file, koffi: loadKoffi(file) }
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    return { missing: file ? `koffi does not load (${reason.split('\n')[0]})` : 'npm install koffi' }
  }
}
