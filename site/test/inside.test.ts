// The pages that look inside, as a person uses them: a tape, masks and poolers, kernels.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Page } from 'playwright-core'
import { isLong, scriptBytes, skip, visit } from './site.ts'

describe('the pages that look inside', { skip }, () => {
  const site = visit()

  const opened = async (path: string, size?: { width: number; height: number }) => {
    const opening = await site.open(path, size)
    opening.page.setDefaultTimeout(60_000)
    return opening
  }

  for (const name of ['tape', 'attention', 'kernels'])
    test(`${name} loads at most 100 KB of script before something runs, and fits a narrow screen`, async () => {
      const bytes = await scriptBytes(`${name}.html`)
      assert.ok(bytes > 0 && bytes <= 100 * 1024, `${bytes}`)

      const { page, errors, close } = await opened(`${name}.html`, { width: 390, height: 844 })
      await page.getByRole('heading', { level: 2 }).first().waitFor()
      await page.waitForTimeout(2000)
      assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'nothing is cut off')
      assert.deepEqual(errors, [])
      await close()
    })

  describe('the tape', () => {
    const checked = (page: Page) => page.getByRole('status', { name: 'Gradient check' })
    const sentence = (page: Page) => page.getByRole('status', { name: 'Step', exact: true })
    const write = async (page: Page, code: string) => {
      await page.getByLabel('The function').fill(code)
      await page.getByRole('button', { name: 'Run' }).click()
    }

    test('shows the gradient of x² coming back, step by step', async () => {
      const { page, errors, close } = await opened('tape.html')
      await checked(page).getByText('pass').waitFor()
      const x = page.getByRole('button', { name: /^input x, 3, value 1, 2, 3/ })
      assert.doesNotMatch((await x.getAttribute('aria-label')) ?? '', /gradient/)
      await page.getByRole('button', { name: 'Step', exact: true }).click()
      assert.match((await sentence(page).textContent()) ?? '', /Step 1 of 2: the rule of sum/)
      await page.getByRole('slider', { name: /Steps of the backward pass/ }).press('ArrowRight')
      assert.match((await sentence(page).textContent()) ?? '', /Step 2 of 2: the rule of square .* gradient of x/)
      assert.match((await x.getAttribute('aria-label')) ?? '', /gradient 2, 4, 6/)
      await page.getByRole('button', { name: 'Back', exact: true }).click()
      assert.doesNotMatch((await x.getAttribute('aria-label')) ?? '', /gradient/)

      await page.getByLabel('derivatives').selectOption('2')
      await checked(page).getByText('6 derivatives agree').waitFor()
      await page.getByRole('button', { name: 'End', exact: true }).click()
      assert.match((await x.getAttribute('aria-label')) ?? '', /gradient 2, 2, 2/)
      await page.getByText('The tape as it prints itself').click()
      await page.getByText('the same gradients as tape.gradient, bit for bit').waitFor()
      assert.deepEqual(errors, [])
      await close()
    })

    test('catches a planted bug, and says where it is one', async () => {
      const { page, errors, close } = await opened('tape.html')
      await page.getByLabel('example').selectOption('A network of two layers')
      await checked(page).getByText('pass').waitFor()
      await page.getByLabel('operation with a bug').selectOption('add')
      await checked(page).getByText('mismatch: the bug is caught').waitFor()
      assert.match(
        (await checked(page).textContent()) ?? '',
        /order 1, input \d .*: the tape gives .*, finite differences give/,
      )

      await page.getByLabel('its bug').selectOption('broadcast')
      await checked(page).getByText('mismatch: the bug is caught').waitFor()
      const wrong = page.getByRole('row', { name: /∂b/ })
      assert.ok((await wrong.count()) > 0, 'the biases have the wrong gradient')
      assert.equal(await page.getByRole('row', { name: /∂w/ }).count(), 0, 'and the weights do not')

      // right at first order, wrong at second
      await page.getByLabel('operation with a bug').selectOption('gelu')
      await page.getByLabel('its bug').selectOption('detached')
      await checked(page).getByText('shows in the second ones').waitFor()
      await page.getByLabel('derivatives').selectOption('2')
      await checked(page).getByText('mismatch: the bug is caught').waitFor()
      assert.match((await checked(page).textContent()) ?? '', /order 2/)
      assert.deepEqual(errors, [])
      await close()
    })

    test('every example passes the check at both orders', async () => {
      const { page, errors, close } = await opened('tape.html')
      await checked(page).getByText('pass').waitFor()
      const examples = await page.getByLabel('example').locator('option').allTextContents()
      assert.equal(examples.length, 6)
      for (const order of ['2', '1'])
        for (const example of examples) {
          await page.getByLabel('example').selectOption(example)
          await page.getByLabel('derivatives').selectOption(order)
          await checked(page).getByText('derivatives agree with finite differences').waitFor()
          assert.match((await sentence(page).textContent()) ?? '', /steps back/, example)
        }
      assert.deepEqual(errors, [])
      await close()
    })

    test('names the line of a mistake', async () => {
      const { page, close } = await opened('tape.html')
      await checked(page).getByText('pass').waitFor()
      const alert = page.locator('#tape-mistake')
      await write(page, 'const x = 1\nwalk({ x: ), 1)\n')
      await alert.getByText('Line 2: This is no JavaScript').waitFor()
      await write(
        page,
        'walk({ x: tensor([1, 2]), y: tensor([1, 2, 3]) },\n  ({ x, y }) => {\n    return x.add(y).sum()\n  })\n',
      )
      await alert.getByText(/Line 3: .*\[2\].*\[3\]/).waitFor()
      await write(page, 'const x: number = nothing\n')
      await alert.getByText('Line 1: ReferenceError: nothing is not defined').waitFor()
      await write(page, 'const x: number = 1\n')
      await alert.getByText('calls no walk').waitFor()
      await close()
    })

    test('ends a function that never ends', async () => {
      const { page, close } = await opened('tape.html')
      await checked(page).getByText('pass').waitFor()
      await write(page, 'walk({ x: tensor(1) }, ({ x }) => {\n  while (true) x.add(1)\n})\n')
      await page.getByRole('button', { name: 'Stop' }).click()
      await page.getByText('The function was stopped.').waitFor()
      await write(page, 'walk({ x: tensor(3) }, ({ x }) => x.square())\n')
      await checked(page).getByText('pass').waitFor()
      await close()
    })

    test('does not run the code of a link until it is told to', async () => {
      const code =
        "globalThis.postMessage({ kind: 'failed', message: 'it ran' })\nwalk({ x: tensor(3) }, ({ x }) => x.square())\n"
      const { page, close } = await opened(`tape.html#code=${encodeURIComponent(code)}`)
      await page.getByText('This function came with the link').waitFor()
      await page.getByLabel('derivatives').selectOption('2')
      await page.waitForTimeout(2500)
      assert.equal(await page.getByText('it ran').count(), 0)
      assert.equal(page.workers().length, 0)
      await page.getByRole('button', { name: 'Run' }).click()
      await page.getByText('it ran').waitFor()
      await close()
    })
  })

  describe('masks and poolers', () => {
    const verdict = (page: Page) => page.getByRole('status', { name: 'What leaks' })

    test('shows by gradient which word leaks when the mask is off by one', async () => {
      const { page, errors, close } = await opened('attention.html')
      await verdict(page).getByText('Nothing leaks').waitFor()
      await page.getByLabel('How far past itself a word sees').fill('1')
      await verdict(page).getByText('4 leaks.').waitFor()
      await verdict(page).getByText('“a” (1) sees “small” (2), which comes after it').waitFor()
      assert.equal(await verdict(page).getByText('[CLS]').count(), 0)
      // through two blocks a word sees two ahead
      await page.getByLabel(/^transformer blocks/).fill('2')
      await verdict(page).getByText('7 leaks.').waitFor()
      await verdict(page).getByText('“a” (1) sees “red” (3)').waitFor()
      await page.getByRole('button', { name: 'As in the paper' }).click()
      await verdict(page).getByText('Nothing leaks').waitFor()
      assert.deepEqual(errors, [])
      await close()
    })

    test('shows what leaks through padding and through [CLS]', async () => {
      const { page, errors, close } = await opened('attention.html')
      await verdict(page).getByText('Nothing leaks').waitFor()
      await page.getByLabel(/padding is hidden one position late/).check()
      await verdict(page).getByText('1 leak.').waitFor()
      await verdict(page)
        .getByText('[CLS] sees [PAD], so that the embedding of a text depends on how far it is padded')
        .waitFor()
      await page.getByLabel(/padding is hidden one position late/).uncheck()
      await page.getByLabel('padding is seen').check()
      await verdict(page).getByText('2 leaks.').waitFor()
      await page.getByLabel('padding is seen').uncheck()
      await page.getByLabel('words see [CLS]').check()
      await verdict(page).getByText('5 leaks.').waitFor()
      await verdict(page).getByText('“a” (1) sees [CLS], which has read the whole text').waitFor()
      await page.getByLabel('words see [CLS]').uncheck()

      // one cell, with the keyboard
      const cell = page.getByRole('button', { name: 'a (1) and a (1): may attend' })
      await cell.focus()
      for (const key of ['ArrowRight', 'ArrowRight', 'ArrowRight', 'Enter']) await page.keyboard.press(key)
      await verdict(page).getByText('1 leak.').waitFor()
      await verdict(page).getByText('“a” (1) sees “circle” (4)').waitFor()
      assert.deepEqual(errors, [])
      await close()
    })

    test('pools with as many queries as are asked for, and ignores a hidden patch', async () => {
      const { page, errors, close } = await opened('attention.html')
      const says = page.getByRole('status', { name: 'What the pooler does' })
      await says.getByText('The order of the patches does not matter').waitFor()
      await page.getByLabel(/^n_query/).fill('7')
      await page.getByRole('heading', { name: '7 queries: 16 × 16 → 7 × 16 numbers' }).waitFor()
      assert.equal(await page.getByRole('img', { name: /^query \d: most at/ }).count(), 7)
      await page.getByRole('button', { name: 'patch in row 2, column 3' }).click()
      await says.getByText('exactly 0, through both poolers').waitFor()
      assert.deepEqual(errors, [])
      await close()
    })
  })

  describe('kernels', () => {
    test('shows the text of an operation in three languages', async () => {
      const { page, errors, close } = await opened('kernels.html')
      const text = page.getByRole('tabpanel').locator('pre')
      await text.getByText('@compute @workgroup_size').waitFor()
      await page.getByRole('tab', { name: 'GLSL' }).click()
      await text.getByText('#version 300 es').waitFor()
      await page.getByRole('tab', { name: 'GLSL' }).press('ArrowRight')
      await text.getByText('(func $softmax').waitFor()
      assert.match((await text.textContent()) ?? '', /f32x4|v128/)

      // found by its name among all of the library, with the sentence of its docstring
      const table = page.getByRole('group', { name: 'Operations' })
      assert.ok((await table.getByRole('button').count()) > 180)
      await page.getByLabel(/^find among/).fill('attentionw')
      assert.deepEqual(await table.getByRole('button').allTextContents(), ['attentionWeights'])
      await table.getByRole('button').click()
      await page.getByText('over the keys that a query may attend to').waitFor()
      await page.getByText('Called here with a causal mask.').waitFor()
      await text
        .getByText(/\(func \$/)
        .first()
        .waitFor()
      await page.getByLabel(/^find among/).fill('')

      await page.getByRole('button', { name: 'relu', exact: true }).click()
      await page.getByText('One kernel runs').waitFor()
      await page.getByLabel('and its gradients').check()
      await page.getByText(/[2-9] kernels run/).waitFor()
      await page.getByLabel('shape of x').fill('two × 3')
      await page.getByRole('button', { name: 'Show for these shapes' }).click()
      await page.getByRole('alert').getByText('not “two × 3”').waitFor()
      assert.deepEqual(errors, [])
      await close()
    })

    test('tells a shape that an operation refuses in the words of the library', async () => {
      const { page, close } = await opened('kernels.html')
      await page.getByRole('button', { name: 'matmul', exact: true }).click()
      await page.getByLabel('shape of b').fill('100 × 8')
      await page.getByRole('button', { name: 'Show for these shapes' }).click()
      await page
        .getByRole('alert')
        .getByText(/matmul: .*256.*100/)
        .waitFor()
      await close()
    })

    test('times an operation on the devices of this machine, whose results agree', async () => {
      const { page, errors, close } = await opened('kernels.html')
      await page.getByLabel('shape of x').fill('64 × 64')
      await page.getByRole('button', { name: 'Time it here' }).click()
      await page.getByRole('button', { name: 'Time it here' }).waitFor({ timeout: 240_000 })
      const rows = await page.getByRole('table').getByRole('row').allTextContents()
      const cpu = rows.find(row => row.includes('cpu, WebAssembly with SIMD')) ?? ''
      const difference = Number(/(none|[\d.]+e[-+]\d+)$/.exec(cpu.trim())?.[1].replace('none', '0'))
      assert.ok(difference < 1e-6, cpu)
      assert.deepEqual(errors, [])
      await close()
    })

    test('runs a training step in cocagrad and in TensorFlow.js, with the same losses', async () => {
      const { page, errors, close } = await opened('kernels.html')
      await page.getByLabel('jax-js, wasm').uncheck()
      await page.getByRole('button', { name: 'Run the steps' }).click()
      await page.getByRole('button', { name: 'Run the steps' }).waitFor({ timeout: 300_000 })
      await page.getByRole('status', { name: 'Losses' }).getByText('The losses agree').waitFor()
      const rows = page.getByRole('row')
      for (const name of ['cocagrad, cpu', 'TensorFlow.js, wasm']) {
        const cells = await rows.filter({ hasText: name }).getByRole('cell').allTextContents()
        assert.ok(Number(cells[0]) > 0, `${name}: ${cells}`)
        // of random pairs, with the mean over tokens of ln 64 twice and more than ln 32
        assert.ok(Number(cells.at(-2)) > 8 && Number(cells.at(-1)) < Number(cells.at(-2)), `${name} learns: ${cells}`)
      }
      assert.deepEqual(errors, [])
      await close()
    })

    test('a framework that fails says so in its row, and the next one runs', async () => {
      // without a service worker, which answers before the test does
      const context = await site.browser.newContext({ serviceWorkers: 'block' })
      await context.route('**/assets/cocagrad-*.js', route => route.abort())
      const page = await context.newPage()
      page.setDefaultTimeout(120_000)
      await page.goto(`${site.url}kernels.html`)
      await page.getByLabel('jax-js, wasm').uncheck()
      await page.getByRole('button', { name: 'Run the steps' }).click()
      await page.getByRole('button', { name: 'Run the steps' }).waitFor()
      const cells = (name: string) =>
        page.getByRole('row').filter({ hasText: name }).getByRole('cell').allTextContents()
      const [failed, ran] = [await cells('cocagrad, cpu'), await cells('TensorFlow.js, wasm')]
      assert.match(failed.join(), /^Failed to fetch .*cocagrad/)
      assert.ok(ran.length === 5 && Number(ran[0]) > 0, ran.join())
      await context.close()
    })

    test('the WebGPU contenders run on a software adapter, with the same losses', { skip: !isLong }, async () => {
      const { page, errors, close } = await opened('kernels.html')
      for (const name of ['TensorFlow.js, wasm', 'jax-js, wasm']) await page.getByLabel(name).uncheck()
      for (const name of ['cocagrad, gpu', 'TensorFlow.js, webgpu', 'jax-js, webgpu'])
        await page.getByLabel(name).check()
      await page.getByRole('button', { name: 'Run the steps' }).click()
      await page.getByRole('button', { name: 'Run the steps' }).waitFor({ timeout: 1_200_000 })
      await page.getByRole('status', { name: 'Losses' }).getByText('The losses agree').waitFor()
      for (const name of ['cocagrad, gpu', 'TensorFlow.js, webgpu', 'jax-js, webgpu'])
        assert.equal(await page.getByRole('row').filter({ hasText: name }).getByRole('cell').count(), 5, name)
      assert.deepEqual(errors, [])
      await close()
    })
  })
})
