// The results of programs where users run them, in Node and in a page, as a list of numbers.

import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Browser } from 'playwright-core'
import { assertCloseNumbers } from '../support.ts'
import { preview, type Served, serve } from './bundlers.ts'
import type { Program } from './programs.ts'
import { run } from './project.ts'

/** Runs files one after the other in one process of Node. */
export async function answersInNode(files: readonly string[]): Promise<number[][]> {
  const program = `
    const answers = []
    for (const file of ${JSON.stringify(files)}) {
      await import(file)
      answers.push([await globalThis.answer].flat(Infinity))
    }
    console.log(JSON.stringify(answers))`
  const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', program])
  return JSON.parse(stdout) as number[][]
}

async function answerAt(browser: Browser, { address, close }: Served): Promise<number[]> {
  const page = await browser.newPage()
  page.setDefaultTimeout(300_000)
  try {
    const failed = new Promise<never>((_, reject) => page.on('pageerror', reject))
    await page.goto(address)
    const answered = page
      .waitForFunction('globalThis.answer')
      .then(() => page.evaluate('globalThis.answer.then(answer => [answer].flat(Infinity))') as Promise<number[]>)
    return await Promise.race([answered, failed])
  } finally {
    await page.close()
    await close()
  }
}

const page = (file: string) => `<!doctype html><title>test</title><script type="module" src="./${file}"></script>`

/** Opens a page with a file of a folder as it is served after a build. */
export async function answerInPage(browser: Browser, folder: string, file: string): Promise<number[]> {
  await writeFile(join(folder, 'index.html'), page(file))
  return answerAt(browser, await preview(folder))
}

/** Opens a page with a file of a project as Vite serves it while one works on it. */
export async function answerInDevelopment(browser: Browser, project: string, file: string): Promise<number[]> {
  await writeFile(join(project, 'index.html'), page(file))
  return answerAt(browser, await serve(project))
}

/** Fails unless programs answered what they should, in single precision. */
export function agree(programs: readonly Program[], answers: readonly (readonly number[])[]): void {
  programs.forEach(({ name, expected }, i) => {
    const message = `${name} answers ${answers[i]}, not ${expected}`
    assert.doesNotThrow(() => assertCloseNumbers(answers[i], expected, 1e-5), message)
  })
}
