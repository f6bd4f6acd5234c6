// Programs run in Node: with what is optional, such as machine code, and where the environment, threads or native code are refused.

import assert from 'node:assert/strict'
import { symlink, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { openCpu } from '../../src/tensor/cpu/index.ts'
import { root } from '../browser/chromium.ts'
import { agree, answersInNode } from './answers.ts'
import { bundlers } from './bundlers.ts'
import { entries, fileOf, methods, type Program, training } from './programs.ts'
import { type Project, run } from './project.ts'

const refuse = `() => { throw new Error('refused') }`

/** Programs that remove a feature, such as those that Deno does not permit by default. */
const without: Readonly<Record<string, string>> = {
  // Node reads variables of its own
  'the environment': `process.env = new Proxy({}, { get: (_, name) => name.startsWith?.('COCAGRAD') && (${refuse})() })`,
  'the modules of Node': `process.getBuiltinModule = ${refuse}`,
  'anything of Node': `Object.defineProperty(globalThis, 'process', { get: ${refuse} })`,
}

export function hosts(project: Project): void {
  const written = (program: Program) => project.write(fileOf(program), program.code)

  test('in Node every entry has the methods that it declares', async () => {
    assert.deepEqual(Object.keys(entries).sort(), Object.keys(project.manifest.exports).sort())
    for (const program of Object.values(entries)) agree([program], await answersInNode([await written(program)]))
  })

  test('workers of a DataLoader open the dataset of a module', async () => {
    await project.write(
      'tones.js',
      `import { defineDataset } from 'cocagrad/data'
       export default defineDataset(import.meta.url, count => ({
         length: count,
         get: (index, { random }) => [index, random.normal()],
       }))`,
    )
    const file = await project.write(
      'workers.js',
      `import { DataLoader } from 'cocagrad/data'
       import tones from './tones.js'
       const answers = []
       for (const workers of [0, 2])
         for await (const batch of new DataLoader(await tones(4), { batchSize: 4, shuffle: true, workers }))
           answers.push(String(batch.dataSync()))
       console.log(answers.length, answers[0] === answers[1])`,
    )
    const { stdout } = await run(process.execPath, [file], { cwd: project.folder })
    assert.equal(stdout, '2 true\n')
  })

  const here = openCpu({ threads: 1 })
  here.close()
  describe('machine code', { skip: here.machineCode ? false : here.description }, () => {
    const koffi = join(project.folder, 'node_modules/koffi')
    const described = async (file: string) => (await run(process.execPath, [file], { cwd: project.folder })).stdout
    let file: string
    before(async () => {
      await symlink(join(root, 'node_modules/koffi'), koffi)
      file = await project.write(
        'described.js',
        `import { device, tensor } from 'cocagrad'
         console.log(await tensor([1, 2]).mul(3).sum().item(), device.description)`,
      )
    })
    after(() => unlink(koffi))

    test('is made by the package as by its sources', async () => {
      assert.match(
        await described(file),
        new RegExp(`^9 WebAssembly with [\\w ]+, machine code with ${here.machineCode}, `),
      )
    })

    // webpack writes the path of the installed package into its bundle, which finds the file there
    const { webpack: _, ...others } = bundlers
    for (const [bundler, bundle] of Object.entries(others))
      test(`is left out of a bundle by ${bundler}, which says so in Node`, async () => {
        const folder = join(project.folder, 'out/described', bundler)
        await bundle(file, folder, false)
        assert.match(
          await described(join(folder, 'described.js')),
          /^9 WebAssembly with [\w ]+ \(machine code is not possible: cocagrad's file .* is missing; a bundler leaves it out unless cocagrad is external\), /,
        )
      })
  })

  describe('a program runs on a host without', () => {
    for (const [what, code] of Object.entries(without))
      test(what, async () => {
        const refusing = await project.write('refusing.js', `${code}\nglobalThis.answer = []`)
        const programs = [methods, training]
        const [, ...answers] = await answersInNode([refusing, ...(await Promise.all(programs.map(written)))])
        agree(programs, answers)
      })

    test('threads and native code, and the description of the device says so', async () => {
      // of Node 24 and of Node 20
      const flag = ['--permission', '--experimental-permission'].find(flag =>
        process.allowedNodeEnvironmentFlags.has(flag),
      )!
      const program = `
        import { device, tensor } from 'cocagrad'
        console.log(await tensor([1, 2]).mul(3).sum().item(), device.description)`
      const file = await project.write('described.js', program)
      const { stdout } = await run(process.execPath, [flag, '--allow-fs-read=*', file], { cwd: project.folder })
      assert.match(
        stdout,
        /^9 WebAssembly with \w+ ?\w+ \(machine code .*\), 1 thread \(threads need --allow-worker\), up to \d+ GiB, matrix products of its own \(a BLAS/,
      )
    })
  })
}
