// The README and the guides are programs: every TypeScript block is type-checked and run, and where a text block
// follows, it is what the program prints. A block that names a file, as in ```ts src/models/coca.ts, is not run: its
// lines must occur in this file.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { promisify } from 'node:util'
import { builtPrograms } from '../programs.ts'

const run = promisify(execFile)
const root = join(import.meta.dirname, '../..')
// inside the package, so that `import 'cocagrad'` finds it
const folder = join(root, '.cache/guides')

interface Program {
  readonly name: string
  readonly code: string
  /** what it must print, where the guide says so */
  readonly output?: string
}

/** Lines of a source file that a guide shows. */
interface Quotation {
  readonly name: string
  readonly file: string
  readonly code: string
}

async function blocks(): Promise<{ readonly programs: readonly Program[]; readonly quotations: readonly Quotation[] }> {
  const guides = [
    'README.md',
    ...(await readdir(join(root, 'docs'))).filter(f => f.endsWith('.md')).map(f => `docs/${f}`),
  ]
  const programs: Program[] = []
  const quotations: Quotation[] = []
  for (const guide of guides) {
    const text = await readFile(join(root, guide), 'utf8')
    for (const match of text.matchAll(/^```ts([^\n]*)\n(.*?)^```(?:\s*```text\n(.*?)```)?/gms)) {
      const name = `${guide}:${text.slice(0, match.index).split('\n').length}`
      const [, file, code, output] = match
      if (file === '') programs.push({ name, code, output })
      else quotations.push({ name, file: file.trim(), code })
    }
  }
  return { programs, quotations }
}

/** Lines without the indentation that all of them have, and without empty lines at both ends. */
function dedent(lines: readonly string[]): string {
  const indents = lines.filter(line => line.trim() !== '').map(line => line.length - line.trimStart().length)
  const least = Math.min(...indents)
  return lines
    .map(line => line.slice(least).trimEnd())
    .join('\n')
    .replace(/^\n+|\n+$/g, '')
}

/** The passages of a quotation, between lines that consist of `// …`. */
const passagesOf = (code: string): string[] => code.split(/^\s*\/\/ …\n/m).map(passage => dedent(passage.split('\n')))

/** Checks that the passages are consecutive lines of a file, in their order. */
function assertQuoted({ file, code }: Quotation, source: string): void {
  const lines = source.split('\n')
  let from = 0
  for (const passage of passagesOf(code)) {
    assert.notEqual(passage, '', 'a passage has no lines')
    const length = passage.split('\n').length
    const starts = lines.flatMap((_, i) =>
      i >= from && dedent(lines.slice(i, i + length)) === passage && lines[i].trim() !== '' ? [i] : [],
    )
    assert.ok(starts.length > 0, `these lines are not in ${file}, or not in this order:\n${passage}`)
    from = starts[0] + length
  }
}

const { programs: all, quotations } = await blocks()
const fileNameOf = ({ name }: Program) => name.replaceAll(/[^a-z0-9]+/gi, '-')
const fileOf = (program: Program) => join(folder, `${fileNameOf(program)}.ts`)

describe('the guides', () => {
  before(async () => {
    await mkdir(folder, { recursive: true })
    for (const program of all) await writeFile(fileOf(program), `${program.code}\nexport {}\n`)
    const config = { extends: '../../tsconfig.json', include: ['*.ts'] }
    await writeFile(join(folder, 'tsconfig.json'), JSON.stringify(config))
  })
  after(() => rm(folder, { recursive: true, force: true }))

  let built: Promise<string> | undefined
  const builtFile = async (program: Program) => {
    built ??= builtPrograms('guides', Object.fromEntries(all.map(each => [fileNameOf(each), fileOf(each)])))
    return join(await built, `${fileNameOf(program)}.js`)
  }

  test('there are programs in them', () => assert.ok(all.length > 5))

  test('their programs are well typed', async () => {
    await run('npx', ['tsc', '-p', folder], { cwd: root }).catch(error => assert.fail(error.stdout))
  })

  for (const quotation of quotations) {
    test(`${quotation.name} shows lines of ${quotation.file}`, async () => {
      assertQuoted(quotation, await readFile(join(root, quotation.file), 'utf8'))
    })
  }

  test('a quotation that differs from its file is noticed', () => {
    const source = 'class A {\n  one() {\n    return 1\n  }\n\n  two() {\n    return 2\n  }\n}\n'
    const check = (code: string) => assertQuoted({ name: '', file: 'a.ts', code }, source)
    check('one() {\n  return 1\n}\n')
    check('class A {\n  one() {\n    // …\n    return 2\n')
    assert.throws(() => check('one() {\n  return 2\n}\n'), /not in a\.ts/)
    assert.throws(() => check('one() {\nreturn 1\n}\n'), /not in a\.ts/)
    assert.throws(() => check('return 2\n// …\nreturn 1\n'), /not in this order/)
  })

  for (const program of all) {
    test(`${program.name} runs`, async () => {
      const { stdout } = await run('node', [await builtFile(program)], { cwd: root })
      if (program.output !== undefined) assert.equal(stdout.trimEnd(), program.output.trimEnd())
    })
  }
})
