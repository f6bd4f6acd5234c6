// Ctrl-C: the first one stops cleanly, the second one stops at once.

import { EXIT, InterruptedError } from './errors.ts'
import { say } from './output.ts'

/** Runs a task with a signal that the first Ctrl-C aborts. */
export async function interruptible<T>(what: string, task: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController()
  const onInterrupt = () => {
    if (controller.signal.aborted) process.exit(EXIT.interrupted)
    say(`\n${what}; Ctrl-C again stops at once`)
    controller.abort()
  }
  process.on('SIGINT', onInterrupt)
  process.on('SIGTERM', onInterrupt)
  try {
    return await task(controller.signal)
  } catch (error) {
    // an AbortError is that of the signal, here or in another process
    const isAbort = error instanceof Error && error.name === 'AbortError'
    throw isAbort ? new InterruptedError('interrupted') : error
  } finally {
    process.off('SIGINT', onInterrupt)
    process.off('SIGTERM', onInterrupt)
  }
}
