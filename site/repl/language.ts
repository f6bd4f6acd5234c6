// The page's side of the language service. Its thread starts with the first question, and serves all editors.

export interface Problem {
  readonly from: number
  readonly to: number
  readonly isError: boolean
  readonly message: string
}

export interface Completion {
  readonly name: string
  readonly kind: string
  readonly isLocal: boolean
}

export interface Description {
  readonly signature: string
  readonly documentation: string
}

/** What can be asked, with the answer. */
export interface Answers {
  problems: readonly Problem[]
  complete: readonly Completion[]
  details: Description | undefined
  hover: (Description & { readonly from: number; readonly to: number }) | undefined
}

export type Files = Readonly<Record<string, string>>

export interface LanguageRequest {
  readonly id: number
  readonly kind: keyof Answers
  /** path of the file that is asked about */
  readonly file: string
  /** the texts of all files of the program, by their paths */
  readonly files: Files
  readonly position?: number
  readonly name?: string
}

export interface LanguageResponse {
  readonly id: number
  readonly answer?: Answers[keyof Answers]
  readonly mistake?: string
}

type Settle = { readonly resolve: (answer: never) => void; readonly reject: (error: Error) => void }

let worker: Worker | undefined
let requests = 0
const open = new Map<number, Settle>()

function started(): Worker {
  if (worker) return worker
  worker = new Worker(new URL('./language.worker.ts', import.meta.url), { type: 'module' })
  worker.addEventListener('message', ({ data }: MessageEvent<LanguageResponse>) => {
    const settle = open.get(data.id)
    open.delete(data.id)
    if (data.mistake === undefined) settle?.resolve(data.answer as never)
    else settle?.reject(new Error(data.mistake))
  })
  return worker
}

/** Asks the language service about a file of a program. */
export function ask<K extends keyof Answers>(
  kind: K,
  file: string,
  files: Files,
  place: { readonly position?: number; readonly name?: string } = {},
): Promise<Answers[K]> {
  const id = ++requests
  const request: LanguageRequest = { id, kind, file, files, ...place }
  return new Promise<Answers[K]>((resolve, reject) => {
    open.set(id, { resolve, reject })
    started().postMessage(request)
  })
}
