// The thread that trains, so that the page stays responsive. It looks for messages after every step.

import type { OpenRun } from './kept-runs.ts'
import type { Report, Request, StepReport, Watched } from './protocol.ts'
import type { Trainer } from './trainer.ts'
import type { Views } from './views.ts'

const post = (report: Report) => globalThis.postMessage(report)

/** Milliseconds between two reports of steps, and between two looks at the pictures. */
const REPORTS = 100
const LOOKS = 1500
/** Steps between two checkpoints. */
const CHECKPOINTS = 100

/** They are loaded when they are first needed. */
const modules = () => Promise.all([import('./trainer.ts'), import('cocagrad'), import('./kept-runs.ts')])

let trainer: Trainer | undefined
/** where the run is kept, if it is one that is trained here */
let run: OpenRun | undefined
/** the step that was kept last */
let saved: number | undefined
let views: Views | undefined
let watched: Watched = {}
let isRunning = false
/** whether training begins, or goes on, when all requests are answered */
let goesOn = false
/** the number of requests that are not answered yet */
let waiting = 0
/** Requests are answered one after the other. */
let last: Promise<void> = Promise.resolve()

async function download(address: string): Promise<Uint8Array> {
  const response = await fetch(address)
  if (!response.ok) throw new Error(`${address}: the server answers ${response.status} ${response.statusText}`)
  return new Uint8Array(await response.arrayBuffer())
}

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error))

const stepsOf = ({ metrics }: Trainer): StepReport[] =>
  metrics.map(({ step, losses: { contrastive, captioning } }) => ({ step, contrastive, captioning }))

async function look(): Promise<void> {
  if (trainer) post({ kind: 'look', look: await trainer.look() })
  await showViews()
}

async function showViews(): Promise<void> {
  if (!trainer) return
  views ??= new (await import('./views.ts')).Views()
  for await (const view of views.of(trainer.subject, watched)) post({ kind: 'view', view })
}

/** Keeps the run. If that fails, training goes on. */
async function save(): Promise<void> {
  if (!trainer || !run) return
  const { describeRun } = await import('./kept-runs.ts')
  try {
    if (saved !== trainer.step && trainer.obstacle === undefined) await trainer.save(run.store)
    saved = trainer.step
    post({ kind: 'saved', run: await describeRun(run), problem: run.problem })
  } catch (error) {
    post({ kind: 'saved', problem: `Step ${trainer.step} is not kept: ${messageOf(error)}` })
  }
}

async function train(): Promise<void> {
  const [, { nextTask }] = await modules()
  let steps: StepReport[] = []
  let reported = performance.now()
  let looked = -Infinity
  const report = () => {
    const now = performance.now()
    if (steps.length > 0) post({ kind: 'steps', steps, milliseconds: (now - reported) / steps.length })
    steps = []
    reported = now
  }
  try {
    while (isRunning && trainer && !trainer.isFinished) {
      const { step, losses } = await trainer.update()
      steps.push({ step, contrastive: losses.contrastive, captioning: losses.captioning })
      if (performance.now() - reported > REPORTS) report()
      if (step % CHECKPOINTS === 0) {
        report()
        await save()
        reported = performance.now()
      }
      if (performance.now() - looked > LOOKS) {
        report()
        await look()
        reported = looked = performance.now()
      }
      // messages come in
      await nextTask()
    }
  } finally {
    report()
  }
  if (trainer?.isFinished) {
    isRunning = false
    await save()
    post({ kind: 'finished' })
  }
  if (!goesOn) await look()
}

/** Shows what was opened. @param isKept whether its step has a checkpoint already */
async function show(opened: Trainer, description: string, isKept = false): Promise<void> {
  trainer = opened
  if (isKept) saved = opened.step
  const { pictures, model, settings, step, obstacle, note } = opened
  post({
    kind: 'ready',
    pictures,
    parameters: model.parameterCount(),
    device: description,
    settings,
    step,
    obstacle,
    note,
  })
  if (opened.metrics.length > 0) post({ kind: 'history', steps: stepsOf(opened) })
  await save()
  if (opened.isFinished && run) post({ kind: 'finished' })
  return look()
}

async function answer(request: Request): Promise<void> {
  switch (request.kind) {
    case 'start': {
      const { settings, weights } = request
      const [[{ Trainer }, { device }, { makeRoom, newRun }], bytes] = await Promise.all([
        modules(),
        weights === undefined ? undefined : download(weights),
      ])
      const opened = await (bytes ? Trainer.withWeights(bytes) : Trainer.start(settings))
      if (!bytes) {
        await makeRoom().catch(() => {})
        run = await newRun()
      }
      return show(opened, device.description)
    }
    case 'resume': {
      const [{ Trainer }, { device }, { openKept }] = await modules()
      run = await openKept(request.id)
      return show(await Trainer.resume(run.store), device.description, true)
    }
    case 'import': {
      const [{ Trainer }, { device }, { forget, importRun, makeRoom }] = await modules()
      await makeRoom().catch(() => {})
      run = await importRun(request.files)
      try {
        return await show(await Trainer.resume(run.store), device.description, true)
      } catch (error) {
        await forget(run.id).catch(() => {})
        throw error
      }
    }
    case 'rewind':
      if (!trainer || !run) return
      await trainer.goBack(run.store, request.step)
      saved = request.step
      post({ kind: 'history', steps: stepsOf(trainer) })
      return look()
    case 'export': {
      if (!trainer || !run) return
      await save()
      const { packRun } = await import('./kept-runs.ts')
      post({ kind: 'file', ...(await packRun(run.store, trainer.step)) })
      return
    }
    case 'list': {
      const { keptRuns } = await import('./kept-runs.ts')
      // a browser that stores nothing has none
      post({ kind: 'kept', runs: await keptRuns().catch(() => []) })
      return
    }
    case 'forget': {
      const { forget, keptRuns } = await import('./kept-runs.ts')
      try {
        await forget(request.id)
        post({ kind: 'kept', runs: await keptRuns() })
      } catch (error) {
        post({ kind: 'saved', problem: messageOf(error) })
      }
      return
    }
    case 'run':
      isRunning = true
      return train()
    case 'pause':
      return save()
    case 'step': {
      if (!trainer || trainer.isFinished) return
      const began = performance.now()
      const { step, losses } = await trainer.update()
      const steps = [{ step, contrastive: losses.contrastive, captioning: losses.captioning }]
      post({ kind: 'steps', steps, milliseconds: performance.now() - began })
      if (trainer.isFinished) post({ kind: 'finished' })
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
      post({ kind: 'failed', message: messageOf(error) })
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

/** Requests after which training ends until the visitor lets it go on. */
const ENDING: readonly Request['kind'][] = ['start', 'resume', 'import', 'rewind', 'pause', 'step']

globalThis.onmessage = ({ data }: MessageEvent<Request>) => {
  // training ends after its step, and goes on when questions are answered
  goesOn = data.kind === 'run' || (!ENDING.includes(data.kind) && (goesOn || isRunning))
  isRunning = false
  if (data.kind === 'run') goOn()
  else enqueue(data)
}
