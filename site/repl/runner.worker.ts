// Runs one program and reports what it prints. The page ends the thread to stop it, and starts another one for the next run.

import { formatted, printed } from './inspect.ts'
import { inFile, type Library, Modules } from './modules.ts'
import type { Failure, Item, Level, Part, RunReport, RunRequest } from './protocol.ts'
import { isDisplayable, partOf, shown } from './show.ts'
import { LAST, strip } from './transform.ts'

// the place in the program is below the calls in the library, which can be more than ten
Error.stackTraceLimit = 100

const post = (report: RunReport) => postMessage(report)

// ── output, in order; a program that prints without end does not drown the page ──

const WINDOW = 100 // ms
const MOST_AT_ONCE = 40
const MOST_WAITING = 200
let waiting: Item[] = []
let dropped = 0
let windowStart = 0
let inWindow = 0
let timer: ReturnType<typeof setTimeout> | undefined

function flush(): void {
  clearTimeout(timer)
  timer = undefined
  if (waiting.length > 0) post({ kind: 'items', items: waiting, dropped })
  waiting = []
  dropped = 0
}

/** Sends at once what a person can read, so that a long loop shows its progress, and the rest together. */
function send(item: Item): void {
  const now = performance.now()
  const isNew = now - windowStart > WINDOW
  if (isNew) {
    windowStart = now
    inWindow = 0
  }
  waiting = [...waiting.filter(({ id }) => id !== item.id), item]
  if (waiting.length > MOST_WAITING) {
    waiting.shift()
    dropped++
  }
  if (isNew || ++inWindow <= MOST_AT_ONCE) flush()
  else timer ??= setTimeout(flush, WINDOW)
}

let items = 0
const displays = new Set<Promise<void>>()

/** Shows values as text at once, and then those that have a table or pictures as these. */
function print(level: Level, values: readonly unknown[]): void {
  const id = ++items
  const parts: Part[] = []
  const later: [number, unknown][] = []
  for (const value of values) {
    const last = parts.at(-1)
    const text = printed(value)
    if (isDisplayable(value)) {
      later.push([parts.length, value])
      parts.push({ kind: 'text', text })
    } else if (last?.kind === 'text' && later.at(-1)?.[0] !== parts.length - 1)
      parts[parts.length - 1] = { kind: 'text', text: `${last.text} ${text}` }
    else parts.push({ kind: 'text', text })
  }
  const text = values.map(printed).join(' ')
  send({ id, level, parts, text })
  for (const [place, value] of later) {
    const display = shown(value).then(
      part => {
        if (!part) return
        parts[place] = part
        send({ id, level, parts: [...parts], text })
      },
      () => {}, // the text stays
    )
    displays.add(display)
    display.finally(() => displays.delete(display))
  }
}

/** What a program displays, and replaces, with cocagrad/notebook. */
async function notebook(): Promise<object> {
  const module = await import('cocagrad/notebook')
  const ids = new Map<string, number>()
  module.displayWith({
    canReplace: true,
    show(key, content) {
      const id = ids.get(key) ?? ++items
      ids.set(key, id)
      send({ id, level: 'log', parts: [partOf(content)], text: content['text/plain'] })
    },
  })
  return module
}

for (const [method, level] of [
  ['log', 'log'],
  ['info', 'log'],
  ['debug', 'log'],
  ['dir', 'log'],
  ['table', 'log'],
  ['warn', 'warn'],
  ['error', 'error'],
  ['trace', 'error'],
] as const)
  console[method] = (...values: unknown[]) => print(level, method === 'dir' ? values.slice(0, 1) : formatted(values))

// ── modules ──

const entries: Readonly<Record<string, () => Promise<object>>> = {
  cocagrad: () => import('cocagrad'),
  'cocagrad/tensor': () => import('cocagrad/tensor'),
  'cocagrad/autograd': () => import('cocagrad/autograd'),
  'cocagrad/nn': () => import('cocagrad/nn'),
  'cocagrad/optim': () => import('cocagrad/optim'),
  'cocagrad/models': () => import('cocagrad/models'),
  'cocagrad/notebook': notebook,
  'cocagrad/data': () => import('cocagrad/data'),
  'cocagrad/fit': () => import('cocagrad/fit'),
  'cocagrad/testing': () => import('cocagrad/testing'),
  'fast-check': () => import('fast-check'),
}

const REGISTRY = '__cocagradModules'
const registry = new Map<string, object>()
Object.assign(globalThis, { [REGISTRY]: registry })

const libraries = new Map<string, Library>()

/** A module that programs import, at an address that leads to the one of this thread. */
async function library(module: string): Promise<Library | undefined> {
  const known = libraries.get(module)
  if (known || !Object.hasOwn(entries, module)) return known
  const values = await entries[module]()
  registry.set(module, values)
  const names = Object.keys(values)
  const lines = names.map((name, i) => `const v${i} = m[${JSON.stringify(name)}]; export { v${i} as ${name} }`)
  const text = `const m = globalThis.${REGISTRY}.get(${JSON.stringify(module)})\n${lines.join('\n')}`
  const made = { address: URL.createObjectURL(new Blob([text], { type: 'text/javascript' })), names }
  libraries.set(module, made)
  return made
}

// ── tests that a program declares, with describeOperation or by itself ──

interface Test {
  readonly name: string
  run(): void | Promise<void>
}
const tests: Test[] = []
let path: readonly string[] = []
const it = (name: string, run: Test['run']) => void tests.push({ name: [...path, name].join(': '), run })
Object.assign(globalThis, {
  describe(name: string, declare: () => void) {
    const outside = path
    path = [...path, name]
    declare()
    path = outside
  },
  it,
  test: it,
})

/** Runs them in order. */
async function runTests(): Promise<void> {
  let failed = 0
  for (const { name, run } of tests) {
    try {
      await run()
      print('log', [`✔ ${name}`])
    } catch (error) {
      failed++
      print('error', [`✘ ${name}\n${error instanceof Error ? error.message : printed(error)}`])
    }
    // what was printed is seen before the next test
    await new Promise(resolve => setTimeout(resolve))
  }
  if (failed > 0) throw new Error(`${failed} of ${tests.length} tests failed`)
}

// ── running ──

/** A check that is not satisfied. */
class NotYet extends Error {}

/** Why a check could not be done, in words for who wrote the program. */
function obstacleOf({ name, message }: Error): string {
  const [, missing] = (name === 'ReferenceError' && /^(\S+) is not defined$/.exec(message)) || []
  if (missing !== undefined)
    return `the check looks at ${missing}, which the program does not have any more. Keep the names of the task; “Put back” brings them back`
  if (name === 'TypeError')
    return `the check cannot use what the program made (${message}): is something of another kind than in the task, such as a list instead of a tensor?`
  return `the check failed: ${message}`
}
Object.assign(globalThis, {
  expect(condition: unknown, hint: string) {
    if (!condition) throw new NotYet(hint)
  },
  [LAST](value: unknown) {
    if (value !== undefined) print('result', [value])
    return value
  },
})

let modules: Modules | undefined

const failureOf = (error: unknown): Failure =>
  error instanceof Error
    ? { name: error.name, message: error.message, ...modules?.placeOf(error) }
    : { name: 'Error', message: `the program threw ${printed(error)}` }

function fail(error: unknown): void {
  flush()
  post({ kind: 'failed', failure: failureOf(error) })
}

addEventListener('unhandledrejection', event => {
  event.preventDefault()
  fail(event.reason)
})
addEventListener('error', event => {
  event.preventDefault()
  fail(event.error ?? new Error(event.message))
})

async function run({ files, folder, check }: RunRequest): Promise<void> {
  const [{ name, source }] = files
  const lines = source.split('\n').length
  const start = performance.now()
  try {
    modules = new Modules(files, folder, library)
    const stripped = inFile(name, () => {
      // mistakes of the program before those of the program with its check
      strip(source)
      return strip(check === undefined ? source : `${source}\n;{\n${check}\n}`, lines)
    })
    const program = await modules.link(name, stripped)
    post({ kind: 'started' })
    await import(/* @vite-ignore */ program)
    await runTests()
    if (check !== undefined) post({ kind: 'checked' })
  } catch (error) {
    const isInCheck = check !== undefined && (modules?.placeOf(error)?.line ?? 0) > lines
    if (error instanceof NotYet) post({ kind: 'checked', hint: error.message })
    else if (isInCheck) post({ kind: 'checked', hint: obstacleOf(error as Error) })
    else fail(error)
  }
  while (displays.size > 0) await Promise.all(displays)
  flush()
  post({ kind: 'finished', milliseconds: performance.now() - start })
}

// nearly every program needs it
void entries.cocagrad()

addEventListener('message', ({ data }: MessageEvent<RunRequest>) => void run(data))
