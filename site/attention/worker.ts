// The thread that computes gradients. It answers only the last of several requests of a kind.

import type { Report, Request } from './protocol.ts'

const post = (report: Report) => globalThis.postMessage(report)
const waiting = new Map<Request['kind'], Request>()
let isBusy = false

async function work(): Promise<void> {
  if (isBusy) return
  isBusy = true
  const { maskGradients, poolGradients } = await import('./gradients.ts')
  while (waiting.size > 0) {
    const [request] = waiting.values()
    waiting.delete(request.kind)
    try {
      post(request.kind === 'mask' ? await maskGradients(request) : await poolGradients(request))
    } catch (error) {
      post({ kind: 'failed', message: error instanceof Error ? error.message : String(error) })
    }
    // a newer request may have come
    await new Promise(resolve => setTimeout(resolve))
  }
  isBusy = false
}

globalThis.onmessage = ({ data }: MessageEvent<Request>) => {
  waiting.set(data.kind, data)
  work()
}
