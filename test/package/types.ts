// The declarations type-check in a strict project without the DOM's library and without Node's types, and without skipLibCheck.

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { root } from '../browser/chromium.ts'
import { entries, withoutMethods } from './programs.ts'
import { type Project, run } from './project.ts'

/** The one entry whose declarations need AbortSignal and URL, which are of the DOM or of Node. */
const withHost = './train'

const nameOf = (entry: string) => `cocagrad${entry.slice(1)}`

export function types(project: Project): void {
  /** What the compiler finds wrong with a program, a line each. */
  async function errors(name: string, program: string, options: object): Promise<string[]> {
    const file = `types/${name.replaceAll(/[^a-z0-9]+/gi, '-')}`
    await project.write(`${file}.ts`, program)
    const compilerOptions = { noEmit: true, strict: true, target: 'es2022', skipLibCheck: false, ...options }
    const config = await project.write(
      `${file}.json`,
      JSON.stringify({ compilerOptions, files: [join(project.folder, `${file}.ts`)] }),
    )
    const compiler = join(root, 'node_modules/typescript/bin/tsc')
    return run(process.execPath, [compiler, '-p', config]).then(
      () => [],
      ({ stdout }: { stdout: string }) => stdout.trim().split('\n'),
    )
  }

  const importing = (names: readonly string[]) =>
    names.map((entry, i) => `import * as entry${i} from '${nameOf(entry)}'\nexport { entry${i} }\n`).join('')

  describe('the declarations', () => {
    const plain = Object.keys(entries).filter(entry => entry !== withHost)
    const program = `${importing(plain)}
import { Tape, tensor } from 'cocagrad'
using tape = new Tape()
export const loss = tape.run(() => tensor([1]).mul(2))
`
    const everywhere = [
      { module: 'esnext', moduleResolution: 'bundler', lib: ['ES2022'] },
      { module: 'nodenext', lib: ['ES2022'] },
      { module: 'nodenext', lib: ['ES2022', 'DOM'] },
    ]
    for (const options of everywhere) {
      const where = `${options.module} with ${options.lib.join(' and ')}`
      test(`need no other types: ${where}`, async () => {
        assert.deepEqual(await errors(where, program, { ...options, types: [] }), [])
      })
    }

    test('are those of a browser with its condition', async () => {
      const options = { module: 'esnext', moduleResolution: 'bundler', lib: ['ES2022'], types: [] }
      const browser = { ...options, customConditions: ['browser'] }
      const program = `import { openData, openSafetensors } from 'cocagrad/data'
export const file = openSafetensors({ href: 'https://localhost/model.safetensors' })
export const data = openData('folder', { imageSize: 8 })
`
      assert.deepEqual(await errors('data in Node', program, options), [])
      const [error, ...others] = await errors('data in a page', program, browser)
      assert.match(error, /has no exported member 'openData'|no exported member named 'openData'/)
      assert.deepEqual(others, [])
    })

    test(`of ${nameOf(withHost)} need the DOM or the types of Node`, async () => {
      const options = { module: 'nodenext', lib: ['ES2022'] }
      const node = { types: ['node'], typeRoots: [join(root, 'node_modules/@types')] }
      assert.deepEqual(await errors('train in Node', importing([withHost]), { ...options, ...node }), [])
      assert.deepEqual(
        await errors('train in a page', importing([withHost]), { ...options, lib: ['ES2022', 'DOM'], types: [] }),
        [],
      )
    })

    test('declare no methods for entries without methods', async () => {
      for (const entry of withoutMethods) {
        const program = `${importing([entry])}import { tensor } from 'cocagrad/tensor'\ntensor([1]).mul(2)\n`
        const [error, ...others] = await errors(nameOf(entry), program, {
          module: 'nodenext',
          lib: ['ES2022'],
          types: [],
        })
        assert.match(error, /Property 'mul' does not exist on type 'Tensor'/)
        assert.deepEqual(others, [])
      }
    })
  })
}
