// Every page is examined by axe, in both colour schemes: the page as it opens, with what is folded open, and pages with what their
// programs printed. axe looks for what can be found without a person, such as contrast, names, roles and the order of headings.

import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { before, describe, test } from 'node:test'
import type { AxeResults } from 'axe-core'
import type { Page } from 'playwright-core'
import { dist, isLong, skip, visit } from './site.ts'

const axe = createRequire(import.meta.url).resolve('axe-core/axe.min.js')

/** What axe finds in a page, of the colours in both schemes: the rule, what is wrong, and the first element. */
async function violationsOf(page: Page): Promise<string[]> {
  // an animation in between has other colours
  await page.addStyleTag({
    content: '*, ::before, ::after { transition: none !important; animation: none !important }',
  })
  await page.addScriptTag({ path: axe })
  const found: string[] = []
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme })
    await page.waitForFunction(
      isDark => document.documentElement.classList.contains('dark') === isDark,
      colorScheme === 'dark',
    )
    const { violations } = await page.evaluate(async isDark => {
      const { axe } = globalThis as unknown as { axe: { run(options: object): Promise<AxeResults> } }
      // an experimental rule: the button of VitePress's search is named Search and also shows its keys
      // the lines of an editor scroll with its cursor, which axe does not see
      const rules = {
        'label-content-name-mismatch': { enabled: false },
        'scrollable-region-focusable': { enabled: false },
      }
      // what passes is not described, which takes most of the time of a long page
      const resultTypes = ['violations']
      return axe.run({ resultTypes, ...(isDark ? { runOnly: ['color-contrast', 'link-in-text-block'] } : { rules }) })
    }, colorScheme === 'dark')
    for (const { id, nodes } of violations) {
      const [{ target, failureSummary = '' }] = nodes
      const place = `${colorScheme}: ${id}, ${nodes.length} times: ${target.join(' ')}`
      found.push(`${place}: ${failureSummary.replaceAll(/\s+/g, ' ')}`)
    }
  }
  await page.emulateMedia({ colorScheme: 'light' })
  return found
}

/** Pages of each kind. `COCAGRAD_TESTS=long npm run site:test` looks at all. */
const some = [
  ...['index', 'repl', 'tape', 'attention', 'kernels', 'openclip-model', '404', 'learn/coca', 'learn/gradient'],
  ...['teach/exercises', 'research/index', 'guides/autograd', 'guides/training', 'reference/index'],
  'reference/tensor/tensor',
].map(name => `${name}.html`)

/** Waits until the parts of a page that are loaded later are there. */
async function settled(page: Page, name: string): Promise<void> {
  const parts: Readonly<Record<string, string>> = {
    'index.html': '.panels',
    'repl.html': '.cm-content',
    'tape.html': 'svg',
    'attention.html': 'table, svg, canvas',
    'kernels.html': 'pre, code',
    'openclip-model.html': 'h2',
  }
  await page.waitForFunction(() => '__vue_app__' in (document.querySelector('#app') ?? {}))
  if (parts[name]) await page.locator(parts[name]).first().waitFor({ timeout: 60_000 })
  await page.evaluate(() => {
    for (const details of document.querySelectorAll('main details')) (details as HTMLDetailsElement).open = true
  })
  await page.waitForTimeout(300)
}

describe('every page', { skip }, () => {
  const site = visit()
  let names: string[]
  before(async () => {
    const all = (await readdir(dist, { recursive: true })).filter(name => name.endsWith('.html'))
    for (const name of some) assert.ok(all.includes(name), `there is no page ${name}`)
    names = isLong ? all.sort() : some
  })

  test('has no mistake that axe knows', async () => {
    const found: string[] = []
    const { page, close } = await site.open('learn/')
    for (const name of names) {
      await page.goto(site.url + name)
      await settled(page, name)
      found.push(...(await violationsOf(page)).map(each => `${name}, ${each}`))
    }
    await close()
    assert.equal([...new Set(found)].join('\n'), '')
  })

  test('has none when programs have run, and in a narrow window', async () => {
    const found: string[] = []
    const { page, close } = await site.open('learn/', { width: 390, height: 844 })
    for (const name of ['learn/tensor.html', 'learn/gradient.html']) {
      await page.goto(site.url + name)
      await settled(page, name)
      for (let i = 0; (await page.locator('.program .actions button.run:visible').count()) > 0; i++) {
        await page.locator('.program .actions button.run:visible').first().click()
        await page
          .locator('.repl')
          .nth(i)
          .and(page.locator('[data-state=finished], [data-state=failed]'))
          .waitFor({ timeout: 60_000 })
      }
      found.push(...(await violationsOf(page)).map(each => `${name}, run, ${each}`))
    }
    await close()
    assert.equal([...new Set(found)].join('\n'), '')
  })
})
