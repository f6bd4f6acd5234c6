// One run in a thread of its own, and what is known of it.

import { onScopeDispose, reactive, ref, shallowRef } from 'vue'
import type {
  Inspection,
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

/** `trained`: the model that lies beside the page is open, and nothing was trained here yet */
export type RunState = 'opening' | 'trained' | 'paused' | 'running' | 'failed'

/** A letter that names a run while there are two. */
export type RunName = 'A' | 'B'

/** What a text was looked for in the pictures gave: the rank of each picture, from 1. */
export interface Found {
  readonly text: string
  readonly ranks: readonly number[]
}

function ranksOf(similarities: Float32Array): number[] {
  const order = [...similarities.keys()].sort((a, b) => similarities[b] - similarities[a])
  return [...similarities.keys()].map(i => order.indexOf(i) + 1)
}

/** The newest view of each kind that is open. */
export type Views = { readonly [K in View['kind']]?: Extract<View, { kind: K }> }

export type Run = ReturnType<typeof useRun>

/** @param settings those of the run; `start` and `openTrained` replace them */
export function useRun(name: RunName, settings: Settings) {
  const state = ref<RunState>('opening')
  const message = ref('')
  const current = shallowRef(settings)
  const info = shallowRef<{ readonly parameters: number; readonly device: string }>()
  const pictures = shallowRef<readonly Picture[]>([])
  const steps = shallowRef<readonly StepReport[]>([])
  const milliseconds = ref<number>()
  const look = shallowRef<Look>()
  const inspection = shallowRef<Inspection>()
  const mistake = ref('')
  const found = shallowRef<Found>()
  const views = shallowRef<Views>({})

  /** whether the model that is opening is the trained one */
  let isTrained = true
  let worker: Worker | undefined
  let watched: Watched = {}
  const ask = (request: Request) => worker?.postMessage(request)

  function hear(report: Report): void {
    switch (report.kind) {
      case 'ready':
        pictures.value = report.pictures
        info.value = { parameters: report.parameters, device: report.device }
        state.value = isTrained ? 'trained' : 'running'
        if (isTrained) inspect(0, pictures.value[0].pixels)
        else ask({ kind: 'run' })
        return
      case 'steps':
        steps.value = [...steps.value, ...report.steps]
        milliseconds.value = report.milliseconds
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
  function open(settings: Settings, weights?: string): void {
    end()
    worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module', name: 'cocagrad run' })
    worker.onmessage = ({ data }: MessageEvent<Report>) => hear(data)
    worker.onerror = event => hear({ kind: 'failed', message: event.message || 'the thread did not start' })
    isTrained = weights !== undefined
    current.value = settings
    state.value = 'opening'
    message.value = mistake.value = ''
    steps.value = []
    milliseconds.value = undefined
    look.value = found.value = inspection.value = undefined
    views.value = {}
    ask({ kind: 'start', settings, weights })
    ask({ kind: 'watch', watched })
  }

  const inspect = (picture: PictureId, pixels: Uint8Array) => ask({ kind: 'inspect', picture, pixels })

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
    steps,
    /** of one step */
    milliseconds,
    look,
    inspection,
    /** what is wrong with the text that was looked for */
    mistake,
    found,
    views,
    ask,
    inspect,
    /** The views that are open from now on. */
    watch(open: Watched) {
      watched = open
      ask({ kind: 'watch', watched })
    },
    find: (text: string) => ask({ kind: 'find', text }),
    /** A new model with these settings, which is trained at once. */
    start: (settings: Settings) => open(settings),
    /** The trained model, whose weights lie at this address. */
    openTrained: (settings: Settings, weights: string) => open(settings, weights),
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
    step: () => ask({ kind: 'step' }),
    end,
  })
}
