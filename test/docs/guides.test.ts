// The README and the guides are programs: every TypeScript block is type-checked and run, and where a text block
// follows, it is what the program prints.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { promisify } from 'node:util'

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

async function programs(): Promise<Program[]> {
  const guides = [
    'README.md',
    ...(await readdir(join(root, 'docs'))).filter(f => f.endsWith('.md')).map(f => `docs/${f}`),
  ]
  const found: Program[] = []
  for (const guide of guides) {
    const text = await readFile(join(root, guide), 'utf8')
    for (const match of text.matchAll(/```ts\n(.*?)```(?:\s*```text\n(.*?)```)?/gs)) {
      const line = text.slice(0, match.index).split('\n').length
      found.push({ name: `${guide}:${line}`, code: match[1], output: match[2] })
    }
  }
  return found
}

const all = await programs()
const fileOf = (program: Program) => join(folder, `${program.name.replaceAll(/[^a-z0-9]+/gi, '-')}.ts`)

describe('the guides', () => {
  before(async () => {
    await mkdir(folder, { recursive: true })
    for (const program of all) await writeFile(fileOf(program), `${program.code}\nexport {}\n`)
    const config = { extends: '../../tsconfig.json', include: ['*.ts'] }
    await writeFile(join(folder, 'tsconfig.json'), JSON.stringify(config))
  })
  after(() => rm(folder, { recursive: true, force: true }))

  test('there are programs in them', () => assert.ok(all.length > 5))

  test('their programs are well typed', async () => {
    await run('npx', ['tsc', '-p', folder], { cwd: root }).catch(error => assert.fail(error.stdout))
  })

  for (const program of all) {
    test(`${program.name} runs`, async () => {
      const { stdout } = await run('node', ['--conditions=source', '--import', 'tsx', fileOf(program)], { cwd: root })
      if (program.output !== undefined) assert.equal(stdout.trimEnd(), program.output.trimEnd())
    })
  }
})
