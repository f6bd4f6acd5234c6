// A thread for one look at kernels, one timing or the steps of one framework; each has a device of its own.

import type { StepRequest } from './bench/protocol.ts'
import type { Report, Request } from './protocol.ts'

const post = (report: Report) => globalThis.postMessage(report)

const programs = {
  cocagrad: () => import('./bench/cocagrad.ts'),
  tfjs: () => import('./bench/tfjs.ts'),
  jax: () => import('./bench/jax.ts'),
}

async function answer(request: Request | StepRequest): Promise<void> {
  if (request.kind === 'step') {
    const [{ open }, { measure }] = await Promise.all([programs[request.program](), import('./bench/measure.ts')])
    return measure(open, request)
  }
  if (request.kind === 'time') {
    const { timeOn } = await import('./timing.ts')
    post({ kind: 'time', timing: await timeOn(request.place, request.call) })
    return
  }
  const { textsOf } = await import('./texts.ts')
  const kernels = await textsOf[request.language](request.call)
  post({ kind: 'text', kernels })
}

const fail = (error: unknown) =>
  post({ kind: 'failed', message: error instanceof Error ? error.message : String(error) })

// what a framework starts and does not wait for
globalThis.onunhandledrejection = ({ reason }) => fail(reason)
globalThis.onmessage = ({ data }: MessageEvent<Request | StepRequest>) => {
  answer(data).catch(fail)
}
