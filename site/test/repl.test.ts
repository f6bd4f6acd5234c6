// The editor as a person uses it, and every program of the pages in it, in the built site on a host that sets no headers.

import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { before, describe, test } from 'node:test'
import type { Page } from 'playwright-core'
import { type Kind, kindOf, needsNode, programsOf } from '../repl/programs.ts'
import { type Programs, serviceFor, type Types } from '../repl/service.ts'
import { linked, ProgramError, strip } from '../repl/transform.ts'
import { dist, isLong, notBuilt, type open, scriptBytes, skip, visit } from './site.ts'

const root = join(import.meta.dirname, '../..')

describe('a program without its types', () => {
  const run = (code: string, lines?: number) => linked(strip(code, lines), new Map([['cocagrad', 'blob:1']]))

  test('has its lines where they were', () => {
    const source =
      "import {\n  grad,\n  type Tensor,\n} from 'cocagrad'\n\ninterface A {\n  b: number\n}\nconst a: A = { b: 1 }\nthrow a"
    assert.deepEqual(
      run(source)
        .split('\n')
        .map(line => line.includes('throw')),
      source.split('\n').map(line => line.includes('throw')),
    )
  })

  test('imports by addresses, and gives the value of its last expression', () => {
    assert.match(run("import { grad } from 'cocagrad'\ngrad"), /from "blob:1"\n__cocagradLast\(grad\)/)
    assert.match(run("const a = await import('cocagrad')"), /import\("blob:1"\)/)
    assert.match(run('1 + 1\n;{ 2 }\n3', 1), /^__cocagradLast\(1 \+ 1\)/)
    const located = linked(strip("new URL('a', import.meta.url)", 0), new Map(), 'https://host/b.ts')
    assert.equal(located, 'new URL(\'a\', "https://host/b.ts")')
  })

  test('says the line of what it cannot read', () => {
    const line = (code: string) => {
      try {
        strip(code)
      } catch (error) {
        return error instanceof ProgramError ? error.line : undefined
      }
      return undefined
    }
    assert.equal(line('const a = 1\nconst b = = 2\n'), 2)
    assert.equal(line('const a = 1\n\nconst a = 2\n'), 3)
  })

  test('is recognised in a page', () => {
    const kinds: Record<string, Kind | undefined> = {
      ts: 'program',
      'ts task': 'task',
      'ts src/index.ts': 'quotation',
      sh: undefined,
    }
    for (const [info, kind] of Object.entries(kinds)) assert.equal(kindOf(info), kind)
    assert.ok(needsNode("import { readFile } from 'node:fs/promises'"))
    assert.ok(needsNode("import { fit } from 'cocagrad/train'"))
    assert.ok(!needsNode("import { fit } from 'cocagrad/fit'"))
  })
})

describe('the editor', { skip }, () => {
  const site = visit()

  async function opened(fragment = '') {
    const opening = await site.open(`repl.html${fragment}`)
    await opening.page.getByRole('textbox', { name: 'Program' }).waitFor()
    return opening
  }

  /** Types a program in the place of the one that is there. */
  async function write(page: Page, code: string): Promise<void> {
    await page.getByRole('textbox', { name: 'Program' }).click()
    await page.keyboard.press('Control+a')
    await page.keyboard.insertText(code)
  }

  const ended = (page: Page) =>
    page.waitForFunction(
      () => ['finished', 'failed'].includes(document.querySelector<HTMLElement>('.repl')?.dataset.state ?? ''),
      undefined,
      { timeout: 60_000 },
    )
  const output = (page: Page) => page.getByRole('log', { name: 'Output' })

  test('pages load at most 100 KB of script before something runs', async () => {
    const pages = (await readdir(dist, { recursive: true })).filter(name => name.endsWith('.html'))
    assert.ok(pages.length > 20)
    for (const name of pages) {
      const total = await scriptBytes(name)
      assert.ok(total <= 100 * 1024, `${name}: ${total} bytes`)
    }
  })

  test('runs what is edited, shows a tensor as a table and the value of the last expression', async () => {
    const { page, errors, close } = await opened()
    await write(
      page,
      "import { tensor } from 'cocagrad'\nconsole.log(tensor([[1, 2], [3, 45]]))\nawait tensor(7).item()\n",
    )
    await page.getByRole('button', { name: 'Run' }).click()
    await ended(page)
    await output(page).getByRole('cell', { name: '45' }).waitFor()
    assert.match((await output(page).getByText('Tensor [2, 2] float32 on cpu').textContent()) ?? '', /cpu/)
    assert.match((await output(page).locator('.result').textContent()) ?? '', /7/)

    await write(page, "import { rand, Linear } from 'cocagrad'\nconsole.log(rand([3, 16, 16]))\nnew Linear(2, 3)\n")
    await page.keyboard.press('Control+Enter')
    await output(page).getByRole('img', { name: 'picture 1 of 1' }).waitFor()
    // modules show the names of their classes
    await output(page).getByText('Linear (9)').waitFor()
    assert.deepEqual(errors, [])
    await close()
  })

  test('shows a type error at its line, and completes and describes names', async () => {
    const { page, errors, close } = await opened()
    await write(page, "import { randn } from 'cocagrad'\nconst x = randn([2, 3])\nconst n: string = x.size\nx.")
    const problems = page.getByRole('list', { name: /TypeScript/ })
    await problems.getByText("Type 'number' is not assignable to type 'string'").waitFor({ timeout: 60_000 })
    await problems.getByRole('button', { name: 'Line 3' }).click()
    await page.keyboard.press('Control+End')
    await page.keyboard.type('ab')
    await page.getByRole('listbox').getByRole('option', { name: 'abs' }).first().waitFor({ timeout: 60_000 })
    await page
      .getByText(/\(property\)/)
      .first()
      .waitFor()
    assert.deepEqual(errors, [])
    await close()
  })

  test('shows an error of a run at its line, after what was printed', async () => {
    const { page, errors, close } = await opened()
    await write(
      page,
      "import { zeros, type Tensor } from 'cocagrad'\nconst f = (x: Tensor) =>\n  x.matmul(zeros([2, 3]))\nconsole.log('before')\nf(zeros([2, 3]))",
    )
    await page.keyboard.press('Control+Enter')
    await ended(page)
    assert.equal(await page.locator('.repl .status').textContent(), 'Failed at line 3')
    assert.match((await page.getByRole('alert').textContent()) ?? '', /ShapeError: matmul: \[2, 3\] and \[2, 3\]/)
    assert.match((await page.locator('.repl-line-message').textContent()) ?? '', /ShapeError/)
    assert.ok((await output(page).textContent())?.startsWith('before'))
    for (const [code, text] of [
      ["import { nothing } from 'cocagrad'\nnothing", /line 1\b.*exports no nothing/],
      ["const a = 1\nimport { readFile } from 'node:fs'\nreadFile", /line 2\b.*needs Node/],
      ['let a = 1\nlet a = 2', /line 2\b.*already been declared/],
      ["const a = 1\n\nthrow new Error('mine')", /line 3\b.*mine/],
      ["const a = 1\nPromise.reject(new Error('late'))", /line 2\b.*late/],
    ] as const) {
      await write(page, code)
      await page.keyboard.press('Control+Enter')
      await page.getByRole('alert').filter({ hasText: text }).waitFor()
    }
    assert.deepEqual(errors, [])
    await close()
  })

  test('shows the progress of a loop, and stops an endless one', async () => {
    const { page, errors, close } = await opened()
    await write(page, "for (let i = 0; ; i++) if (i % 100_000_000 === 0) console.log('at', i)")
    await page.keyboard.press('Control+Enter')
    await output(page).getByText('at 100000000').waitFor()
    await page.getByRole('button', { name: 'Stop' }).click()
    assert.equal(await page.locator('.repl .status').textContent(), 'Stopped')
    await write(page, "for (;;) console.log('x')")
    await page.keyboard.press('Control+Enter')
    await page.getByText(/earlier lines are not shown/).waitFor()
    await page.getByRole('button', { name: 'Stop' }).click()
    await write(page, "console.log('again')")
    await page.keyboard.press('Control+Enter')
    await ended(page)
    assert.equal((await output(page).textContent())?.trim(), 'again')
    assert.deepEqual(errors, [])
    await close()
  })

  test('is used with the keyboard alone', async () => {
    const { page, errors, close } = await opened()
    const editor = page.getByRole('textbox', { name: 'Program' })
    await page.getByLabel('Start from').focus()
    for (let i = 0; i < 5 && !(await editor.evaluate(element => element === document.activeElement)); i++)
      await page.keyboard.press('Tab')
    await page.keyboard.press('Control+a')
    await page.keyboard.type("console.log('typed')")
    await page.keyboard.press('Tab')
    assert.ok(await editor.evaluate(element => element === document.activeElement), 'Tab indents')
    await page.keyboard.press('Control+Enter')
    await output(page).getByText('typed').waitFor()
    await page.keyboard.press('Escape')
    await page.getByText('The next Tab leaves the editor').waitFor()
    await page.keyboard.press('Tab')
    assert.ok(await output(page).evaluate(element => element === document.activeElement), 'the output comes next')
    await page.keyboard.press('Shift+Tab')
    assert.ok(await editor.evaluate(element => element === document.activeElement))
    assert.deepEqual(errors, [])
    await close()
  })

  test('opens a program from a link without running it, and makes such a link', async () => {
    const { page, close } = await opened()
    const code = "console.log('shared ∑')\n"
    await write(page, code)
    await page.getByRole('button', { name: 'Copy a link' }).click()
    await page.getByText(/copied|address bar/).waitFor()
    const { hash } = new URL(page.url())
    await close()
    const other = await opened(hash)
    await other.page.getByText('This program came with the link').waitFor()
    await other.page.getByText("'shared ∑'").waitFor()
    await other.page.waitForTimeout(500)
    assert.equal(await output(other.page).count(), 0)
    await other.page.keyboard.press('Tab')
    await other.page.getByRole('button', { name: 'Run' }).click()
    await output(other.page).getByText('shared ∑').waitFor()
    await other.close()
    const damaged = await opened('#code=AAAA')
    await damaged.page.getByText('the program in this link is damaged').waitFor()
    await damaged.close()
  })

  test('cannot be made to put its elements into the page', async () => {
    const { page, errors, close } = await opened()
    await write(
      page,
      `const html = '<table onclick="x()"><tr><td>cell<img src=x onerror="document.title=1"><script>document.title=2</' + 'script><svg><g onclick="x()" fill="url(https://host/)"><a href="javascript:x()"><text>letters</text></a><circle class="series-1 VPNav" r="2"/><image href="https://host/"/><use href="#x"/><foreignObject><p>p</p></foreignObject><style>*{}</style></g></svg></td></tr></table>'
console.log({ [Symbol.for('Jupyter.display')]: async () => ({ 'text/html': html }) })`,
    )
    await page.keyboard.press('Control+Enter')
    await output(page).getByRole('cell', { name: 'cell' }).waitFor()
    const forbidden = 'img, script, style, a, image, use, foreignObject, [onclick], [href], [class~=VPNav], [fill]'
    assert.equal(await output(page).locator('circle').count(), 1)
    assert.equal(await output(page).locator(`.rich :is(${forbidden})`).count(), 0)
    assert.deepEqual(errors, [])
    await close()
  })

  test('runs every example that it offers', async () => {
    const { page, errors, close } = await opened()
    const names = await page
      .getByLabel('Start from')
      .locator('option')
      .evaluateAll(options => options.map(option => (option as HTMLOptionElement).value).filter(value => value !== ''))
    const listed = (await readFile(join(root, 'examples/README.md'), 'utf8')).matchAll(/^\| \[([\w/-]+)\.ts\]/gm)
    assert.deepEqual(
      names,
      Array.from(listed, ([, name]) => name),
    )
    // the longer ones are trained by test/examples in Node
    const short = ['tape', 'newton', 'linear-regression', 'two-moons', 'fused-operation', 'own-operation', 'grad-cam']
    for (const name of isLong ? names.filter(name => name !== 'workers/train') : short) {
      await page.getByLabel('Start from').selectOption(name)
      await page.getByRole('button', { name: 'Run' }).click()
      await ended(page)
      assert.match((await page.locator('.repl .status').textContent()) ?? '', /Finished/, name)
      assert.ok(((await output(page).textContent()) ?? '').length > 10, name)
    }
    assert.deepEqual(errors, [])
    await close()
  })
})

/** The pages with programs: their addresses and their files. */
async function pages() {
  const found: { readonly address: string; readonly file: string }[] = []
  for (const [folder, address] of [
    ['docs', 'guides'],
    ['site/learn', 'learn'],
    ['site/teach', 'teach'],
    ['site/research', 'research'],
  ])
    for (const name of (await readdir(join(root, folder))).filter(name => name.endsWith('.md')).sort())
      found.push({ address: `${address}/${name.replace(/\.md$/, '.html')}`, file: join(folder, name) })
  return found
}

const typesFile = join(import.meta.dirname, '../repl/generated/types.json')

test('the editor finds no mistake in the programs of the pages', { skip: notBuilt }, async () => {
  const types = JSON.parse(await readFile(typesFile, 'utf8')) as Types
  const programs: Programs = new Map()
  for (const { file } of await pages())
    for (const { code, line } of programsOf(await readFile(join(root, file), 'utf8')))
      if (!needsNode(code)) programs.set(`/programs/${file}:${line}.ts`, { text: code, version: 1 })
  const wrong = '/programs/wrong.ts'
  programs.set(wrong, { text: "import { tensor } from 'cocagrad'\ntensor(1).sizes\n", version: 1 })
  const service = serviceFor(types, programs)
  const found = [...programs.keys()].flatMap(path =>
    [...service.getSyntacticDiagnostics(path), ...service.getSemanticDiagnostics(path)].map(
      ({ messageText }) => `${path}: ${typeof messageText === 'string' ? messageText : messageText.messageText}`,
    ),
  )
  assert.deepEqual(found, [`${wrong}: Property 'sizes' does not exist on type 'Tensor'. Did you mean 'size'?`])
})

describe('the programs of the pages', { skip }, () => {
  const site = visit()
  let opening: Awaited<ReturnType<typeof open>>
  before(async () => {
    opening = await site.open('repl.html')
  })

  // programs of the guides run in test/docs too: without COCAGRAD_TESTS=long, of each guide only the first runs here
  test('run, and print what the page says', async t => {
    let count = 0
    const mistakes: string[] = []
    const { page, errors } = opening
    for (const { address, file } of await pages()) {
      const all = programsOf(await readFile(join(root, file), 'utf8')).filter(({ code }) => !needsNode(code))
      const programs = isLong || !file.startsWith('docs/') ? all : all.slice(0, 1)
      if (programs.length === 0) continue
      await page.goto(site.url + address)
      await page.waitForSelector('.program')
      await page.waitForFunction(() => '__vue_app__' in (document.querySelector('#app') ?? {}))
      await page.evaluate(() => {
        for (const details of document.querySelectorAll('details')) details.open = true
      })
      let opened = 0
      for (const { kind, line, output } of programs) {
        count++
        const name = `${file}:${line}`
        const run = page.locator('.program .actions button', { hasText: 'Run' }).first()
        const start = performance.now()
        await run.click()
        const block = page.locator('.repl').nth(opened++)
        const state = await block
          .and(page.locator('[data-state=finished], [data-state=failed]'))
          .getAttribute('data-state', { timeout: 60_000 })
          .catch(() => 'did not end')
        const printed = (
          await block
            .locator('.item:not(.result)')
            .evaluateAll(items => items.map(item => (item as HTMLElement).dataset.text))
        ).join('\n')
        if (process.env.VERBOSE) t.diagnostic(`${name} ${kind} ${Math.round(performance.now() - start)} ms`)
        if (state !== 'finished') {
          mistakes.push(`${name}: ${state}\n${await block.locator('.output').textContent()}`)
          continue
        }
        const verdict = (await block.locator('.verdict').allTextContents()).join()
        if (kind === 'task' && !verdict.startsWith('Not yet'))
          mistakes.push(`${name}: the task passes as it is: ${verdict}`)
        if (kind === 'solution' && verdict !== 'The check passes.') mistakes.push(`${name}: ${verdict}`)
        if (output !== undefined && printed.trimEnd() !== output.trimEnd())
          mistakes.push(`${name}: prints\n${printed}\nnot\n${output}`)
      }
      if (programs === all)
        assert.equal(
          await page.locator('.program .actions button').count(),
          0,
          `${file}: more programs than were found`,
        )
    }
    t.diagnostic(`${count} programs`)
    assert.deepEqual(errors, [])
    assert.ok(count > (isLong ? 80 : 30), `${count}`)
    assert.equal(mistakes.join('\n\n'), '')
  })
})
