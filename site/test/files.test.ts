// Programs of several files in the editor, and what cocagrad/notebook shows there, in the built site.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Page } from 'playwright-core'
import { skip, visit } from './site.ts'

describe('a program of several files', { skip }, () => {
  const site = visit()
  const status = (page: Page) => page.locator('.repl .status')
  const replace = async (page: Page, name: string, code: string) => {
    await page.getByRole('textbox', { name, exact: true }).click()
    await page.keyboard.press('Control+a')
    await page.keyboard.insertText(code)
  }

  test('has a tab for each, runs as one, and an error is shown in its file', async () => {
    const { page, errors, close } = await site.open('repl.html')
    await page.getByLabel('Start from').selectOption('grad-cam')
    const tabs = page.getByRole('tablist', { name: 'Files' }).getByRole('tab')
    assert.deepEqual(
      (await tabs.allTextContents()).map(name => name.trim()),
      ['grad-cam.ts', 'cnn.ts', 'data/digits.ts'],
    )
    await tabs.nth(2).click()
    await replace(
      page,
      'data/digits.ts',
      'export const rows: number[][] = [[1, 2]]\n\nthrow new Error(import.meta.url)\n',
    )
    await page.getByRole('button', { name: 'Run', exact: true }).click()
    await status(page).getByText('Failed at line 3 of data/digits.ts').waitFor({ timeout: 60_000 })
    await page
      .getByRole('alert')
      .getByText(/http.*\/examples\/data\/digits\.ts/)
      .waitFor()
    // with the keyboard to another tab, and back to the line of the error
    await tabs.nth(2).press('ArrowRight')
    assert.equal(await tabs.nth(0).getAttribute('aria-selected'), 'true')
    await page.getByRole('alert').getByRole('button', { name: 'line 3 of data/digits.ts' }).click()
    assert.equal(await tabs.nth(2).getAttribute('aria-selected'), 'true')
    await page.getByRole('button', { name: 'Put back' }).click()
    await tabs.nth(0).click()
    await replace(page, 'Program', "import { rows } from './data/digits.ts'\nconsole.log(rows.length, 'rows')\n")
    await page.keyboard.press('Control+Enter')
    await page.getByRole('log', { name: 'Output' }).getByText('1797 rows').waitFor({ timeout: 60_000 })

    // types go from file to file
    await replace(page, 'Program', "import { rows } from './data/digits.ts'\nconst text: string = rows\ntext")
    await page
      .getByText(/'number\[\]\[\]' is not assignable to type 'string'/)
      .first()
      .waitFor({ timeout: 60_000 })
    for (const [code, text] of [
      ["import './other.ts'", /there is no file '\.\/other\.ts' in this program/],
      ["import { nothing } from './cnn.ts'\nnothing", /nothing/],
      ["import './grad-cam.ts'", /import each other/],
    ] as const) {
      await replace(page, 'Program', code)
      await page.keyboard.press('Control+Enter')
      await page.getByRole('alert').filter({ hasText: text }).waitFor({ timeout: 60_000 })
    }
    await page.getByRole('button', { name: 'Copy a link' }).click()
    await page.getByText(/copied|address bar/).waitFor()
    const { hash } = new URL(page.url())
    assert.deepEqual(errors, [])
    await close()
    const other = await site.open(`repl.html${hash}`)
    await other.page.getByText('This program came with the link').waitFor()
    assert.equal(await other.page.getByRole('tab').count(), 3)
    await other.close()
  })

  test('that needs Node says so, and cannot be run', async () => {
    const { page, errors, close } = await site.open('repl.html')
    await page.getByLabel('Start from').selectOption('workers/train')
    await page.getByText('Runs in Node: it starts worker threads').waitFor()
    assert.equal(await page.getByRole('button', { name: 'Run', exact: true }).count(), 0)
    await page.getByLabel('Start from').selectOption('tape')
    await page.getByRole('button', { name: 'Run', exact: true }).waitFor()
    assert.deepEqual(errors, [])
    await close()
  })

  test('shows plots, pictures, graphs and progress in place', async () => {
    const { page, errors, close } = await site.open('repl.html')
    await page.getByRole('textbox', { name: 'Program' }).waitFor()
    await replace(
      page,
      'Program',
      `import { Tape, rand, tensor } from 'cocagrad'
import { display, graph, picture, plot, progress } from 'cocagrad/notebook'
const chart = display(plot([]))
for await (const step of progress(30, { label: 'steps' })) await chart.update(plot([3, 1, step], { title: 'loss' }))
const tape = new Tape()
tape.run(() => tape.watch(tensor([1, 2]), 'x').square().sum())
console.log(graph(tape))
picture(rand([2, 8, 8, 3]), { captions: ['left', 'right'] })`,
    )
    await page.keyboard.press('Control+Enter')
    await page.locator('.repl[data-state=finished]').waitFor({ timeout: 60_000 })
    const output = page.getByRole('log', { name: 'Output' })
    await output.getByRole('img', { name: 'Plot loss: loss from 3 to 29, 3 points' }).waitFor()
    assert.equal(await output.getByRole('img', { name: /^Plot/ }).count(), 1)
    await output.getByText(/30 of 30/).waitFor()
    assert.equal(await output.getByRole('progressbar', { name: 'steps' }).count(), 1)
    await output.getByRole('img', { name: 'Graph of 1 watched tensors and 2 operations' }).waitFor()
    const right = output.getByRole('img', { name: 'right' })
    assert.ok(await right.evaluate(image => (image as HTMLImageElement).naturalWidth === 8))
    assert.deepEqual(errors, [])
    await close()
  })
})
