// Makes the picture of a report for the README: a screenshot of its first sections.
//
//     npm start && npx tsx scripts/report-picture.ts runs/demo/report.html

import { fileURLToPath, pathToFileURL } from 'node:url'
import { launch } from '../test/browser/chromium.ts'

/** The number of sections in the picture: the figures, the captions, and the attention of the model. */
const SECTIONS = 3

const width = 1000
const target = fileURLToPath(new URL('../docs/report.png', import.meta.url))
const [report = 'runs/demo/report.html'] = process.argv.slice(2)
const browser = await launch()
try {
  const page = await browser.newPage({ viewport: { width, height: 1200 } })
  await page.goto(pathToFileURL(report).href)
  const next = await page.locator('section').nth(SECTIONS).locator('h2').boundingBox()
  if (!next) throw new Error(`${report} must have more than ${SECTIONS} sections`)
  await page.screenshot({ path: target, fullPage: true, clip: { x: 0, y: 0, width, height: Math.floor(next.y - 24) } })
  console.log(target)
} finally {
  await browser.close()
}
