// TypeScript's language service for the programs of a page: what is wrong, what a name is, what can follow.

import ts from 'typescript'
import address from './generated/types.json?url'
import { declarations } from './helpers.ts'
import type { Answers, Completion, LanguageRequest, LanguageResponse, Problem } from './language.ts'

interface Types {
  readonly paths: Readonly<Record<string, string[]>>
  readonly libraries: string[]
  readonly files: Readonly<Record<string, string>>
}

const HELPERS = '/types/repl.d.ts'
const programs = new Map<string, { text: string; version: number }>()

async function start(): Promise<ts.LanguageService> {
  const { paths, libraries, files } = (await (await fetch(address)).json()) as Types
  const options: ts.CompilerOptions = {
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.ESNext,
    moduleResolution: ts.ModuleResolutionKind.Bundler,
    moduleDetection: ts.ModuleDetectionKind.Force,
    allowImportingTsExtensions: true,
    noEmit: true,
    strict: true,
    skipLibCheck: true,
    lib: libraries,
    types: [],
    paths,
  }
  const known = new Map([...Object.entries(files), [HELPERS, declarations] as const])
  const folders = new Set<string>(['/', '/programs'])
  for (const path of known.keys())
    for (let end = path.lastIndexOf('/'); end > 0; end = path.lastIndexOf('/', end - 1)) folders.add(path.slice(0, end))
  const read = (path: string) => programs.get(path)?.text ?? known.get(path)
  return ts.createLanguageService({
    getCompilationSettings: () => options,
    getScriptFileNames: () => [HELPERS, ...programs.keys()],
    getScriptVersion: path => String(programs.get(path)?.version ?? 0),
    getScriptSnapshot: path => {
      const text = read(path)
      return text === undefined ? undefined : ts.ScriptSnapshot.fromString(text)
    },
    getCurrentDirectory: () => '/',
    getDefaultLibFileName: () => '/lib/lib.es2023.d.ts',
    fileExists: path => read(path) !== undefined,
    readFile: read,
    directoryExists: path => folders.has(path.replace(/\/$/, '') || '/'),
    getDirectories: () => [],
  })
}
const service = start()

const text = (parts: readonly ts.SymbolDisplayPart[] | undefined) => ts.displayPartsToString([...(parts ?? [])])

function problemOf({ start = 0, length = 0, category, messageText }: ts.Diagnostic): Problem {
  return {
    from: start,
    to: start + length,
    isError: category === ts.DiagnosticCategory.Error,
    message: ts.flattenDiagnosticMessageText(messageText, '\n'),
  }
}

/** The compiler sorts what is declared nearby under this text or an earlier one. */
const LOCAL = '11'

const preferences: ts.GetCompletionsAtPositionOptions = {
  includeCompletionsForModuleExports: false,
  includeCompletionsWithInsertText: false,
}

const handlers: {
  readonly [K in keyof Answers]: (file: string, position: number, name: string) => Promise<Answers[K]>
} = {
  async problems(file) {
    const language = await service
    return [...language.getSyntacticDiagnostics(file), ...language.getSemanticDiagnostics(file)].map(problemOf)
  },
  async complete(file, position) {
    const found = (await service).getCompletionsAtPosition(file, position, preferences)
    return (found?.entries ?? []).map(
      ({ name, kind, sortText }): Completion => ({
        name,
        kind,
        isLocal: sortText <= LOCAL,
      }),
    )
  },
  async details(file, position, name) {
    const found = (await service).getCompletionEntryDetails(
      file,
      position,
      name,
      undefined,
      undefined,
      undefined,
      undefined,
    )
    return found && { signature: text(found.displayParts), documentation: text(found.documentation) }
  },
  async hover(file, position) {
    const found = (await service).getQuickInfoAtPosition(file, position)
    if (!found) return undefined
    const { start, length } = found.textSpan
    return {
      from: start,
      to: start + length,
      signature: text(found.displayParts),
      documentation: text(found.documentation),
    }
  },
}

addEventListener('message', async ({ data }: MessageEvent<LanguageRequest>) => {
  const { id, kind, file, source, position = 0, name = '' } = data
  const known = programs.get(file)
  if (known?.text !== source) programs.set(file, { text: source, version: (known?.version ?? 0) + 1 })
  try {
    postMessage({ id, answer: await handlers[kind](file, position, name) } satisfies LanguageResponse)
  } catch (error) {
    postMessage({ id, mistake: String(error) } satisfies LanguageResponse)
  }
})
