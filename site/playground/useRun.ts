// One run in a thread of its own, and what is known of it.

import { onScopeDispose, reactive, ref, shallowRef } from 'vue'
import type {
  GivenFile,
  Inspection,
  KeptRun,
  Look,
  Picture,
  PictureId,
  Report,
  Request,
  Settings,
  StepReport,
  View,
  Watched,
} from './protocol.ts'

/** `shown`: a model is open that is not trained here, such as the trained one; `finished`: all steps of the run were made */
export type RunState = 'opening' | 'shown' | 'paused' | 'running' | 'finished' | 'failed'

/** A letter that names a run while there are two. */
export type RunName = 'A' | 'B'

/** The ranks of the pictures when they are compared with a text, from 1. */
export interface Found {
  readonly text: string
  readonly ranks: readonly number[]
}

/** What is known of an open model. */
export interface RunInfo {
  readonly parameters: number
  readonly device: string
  /** why it cannot be trained on here */
  readonly obstacle?: string
  readonly note?: string
}

function ranksOf(similarities: Float32Array): number[] {
  const order = [...similarities.keys()].sort((a, b) => similarities[b] - similarities[a])
  return [...similarities.keys()].map(i => order.indexOf(i) + 1)
}

/** Gives the visitor a file. */
function download(name: string, file: Blob): void {
  const link = document.createElement('a')
  link.href = URL.createObjectURL(file)
  link.download = name
  link.click()
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000)
}

/** The newest view of each kind that is open. */
export type Views = { readonly [K in View['kind']]?: Extract<View, { kind: K }> }

export type Run = ReturnType<typeof useRun>

/**
 * @param settings those of the run until it is opened
 * @param onKept called with all runs that this browser keeps, or with the one that has just been saved
 */
export function useRun(
  name: RunName,
  settings: Settings,
  onKept: (kept: { readonly all?: readonly KeptRun[]; readonly one?: KeptRun }) => void,
) {
  const state = ref<RunState>('opening')
  const message = ref('')
  const current = shallowRef(settings)
  const info = shallowRef<RunInfo>()
  const pictures = shallowRef<readonly Picture[]>([])
  const step = ref(0)
  const steps = shallowRef<readonly StepReport[]>([])
  const milliseconds = ref<number>()
  const look = shallowRef<Look>()
  const inspection = shallowRef<Inspection>()
  const mistake = ref('')
  const found = shallowRef<Found>()
  const kept = shallowRef<KeptRun>()
  const problem = ref('')
  const views = shallowRef<Views>({})

  /** what is done with the model when it is open */
  let then: 'show' | 'run' | 'pause' = 'show'
  /** whether the run goes back to a checkpoint: an end that is reported until then is of the steps before */
  let goesBack = false
  let worker: Worker | undefined
  let watched: Watched = {}
  const ask = (request: Request) => worker?.postMessage(request)
  /** what was inspected last */
  let inspected: readonly [PictureId, Uint8Array] | undefined
  function inspect(picture: PictureId, pixels: Uint8Array): void {
    inspected = [picture, pixels]
    ask({ kind: 'inspect', picture, pixels })
  }

  function hear(report: Report): void {
    switch (report.kind) {
      case 'ready': {
        const { parameters, device, obstacle, note } = report
        pictures.value = report.pictures
        info.value = { parameters, device, obstacle, note }
        current.value = report.settings
        step.value = report.step
        state.value = then === 'show' || obstacle ? 'shown' : then === 'run' ? 'running' : 'paused'
        if (state.value === 'running') ask({ kind: 'run' })
        else inspect(0, pictures.value[0].pixels)
        return
      }
      case 'history':
        goesBack = false
        steps.value = report.steps
        step.value = report.steps.at(-1)?.step ?? 0
        return
      case 'steps':
        steps.value = [...steps.value, ...report.steps]
        step.value = report.steps.at(-1)?.step ?? step.value
        milliseconds.value = report.milliseconds
        return
      case 'finished':
        if (!goesBack) state.value = 'finished'
        return
      case 'saved':
        problem.value = report.problem ?? ''
        if (!report.run) return
        kept.value = report.run
        onKept({ one: report.run })
        return
      case 'kept':
        onKept({ all: report.runs })
        return
      case 'file':
        download(report.name, report.file)
        return
      case 'look':
        look.value = report.look
        return
      case 'inspection':
        inspection.value = report.inspection
        return
      case 'view':
        views.value = { ...views.value, [report.view.kind]: report.view }
        return
      case 'found':
        mistake.value = ''
        found.value = { text: report.text, ranks: ranksOf(report.similarities) }
        return
      case 'mistake':
        mistake.value = report.message
        found.value = undefined
        return
      case 'failed':
        state.value = 'failed'
        message.value = report.message
    }
  }

  /** Opens a model in a new thread; the old thread ends in the middle of whatever it does. */
  function open(request: Request, next: typeof then): void {
    end()
    worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module', name: 'cocagrad run' })
    worker.onmessage = ({ data }: MessageEvent<Report>) => hear(data)
    worker.onerror = event => hear({ kind: 'failed', message: event.message || 'the thread did not start' })
    then = next
    goesBack = false
    inspected = undefined
    state.value = 'opening'
    message.value = mistake.value = problem.value = ''
    step.value = 0
    steps.value = []
    milliseconds.value = undefined
    look.value = found.value = inspection.value = info.value = kept.value = undefined
    views.value = {}
    ask(request)
    ask({ kind: 'watch', watched })
  }

  function end(): void {
    worker?.terminate()
    worker = undefined
  }
  onScopeDispose(end)

  return reactive({
    name,
    state,
    /** why it failed */
    message,
    settings: current,
    info,
    pictures,
    /** updates made */
    step,
    steps,
    /** of one step */
    milliseconds,
    look,
    inspection,
    /** what is wrong with the text that was looked for */
    mistake,
    found,
    /** its checkpoints in this browser */
    kept,
    /** why it is not kept */
    problem,
    views,
    ask,
    inspect,
    /** The views that are open from now on. */
    watch(open: Watched) {
      watched = open
      ask({ kind: 'watch', watched })
    },
    find: (text: string) => ask({ kind: 'find', text }),
    /** Asks which runs this browser keeps, before anything is open. */
    list: () => open({ kind: 'list' }, 'show'),
    /** A new model with these settings, which is trained at once. */
    start(settings: Settings) {
      current.value = settings
      open({ kind: 'start', settings }, 'run')
    },
    /** The trained model, whose weights lie at this address. */
    openTrained: (settings: Settings, weights: string) => open({ kind: 'start', settings, weights }, 'show'),
    /** A run that this browser keeps. */
    resume: (id: string) => open({ kind: 'resume', id }, 'pause'),
    importFiles: (files: readonly GivenFile[]) => open({ kind: 'import', files }, 'pause'),
    pause() {
      if (state.value !== 'running') return
      state.value = 'paused'
      ask({ kind: 'pause' })
    },
    goOn() {
      if (state.value !== 'paused') return
      state.value = 'running'
      ask({ kind: 'run' })
    },
    oneStep: () => ask({ kind: 'step' }),
    /** Goes back to a checkpoint, and waits there. */
    rewind(step: number) {
      goesBack = true
      state.value = 'paused'
      message.value = ''
      ask({ kind: 'rewind', step })
      if (inspected) inspect(...inspected)
    },
    /** Downloads the run as one file. */
    exportFile: () => ask({ kind: 'export' }),
  })
}
