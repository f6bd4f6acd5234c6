// Machine code in memory that can be executed. The memory is first written and then executed, never both at once, which hardened systems
// refuse. Which code there is depends on the processor; without it everything is computed in WebAssembly, and the reason is kept.

import { DeviceError } from '../../device.ts'
import { given } from '../../given.ts'
import { askNode } from '../../host.ts'
import { type Koffi, openKoffi } from '../foreign.ts'
import { instructionsHere } from '../openblas-core.ts'
import type { Instructions } from './assembler.ts'
import type { MachineCode } from './call.ts'

/** The code of this process, and the instructions that it uses. */
export interface LoadedCode extends MachineCode {
  readonly instructions: Instructions
}

/** Instructions of the processor, as Linux names them, that each kind of code needs; the fastest first. */
const needed: Readonly<Record<Instructions, readonly string[]>> = {
  'AVX-512': ['avx512f', 'avx512dq', 'avx512bw', 'avx512vl', 'bmi2', 'fma'],
  AVX2: ['avx2', 'fma'],
}

const choices = Object.keys(needed) as Instructions[]

/** Memory for reading and writing, private to the process, of no file. */
const READ_WRITE = 3
const READ_EXECUTE = 5
const PRIVATE_ANONYMOUS = 0x22

/**
 * program.ts. It is loaded when code is made, not with the package, and bundlers do not follow this call, so pages do not have it. Its file
 * in the package is of CommonJS, which Node 20 can load in the middle of a function.
 */
function loadProgram(): typeof import('./program.ts') {
  const require = process.getBuiltinModule('node:module').createRequire(import.meta.url)
  const file = import.meta.url.endsWith('.ts') ? './program.ts' : '../tensor/cpu/machine.cjs'
  try {
    return require(file)
  } catch (error) {
    if ((error as { readonly code?: unknown }).code !== 'MODULE_NOT_FOUND') throw error
    throw new Error(`cocagrad's file ${file} is missing; a bundler leaves it out unless cocagrad is external`)
  }
}

/** The code in this process, by its instructions. */
const placed = new Map<Instructions, LoadedCode>()

function place(file: string, koffi: Koffi, instructions: Instructions): LoadedCode {
  const known = placed.get(instructions)
  if (known) return known
  const c = koffi.load(null)
  const map = c.func(
    'intptr_t mmap(intptr_t address, size_t length, int protection, int flags, int file, int64_t offset)',
  )
  const protect = c.func('int mprotect(intptr_t address, size_t length, int protection)')
  const { code, starts } = loadProgram().assemble(instructions)
  const start = Number(map(0, code.length, READ_WRITE, PRIVATE_ANONYMOUS, -1, 0))
  if (start <= 0) throw new Error('the system gives no memory')
  koffi.encode(start, koffi.array('uint8_t', code.length), code)
  if (protect(start, code.length, READ_EXECUTE) !== 0) {
    c.func('int munmap(intptr_t address, size_t length)')(start, code.length)
    throw new Error('the system does not let this process make code')
  }
  const functions = Object.fromEntries(Object.entries(starts).map(([name, from]) => [name, start + from]))
  const opened = { koffi: file, instructions, functions: functions as MachineCode['functions'] }
  placed.set(instructions, opened)
  return opened
}

/** The code, or the reason why there is none. */
function open(choice: Instructions | undefined): LoadedCode | string {
  if (askNode(node => `${node.platform} ${node.arch}`) !== 'linux x64')
    return 'machine code is for Node on Linux and x86-64'
  const foreign = openKoffi()
  if ('needs' in foreign) return `machine code needs ${foreign.needs}`
  if ('missing' in foreign) return `machine code would be faster: ${foreign.missing}`
  const flags = instructionsHere()
  // Deno lets a program read it with all permissions only
  if (flags.size === 0)
    return 'machine code would be faster: /proc/cpuinfo, which names the instructions of the processor, cannot be read'
  const best = choices.find(name => (choice ?? name) === name && needed[name].every(flag => flags.has(flag)))
  if (!best) return `this processor does not have ${choice ?? 'AVX2'}`
  try {
    return place(foreign.file, foreign.koffi, best)
  } catch (error) {
    return `machine code is not possible: ${error instanceof Error ? error.message : String(error)}`
  }
}

/**
 * @param choice `off`, the instructions, or undefined for the best ones
 * @returns the code, or the reason why there is none
 * @throws DeviceError for another name, and if instructions were named and there is no code with them
 */
export function openMachineCode(choice: string | undefined): LoadedCode | string {
  if (choice === 'off') return 'machine code is switched off'
  const name = choices.find(each => each === choice)
  if (choice !== undefined && !name)
    throw new DeviceError(
      `cpu: machineCode (COCAGRAD_MACHINE_CODE) must be ${choices.map(given).join(', ')} or 'off', not ${given(choice)}`,
      'cpu',
    )
  const opened = open(name)
  if (name && typeof opened === 'string') throw new DeviceError(`cpu: no machine code with ${name}: ${opened}`, 'cpu')
  return opened
}
