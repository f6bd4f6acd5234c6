// The program of a thread other than the main one: it waits at its mailbox for kernel calls, runs them, and reports
// when it is done. scripts/build-kernels.ts writes it into module.ts as text, so that no file has to be located at run
// time.

import { askNode } from '../host.ts'
import type { CpuModule } from './exports.ts'
import { type BlasLibrary, bindProducts } from './gemm.ts'
import { type MachineCode, machineCalls, withoutMachineCode } from './machine/call.ts'
import { mailbox } from './mailbox.ts'

export interface ThreadSettings {
  readonly module: WebAssembly.Module
  readonly memory: WebAssembly.Memory
  /** address of its mailbox */
  readonly address: number
  readonly blas?: BlasLibrary
  readonly machineCode?: MachineCode
  /** whether machine code computes matrix products of float32 */
  readonly multiplies: boolean
}

/** The number of checks of the bell, some hundred microseconds, before the thread sleeps: a step rings it every few microseconds. */
const PATIENCE = 100_000

function serve(
  { module, memory, address, blas, machineCode, multiplies }: ThreadSettings,
  whenReady: () => void,
): void {
  const words = new Int32Array(memory.buffer, address, mailbox.queue / 4)
  const queue = new Float64Array(memory.buffer, address + mailbox.queue, mailbox.capacity)
  const machine = machineCode && machineCalls(machineCode, memory)
  const { exports } = new WebAssembly.Instance(module, {
    env: { memory },
    math: Math as unknown as WebAssembly.ModuleImports,
    blas: blas ? { ...bindProducts(blas, memory) } : { sgemm() {}, dgemm() {} },
    machine: machine?.imports ?? withoutMachineCode,
  })
  const own = exports as unknown as CpuModule
  const kernels = Object.values(machine?.kernels(own) ?? own) as ((...numbers: number[]) => number)[]
  own.useBlas(blas !== undefined)
  own.useMachineCode(multiplies)

  const call = (count: number) => {
    for (let i = 0; i < count; ) {
      const kernel = kernels[queue[i]]
      // spreading an array is fast, spreading a view of the queue is not
      const numbers = new Array<number>(queue[i + 1])
      for (let j = 0; j < numbers.length; j++) numbers[j] = queue[i + 2 + j]
      kernel(...numbers)
      i += 2 + numbers.length
    }
  }
  let seen = Atomics.load(words, mailbox.bell)
  Atomics.store(words, mailbox.done, seen)
  Atomics.notify(words, mailbox.done)
  whenReady()
  for (;;) {
    for (let i = 0; i < PATIENCE && Atomics.load(words, mailbox.bell) === seen; i++);
    while (Atomics.load(words, mailbox.bell) === seen) {
      Atomics.store(words, mailbox.sleeps, 1)
      Atomics.wait(words, mailbox.bell, seen)
      Atomics.store(words, mailbox.sleeps, 0)
    }
    seen = Atomics.load(words, mailbox.bell)
    // the main thread may have done it already, or this is newer work, which the next bell finds done
    if (Atomics.compareExchange(words, mailbox.claim, mailbox.open, mailbox.claimed) === mailbox.open) {
      try {
        call(Atomics.load(words, mailbox.length))
      } catch (error) {
        const message = (error instanceof Error ? error.message : String(error)).slice(0, mailbox.capacity)
        for (let i = 0; i < message.length; i++) queue[i] = message.charCodeAt(i)
        Atomics.store(words, mailbox.length, message.length)
        Atomics.store(words, mailbox.failed, 1)
      }
    }
    Atomics.store(words, mailbox.done, seen)
  }
}

/** Runs the thread; if it cannot start, the waiting thread gets the error. */
function start(settings: ThreadSettings, whenReady: () => void): void {
  try {
    serve(settings, whenReady)
  } catch (error) {
    const words = new Int32Array(settings.memory.buffer, settings.address, mailbox.queue / 4)
    Atomics.store(words, mailbox.failed, 1)
    Atomics.store(words, mailbox.done, -1)
    Atomics.notify(words, mailbox.done)
    throw error
  }
}

const inNode = askNode(node => node.getBuiltinModule('node:worker_threads'))
if (inNode) start(inNode.workerData as ThreadSettings, () => {})
else
  globalThis.onmessage = (message: MessageEvent<ThreadSettings>) => {
    start(message.data, () => globalThis.postMessage('ready'))
  }
