// The thread of the program that runs. A page has one at a time: a run ends the one before it.

import type { RunReport, RunRequest } from './protocol.ts'

export interface Session {
  stop(): void
}

interface Current extends Session {
  readonly onEnd: () => void
}

let current: Current | undefined
/** a thread that has loaded, for the next run */
let spare: Worker | undefined

const started = () => new Worker(new URL('./runner.worker.ts', import.meta.url), { type: 'module' })

/**
 * Runs a program. `onEnd` is called when another program of the page runs.
 * @returns what stops it, an endless loop too
 */
export function run(request: RunRequest, hear: (report: RunReport) => void, onEnd: () => void): Session {
  const before = current
  before?.stop()
  before?.onEnd()
  let isOver = false
  const worker = spare ?? started()
  spare = undefined
  worker.addEventListener('message', ({ data }: MessageEvent<RunReport>) => {
    if (isOver) return // sent before the thread was ended
    hear(data)
    if (data.kind === 'finished') spare ??= started()
  })
  worker.addEventListener('error', ({ message }) =>
    hear({ kind: 'failed', failure: { name: 'Error', message: message || 'the program could not be loaded' } }),
  )
  worker.postMessage(request)
  const session: Current = {
    onEnd,
    stop() {
      isOver = true
      worker.terminate()
      if (current === session) current = undefined
    },
  }
  current = session
  return session
}
