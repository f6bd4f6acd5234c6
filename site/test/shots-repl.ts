// Screenshots of the editor, of a step of the learner's path and of a guide, in three widths and both colour schemes:
//
//     npx tsx site/test/shots-repl.ts FOLDER

import { mkdirSync } from 'node:fs'
import { launch } from '../../test/browser/chromium.ts'
import { open, serve } from './site.ts'

const folder = process.argv[2] ?? '.cache/site'
mkdirSync(folder, { recursive: true })
const { url, server } = await serve()
const browser = await launch()
for (const [width, height] of [
  [1280, 1000],
  [820, 1000],
  [390, 844],
])
  for (const dark of [false, true]) {
    const { page, errors, close } = await open(browser, `${url}repl.html`, { width, height, dark })
    const shot = (name: string, fullPage = true) =>
      page.screenshot({ path: `${folder}/${name}-${width}-${dark ? 'dark' : 'light'}.png`, fullPage })
    const ended = () => page.locator('[data-state=finished], [data-state=failed]').last().waitFor({ timeout: 120_000 })
    await page.getByLabel('Start from').selectOption('linear-regression')
    await page.getByRole('button', { name: 'Run' }).click()
    await ended()
    await page.getByRole('textbox', { name: 'Program' }).click()
    await page.keyboard.press('Control+End')
    await page.keyboard.insertText('const wrong: string = 1\nx.slice([{ stop: 5 }]).matmul(x)\n')
    await page.getByText('is not assignable').first().waitFor({ timeout: 60_000 })
    await page.keyboard.press('Control+Enter')
    await page.locator('[data-state=failed]').waitFor()
    await shot('editor')
    await page.goto(`${url}learn/gradient.html`)
    await page.waitForTimeout(500)
    await shot('learn-top', false)
    for (let i = 0; i < 6; i++) {
      await page.locator('.program .actions button', { hasText: 'Run' }).first().click()
      await page.locator('.repl').nth(i).and(page.locator('[data-state=finished]')).waitFor({ timeout: 60_000 })
    }
    await shot('learn')
    await page.goto(`${url}learn/coca.html`)
    await page.locator('.program .actions button', { hasText: 'Run' }).first().click()
    await ended()
    await page.locator('.program .actions button', { hasText: 'Run' }).nth(1).click()
    await ended()
    await page.waitForTimeout(1000)
    await shot('coca')
    await page.goto(`${url}guides/autograd.html`)
    await page.waitForTimeout(300)
    await shot('guide', false)
    console.log(width, dark, errors)
    await close()
  }
await browser.close()
server.close()
