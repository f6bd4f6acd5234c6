// TypeScript's language service for the programs of a page: what is wrong, what a name is, what can follow.

import ts from 'typescript'
import address from './generated/types.json?url'
import type { Answers, Completion, LanguageRequest, LanguageResponse, Problem } from './language.ts'
import { type Programs, serviceFor, type Types } from './service.ts'

const programs: Programs = new Map()
const start = async () => serviceFor((await (await fetch(address)).json()) as Types, programs)
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
  const { id, kind, file, files, position = 0, name = '' } = data
  for (const [path, text] of Object.entries(files)) {
    const known = programs.get(path)
    if (known?.text !== text) programs.set(path, { text, version: (known?.version ?? 0) + 1 })
  }
  try {
    postMessage({ id, answer: await handlers[kind](file, position, name) } satisfies LanguageResponse)
  } catch (error) {
    postMessage({ id, mistake: String(error) } satisfies LanguageResponse)
  }
})
