// Screenshots of the playground in three widths and both colour schemes, before and during training and with its views open, and of the
// page of a checkpoint:
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
    for (const view of await page.locator('section[aria-label="Inside the model"] summary').all()) await view.click()
    await page.locator('.values figure').first().waitFor()
    await page.waitForTimeout(3000)
    await shot('views')
    await page.getByRole('application', { name: /Map of/ }).screenshot({
      path: `${folder}/map-${width}-${dark ? 'dark' : 'light'}.png`,
    })
    console.log(width, dark, await page.locator('.bar [role=status]').first().textContent(), errors)
    await close()
    const checkpoint = await open(browser, `${url}openclip-model.html`, { width, height, dark })
    await checkpoint.page.getByRole('heading', { name: '2. Your pictures' }).waitFor()
    await checkpoint.page.screenshot({
      path: `${folder}/openclip-${width}-${dark ? 'dark' : 'light'}.png`,
      fullPage: true,
    })
    await checkpoint.close()
  }
await browser.close()
server.close()
