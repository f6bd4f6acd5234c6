// TypeScript's language service over the declarations that scripts/types.js writes.

import ts from 'typescript'
import { declarations } from './declarations.ts'

/** What scripts/types.js writes. */
export interface Types {
  readonly paths: Readonly<Record<string, string[]>>
  readonly libraries: string[]
  readonly files: Readonly<Record<string, string>>
}

/** The programs by their paths. A change of a text has another version. */
export type Programs = Map<string, { readonly text: string; readonly version: number }>

const OTHERS = '/types/others.d.ts'

export function serviceFor({ paths, libraries, files }: Types, programs: Programs): ts.LanguageService {
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
  const known = new Map([...Object.entries(files), [OTHERS, declarations] as const])
  const folders = new Set<string>(['/', '/programs'])
  for (const path of known.keys())
    for (let end = path.lastIndexOf('/'); end > 0; end = path.lastIndexOf('/', end - 1)) folders.add(path.slice(0, end))
  const isFolder = (path: string) => folders.has(path) || [...programs.keys()].some(name => name.startsWith(`${path}/`))
  const read = (path: string) => programs.get(path)?.text ?? known.get(path)
  return ts.createLanguageService({
    getCompilationSettings: () => options,
    getScriptFileNames: () => [OTHERS, ...programs.keys()],
    getScriptVersion: path => String(programs.get(path)?.version ?? 0),
    getScriptSnapshot: path => {
      const text = read(path)
      return text === undefined ? undefined : ts.ScriptSnapshot.fromString(text)
    },
    getCurrentDirectory: () => '/',
    getDefaultLibFileName: () => '/lib/lib.es2023.d.ts',
    fileExists: path => read(path) !== undefined,
    readFile: read,
    directoryExists: path => isFolder(path.replace(/\/$/, '') || '/'),
    getDirectories: () => [],
  })
}
