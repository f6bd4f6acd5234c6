// The thread that trains, so that the page stays responsive. It looks for messages after every step.

import type { Report, Request, StepReport, Watched } from './protocol.ts'
import type { Trainer } from './trainer.ts'
import type { Views } from './views.ts'

const post = (report: Report) => globalThis.postMessage(report)

/** Milliseconds between two reports of steps, and between two looks at the pictures. */
const REPORTS = 100
const LOOKS = 1500

let trainer: Trainer | undefined
let views: Views | undefined
let watched: Watched = {}
let isRunning = false
/** whether training begins, or goes on, when all requests are answered */
let goesOn = false
/** the number of requests that are not answered yet */
let waiting = 0
/** Requests are answered one after the other. */
let last: Promise<void> = Promise.resolve()

/** Lets messages come in. */
const pause = () =>
  new Promise<void>(resolve => {
    const { port1, port2 } = new MessageChannel()
    port1.onmessage = () => {
      port1.close()
      resolve()
    }
    port2.postMessage(undefined)
  })

async function download(address: string): Promise<Uint8Array> {
  const response = await fetch(address)
  if (!response.ok) throw new Error(`${address}: the server answers ${response.status} ${response.statusText}`)
  return new Uint8Array(await response.arrayBuffer())
}

async function look(): Promise<void> {
  if (trainer) post({ kind: 'look', look: await trainer.look() })
  await showViews()
}

async function showViews(): Promise<void> {
  if (!trainer) return
  views ??= new (await import('./views.ts')).Views()
  for await (const view of views.of(trainer.subject, watched)) post({ kind: 'view', view })
}

async function train(): Promise<void> {
  let steps: StepReport[] = []
  let reported = performance.now()
  let looked = -Infinity
  const report = () => {
    const now = performance.now()
    if (steps.length > 0) post({ kind: 'steps', steps, milliseconds: (now - reported) / steps.length })
    steps = []
    reported = now
  }
  while (isRunning && trainer) {
    steps.push(await trainer.step())
    if (performance.now() - reported > REPORTS) report()
    if (performance.now() - looked > LOOKS) {
      report()
      await look()
      reported = looked = performance.now()
    }
    await pause()
  }
  report()
  if (!goesOn) await look()
}

async function answer(request: Request): Promise<void> {
  switch (request.kind) {
    case 'start': {
      const { settings, weights } = request
      const [{ Trainer }, { device }, bytes] = await Promise.all([
        import('./trainer.ts'),
        import('cocagrad'),
        weights === undefined ? undefined : download(weights),
      ])
      trainer = await Trainer.open(settings, bytes)
      const { pictures, model } = trainer
      post({ kind: 'ready', pictures, parameters: model.parameterCount(), device: device.description })
      return look()
    }
    case 'run':
      isRunning = true
      return train()
    case 'pause':
      return
    case 'step': {
      if (!trainer) return
      const began = performance.now()
      const step = await trainer.step()
      post({ kind: 'steps', steps: [step], milliseconds: performance.now() - began })
      return look()
    }
    case 'find':
      if (!trainer) return
      try {
        post({ kind: 'found', text: request.text, similarities: await trainer.find(request.text) })
      } catch (error) {
        if (!(error instanceof RangeError)) throw error
        post({ kind: 'mistake', text: request.text, message: error.message })
      }
      return
    case 'inspect': {
      if (!trainer) return
      const { picture, pixels } = request
      post({ kind: 'inspection', inspection: { picture, ...(await trainer.inspect(pixels)) } })
      return
    }
    case 'watch':
      watched = request.watched
      return showViews()
  }
}

function enqueue(request: Request): void {
  waiting++
  last = last
    .then(() => answer(request))
    .catch((error: unknown) => {
      isRunning = goesOn = false
      post({ kind: 'failed', message: error instanceof Error ? error.message : String(error) })
    })
    .then(() => {
      waiting--
      goOn()
    })
}

/** Trains, if that is wanted and nothing else is asked: training ends only when something comes in, and would keep others waiting. */
function goOn(): void {
  if (!goesOn || waiting > 0) return
  goesOn = false
  enqueue({ kind: 'run' })
}

const questions: readonly Request['kind'][] = ['find', 'inspect', 'watch']

globalThis.onmessage = ({ data }: MessageEvent<Request>) => {
  // training ends after its step, and goes on when questions are answered
  goesOn = data.kind === 'run' || (questions.includes(data.kind) && (goesOn || isRunning))
  isRunning = false
  if (data.kind === 'run') goOn()
  else enqueue(data)
}
