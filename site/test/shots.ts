// Screenshots of the playground in three widths and both colour schemes, before and during training:
//
//     npx tsx site/test/shots.ts FOLDER

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
    const { page, errors, close } = await open(browser, url, { width, height, dark })
    const shot = (name: string) =>
      page.screenshot({ path: `${folder}/${name}-${width}-${dark ? 'dark' : 'light'}.png`, fullPage: true })
    await page.getByRole('heading', { name: 'Word by word' }).waitFor()
    await shot('trained')
    await page.getByRole('button', { name: 'Train one from scratch' }).click()
    await page.waitForTimeout(10_000)
    await shot('training')
    console.log(width, dark, await page.getByRole('status').textContent(), errors)
    await close()
  }
await browser.close()
server.close()
