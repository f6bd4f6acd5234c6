// The programs in pages of text: blocks of Markdown that begin with ```ts.
//
//     ```ts                 a program
//     ```ts task            a program that the reader changes until the check passes
//     ```ts check           the body of this check; it is not shown
//     ```ts solution        a program with which it passes; it is folded
//     ```ts src/file.ts     lines of a file: no program

/** What a block is. */
export type Kind = 'program' | 'task' | 'check' | 'solution' | 'quotation'

export function kindOf(info: string): Kind | undefined {
  const [language, word = ''] = info.trim().split(/\s+/)
  if (language !== 'ts') return undefined
  if (word === '') return 'program'
  return word === 'task' || word === 'check' || word === 'solution' ? word : 'quotation'
}

/** The files that a file imports by their paths. */
export const importsOf = (code: string): string[] =>
  Array.from(code.matchAll(/^(?:import|export)\b[^'\n]*? from '(\.[^']*)'|^} from '(\.[^']*)'/gm), ([, a, b]) => a ?? b)

/** Why an example does not run in a page, or undefined. */
export function obstacle(code: string): string | undefined {
  if (/from '(?:node:[^']*|cocagrad\/train)'/.test(code)) return 'it uses files or processes'
  return /\bworkers: \d/.test(code) ? 'it starts worker threads' : undefined
}

/** Whether a program needs files, processes or the entry for Node. */
export const needsNode = (code: string): boolean =>
  /from '(?:node:[^']*|cocagrad\/train|\.[^']*)'/.test(code) || /\bprocess\.(?!on\b)/.test(code)

export interface Program {
  readonly kind: 'program' | 'task' | 'solution'
  readonly code: string
  readonly line: number
  readonly check?: string
  /** what the page says that it prints */
  readonly output?: string
}

/** The programs of a page of Markdown. */
export function programsOf(markdown: string): Program[] {
  const blocks = [...markdown.matchAll(/^```(ts[^\n]*)\n(.*?)^```$(?:\s*```text\n(.*?)^```$)?/gms)].map(match => ({
    kind: kindOf(match[1]),
    code: match[2].trimEnd(),
    output: match[3],
    line: markdown.slice(0, match.index).split('\n').length,
  }))
  let check: string | undefined
  return blocks.flatMap(({ kind, ...block }, i): Program[] => {
    if (kind === 'task') check = blocks.slice(i).find(each => each.kind === 'check')?.code
    if (kind === 'program') return [{ kind, ...block }]
    return kind === 'task' || kind === 'solution' ? [{ kind, ...block, check }] : []
  })
}
