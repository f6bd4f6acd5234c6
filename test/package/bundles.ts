// No bundler removes the methods of tensors, for any entry that a program imports.

import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import type { Browser } from 'playwright-core'
import { launch, missing } from '../browser/chromium.ts'
import { agree, answerInDevelopment, answerInPage, answersInNode } from './answers.ts'
import { bundlers } from './bundlers.ts'
import { entries, fileOf, forNode, functions, methods, oneFiles, type Program, training } from './programs.ts'
import type { Project } from './project.ts'

export function bundles(project: Project): void {
  describe('a bundle', () => {
    let browser: Browser
    before(async () => {
      if (!missing) browser = await launch()
    })
    after(() => browser?.close())

    const small = Object.keys(entries)
      .filter(entry => ![...forNode, ...oneFiles].includes(entry))
      .map(entry => entries[entry])
      .concat(methods, functions)

    for (const [bundler, bundle] of Object.entries(bundlers)) {
      const bundled = async (program: Program, withGpu: boolean) => {
        const folder = join(project.folder, 'out', bundler, fileOf(program).replace('.js', ''))
        await bundle(await project.write(fileOf(program), program.code), folder, withGpu)
        return { folder, file: fileOf(program) }
      }

      test(`by ${bundler} keeps the methods of every entry`, async () => {
        const files: string[] = []
        for (const program of small) {
          const { folder, file } = await bundled(program, false)
          files.push(join(folder, file))
        }
        agree(small, await answersInNode(files))
      })

      test(`by ${bundler} trains on cpu and on gpu, in Node and in a page`, async () => {
        const { folder, file } = await bundled(training, true)
        agree([training], await answersInNode([join(folder, file)]))
        if (!missing) agree([training], [await answerInPage(browser, folder, file)])
      })
    }

    test("by Vite's development server trains in a page", { skip: missing }, async () => {
      for (const program of [functions, training, entries['./data']]) {
        await project.write(fileOf(program), program.code)
        agree([program], [await answerInDevelopment(browser, project.folder, fileOf(program))])
      }
    })
  })
}
