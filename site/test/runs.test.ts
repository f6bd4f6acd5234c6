// The runs of the playground: back to a checkpoint, kept in the browser, exchanged with Node, and two beside each other.

import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import type { Page } from 'playwright-core'
import { effectScope } from 'vue'
import { demoData, demoRun } from '../../src/demo/config.ts'
import { shapesExample, unpackTar, writeShapes } from '../../src/entries/data.ts'
import {
  checkRunConfig,
  type OpenedModel,
  openModel,
  resumeTraining,
  type StepMetrics,
  train,
} from '../../src/entries/train.ts'
import { fromData, scope } from '../../src/index.ts'
import { defaults, type Report } from '../playground/protocol.ts'
import { useRun } from '../playground/useRun.ts'
import { skip, visit } from './site.ts'

/** Length of the runs of these tests. */
const STEPS = 40

test('an end that is reported while a run goes back is of the steps before, and the run waits at the checkpoint', t => {
  let say = (_: Report): void => {}
  const { Worker } = globalThis
  t.after(() => {
    globalThis.Worker = Worker
  })
  globalThis.Worker = class {
    set onmessage(hear: (event: { readonly data: Report }) => void) {
      say = data => hear({ data })
    }
    postMessage(): void {}
    terminate(): void {}
  } as unknown as typeof globalThis.Worker
  const scope = effectScope()
  const run = scope.run(() => useRun('A', defaults, () => {}))!
  run.start(defaults)
  say({ kind: 'ready', pictures: [], parameters: 1, device: 'cpu', settings: defaults, step: 0 })
  say({ kind: 'steps', steps: [{ step: 1 }, { step: 2 }], milliseconds: 1 })
  run.rewind(1)
  say({ kind: 'finished' })
  say({ kind: 'history', steps: [{ step: 1 }] })
  assert.deepEqual([run.state, run.step], ['paused', 1])
  run.goOn()
  say({ kind: 'finished' })
  assert.equal(run.state, 'finished')
  scope.stop()
})

describe('the runs of the playground', { skip }, () => {
  const site = visit()
  let folder: string
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'cocagrad-runs-'))
  })
  after(() => rm(folder, { recursive: true, force: true }))

  const trainedIsOpen = (page: Page) => page.getByText('A trained contrastive captioner').waitFor()
  async function opened() {
    const opening = await site.open()
    await trainedIsOpen(opening.page)
    return opening
  }

  const status = (page: Page, name = 'The run') => page.getByRole('group', { name, exact: true }).getByRole('status')
  const stepOf = async (page: Page, name?: string) =>
    Number(/Step (\d+)/.exec((await status(page, name).textContent()) ?? '')?.[1])
  async function until(page: Page, step: number, name?: string): Promise<void> {
    for (let seconds = 0; !((await stepOf(page, name)) >= step); seconds += 0.1) {
      assert.ok(seconds < 120, `step ${step} is not reached: ${await status(page, name).textContent()}`)
      await page.waitForTimeout(100)
    }
  }

  async function fillSettings(page: Page, settings: Readonly<Record<string, number>>): Promise<void> {
    const details = page.locator('details', { has: page.getByText('Settings', { exact: true }) })
    if (!(await details.evaluate(each => (each as HTMLDetailsElement).open)))
      await page.getByText('Settings', { exact: true }).click()
    for (const [label, value] of Object.entries(settings)) await page.getByLabel(label).fill(`${value}`)
  }
  async function start(page: Page): Promise<void> {
    await fillSettings(page, { 'steps of the run': STEPS })
    await page.getByRole('button', { name: 'Train one from scratch' }).click()
  }
  const showFiles = async (page: Page) => {
    const details = page.locator('details', { has: page.getByText('Keep, download and open runs') })
    if (!(await details.evaluate(each => (each as HTMLDetailsElement).open)))
      await page.getByText('Keep, download and open runs').click()
  }

  /** The files of the run that is open, as they are downloaded. */
  async function downloaded(page: Page): Promise<Map<string, Uint8Array>> {
    await showFiles(page)
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('button', { name: 'Download this run' }).click(),
    ])
    assert.match(download.suggestedFilename(), /^cocagrad-run-\d{6}\.tar$/)
    const files = await unpackTar(await readFile(await download.path()))
    return new Map([...files].map(([name, bytes]) => [name.slice(name.indexOf('/') + 1), bytes]))
  }
  const lossesIn = (files: ReadonlyMap<string, Uint8Array>): StepMetrics[] =>
    new TextDecoder()
      .decode(files.get('metrics.jsonl'))
      .trim()
      .split('\n')
      .map(line => JSON.parse(line))
  const losses = (lines: readonly StepMetrics[]) =>
    lines.map(({ step, losses, gradientNorm, learningRate }) => ({ step, ...losses, gradientNorm, learningRate }))

  async function unpacked(files: ReadonlyMap<string, Uint8Array>, name: string): Promise<string> {
    const path = join(folder, name)
    for (const [file, bytes] of files) {
      await mkdir(dirname(join(path, file)), { recursive: true })
      await writeFile(join(path, file), bytes)
    }
    return path
  }

  const captionsOf = async (page: Page) =>
    (
      await page
        .getByRole('list', { name: /never trained on/ })
        .locator('.caption')
        .allTextContents()
    ).map(text => text.replace(' ✓ right', ''))

  /** The captions that a model in Node writes for the pictures that the page shows first. */
  async function captionsInNode({ model, tokenizer, normalize }: OpenedModel) {
    assert.ok(normalize)
    const { mean, std } = normalize
    const values = Float32Array.from({ length: 9 * 3 * 1024 }, (_, i) => {
      const [n, c, p] = [Math.floor(i / 3072), Math.floor(i / 1024) % 3, i % 1024]
      const { pixels } = examples[n]
      return (Math.fround(pixels[3 * p + c] / 255) - mean[c]) / std[c]
    })
    return scope(async () => {
      const { start, end } = tokenizer
      const written = await model.generate(fromData(values, [9, 3, 32, 32]), { start, end })
      return written.map(({ ids }) => tokenizer.decode(ids))
    })
  }
  const examples = Array.from({ length: 9 }, (_, i) => shapesExample(i, { seed: 1002, pairs: 'seen' }))

  test('goes back to a checkpoint, from which every step gives the same losses to the last bit', async () => {
    const { page, errors, close } = await opened()
    await start(page)
    await until(page, 8)
    await page.getByRole('button', { name: 'Pause' }).click()
    await page.getByRole('button', { name: 'Go on' }).waitFor()
    const back = page.getByRole('button', { name: /^Go back to step [1-9]/ })
    await back.waitFor()
    const paused = await stepOf(page)
    await page.getByRole('button', { name: 'Go on' }).click()
    await until(page, STEPS)
    await page.getByText('the last of the run').waitFor()
    const whole = lossesIn(await downloaded(page))
    assert.deepEqual(
      whole.map(({ step }) => step),
      Array.from({ length: STEPS }, (_, i) => i + 1),
    )
    for (const step of [paused, 0]) {
      await page.getByRole('button', { name: `Go back to step ${step}`, exact: true }).click()
      await page.waitForFunction(
        step => document.querySelector('[role=status]')?.textContent?.startsWith(`Step ${step} `),
        step,
      )
      await page.getByRole('button', { name: 'Go on' }).click()
      await page.getByText('the last of the run').waitFor({ timeout: 120_000 })
      assert.deepEqual(losses(lossesIn(await downloaded(page))), losses(whole), `from step ${step}`)
    }
    assert.deepEqual(errors, [])
    await close()
  })

  test('offers the run of an earlier visit, which goes on as if it had not been interrupted', async () => {
    const { page, errors, close } = await opened()
    await start(page)
    await until(page, 5)
    await page.getByRole('button', { name: 'Pause' }).click()
    await page.getByRole('button', { name: /^Go back to step [1-9]/ }).waitFor()
    const paused = await stepOf(page)
    const before = lossesIn(await downloaded(page))
    await page.reload()
    await page.getByText(`is here, at step ${paused}`).waitFor()
    await page.getByRole('button', { name: 'Open it' }).click()
    await page.getByRole('button', { name: 'Go on' }).waitFor()
    assert.equal(await stepOf(page), paused)
    await page.getByRole('img', { name: new RegExp(`Losses by step, now at step ${paused}:`) }).waitFor()
    await page.getByRole('button', { name: 'One step' }).click()
    await until(page, paused + 1)
    assert.deepEqual(lossesIn(await downloaded(page)).slice(0, paused), before)

    // a second tab cannot train the same run
    const other = await page.context().newPage()
    await other.goto(site.url)
    await other.getByRole('button', { name: 'Open it' }).click()
    await other.getByText(/Failed: .*open in another tab/).waitFor()
    await other.close()
    assert.deepEqual(errors, [])
    await close()
  })

  test('Node reads a run of the page: captions are equal, and training goes on with the same losses', async t => {
    const { page, errors, close } = await opened()
    await start(page)
    // early, or the run ends before it pauses
    await until(page, 1)
    await page.getByRole('button', { name: 'Pause' }).click()
    await page.getByRole('button', { name: /^Go back to step [1-9]/ }).waitFor()
    const paused = await stepOf(page)
    await page.waitForTimeout(1500)
    const written = await captionsOf(page)
    const files = await downloaded(page)
    await page.getByRole('button', { name: 'Go on' }).click()
    await page.getByText('the last of the run').waitFor({ timeout: 120_000 })
    const whole = lossesIn(await downloaded(page))
    assert.deepEqual(errors, [])
    await close()

    const data = join(folder, 'train')
    await writeShapes({ ...demoData.train, out: data })
    const config = JSON.parse(new TextDecoder().decode(files.get('config.json')))
    assert.equal(config.data, 'runs/demo/data/train')
    files.set('config.json', new TextEncoder().encode(JSON.stringify({ ...config, data, guard: { every: 0 } })))
    const run = await unpacked(files, 'from-page')
    assert.deepEqual(await captionsInNode(await openModel(run)), written.slice(0, 9))
    const steps: StepMetrics[] = []
    const { step, finished } = await resumeTraining(run, { onStep: metrics => steps.push(metrics) })
    assert.equal(step, STEPS)
    assert.ok(finished)
    assert.equal(steps[0].step, paused + 1)
    let largest = 0
    for (const { step, losses, gradientNorm, learningRate } of steps) {
      const inPage = whole[step - 1]
      for (const [name, value] of Object.entries(losses)) {
        const difference = Math.abs(value - inPage.losses[name]) / value
        assert.ok(difference < 2e-5, `step ${step}, ${name}: ${value}, ${inPage.losses[name]}`)
        largest = Math.max(largest, difference)
      }
      assert.ok(Math.abs(gradientNorm - inPage.gradientNorm) < 1e-3 * gradientNorm)
      assert.equal(learningRate, inPage.learningRate)
    }
    t.diagnostic(`losses of Node and the page differ by ${largest} of their value at most`)
  })

  test('the page reads a run of Node, and trains it on with the same losses', async () => {
    const data = join(folder, 'train')
    const run = join(folder, 'in-node')
    const lines: StepMetrics[] = []
    const config = { ...demoRun, steps: STEPS, warmup: 4, checkpointEvery: 20, data, guard: { every: 0 } } as const
    const trained = await train(run, checkRunConfig(config), { onStep: metrics => lines.push(metrics) })
    assert.equal(trained.step, STEPS)

    const { page, errors, close } = await opened()
    await showFiles(page)
    await page.getByLabel('Open a run from a folder').setInputFiles(run)
    await page.getByText('the last of the run').waitFor()
    await page.waitForFunction(() => /[a-z]/.test(document.querySelector('.caption')?.textContent ?? ''))
    await page.waitForTimeout(1500)
    assert.deepEqual((await captionsOf(page)).slice(0, 9), await captionsInNode(await openModel(run)))
    await page.getByRole('button', { name: 'Go back to step 20', exact: true }).click()
    await page.getByRole('button', { name: 'Go on' }).click()
    await page.getByText('the last of the run').waitFor({ timeout: 120_000 })
    for (const { step, losses } of lossesIn(await downloaded(page)).slice(20)) {
      const { losses: inNode } = lines[step - 1]
      for (const [name, value] of Object.entries(losses))
        assert.ok(Math.abs(value - inNode[name]) < 2e-5 * value, `step ${step}, ${name}: ${value}, ${inNode[name]}`)
    }

    await page.getByLabel('Open a run from a file').setInputFiles({
      name: 'holiday.tar',
      mimeType: 'application/x-tar',
      buffer: Buffer.from('not a tar'),
    })
    await page.getByText(/Failed: holiday\.tar: is cut off/).waitFor()
    assert.deepEqual(errors, [])
    await close()
  })

  test('trains on when the browser has no space left, and says so', async () => {
    const { page, close } = await opened()
    const session = await page.context().newCDPSession(page)
    await session.send('Storage.overrideQuotaForOrigin', { origin: new URL(site.url).origin, quotaSize: 200_000 })
    await start(page)
    await page.getByText(/is not kept: .*no space left/).waitFor()
    await until(page, 10)
    await close()
  })

  test('trains two runs side by side, and names only the settings that differ', async () => {
    const { page, errors, close } = await opened()
    await start(page)
    await until(page, 2)
    await fillSettings(page, { 'steps of the run': 100_000, 'learning rate': 0.001, seed: 3 })
    await page.getByRole('button', { name: /second run/ }).click()
    await until(page, 2, 'Run B')
    const table = page.getByRole('table', { name: /settings that differ/ })
    const rows = (await table.getByRole('row').allTextContents()).map(text => text.trim())
    assert.ok(
      rows.some(row => /^learning rate\s*0\.002\s*0\.001$/.test(row)),
      `${rows}`,
    )
    assert.ok(
      rows.some(row => /^seed\s*0\s*3$/.test(row)),
      `${rows}`,
    )
    assert.ok(!rows.some(row => /queries|pictures in a batch|temperature/.test(row)), `${rows}`)

    const chart = page.getByRole('img', { name: /Losses by step/ })
    const names = ['A: contrastive loss', 'A: captioning loss', 'B: contrastive loss', 'B: captioning loss']
    for (const name of names) assert.match((await chart.getAttribute('aria-label')) ?? '', new RegExp(`${name} \\d`))
    const dashes = await chart
      .locator('path')
      .evaluateAll(paths => paths.map(path => path.getAttribute('stroke-dasharray')))
    assert.equal(new Set(dashes).size, 4, 'the lines differ without colours')

    const b = page.getByRole('group', { name: 'Run B' })
    await b.getByRole('button', { name: 'Pause' }).click()
    await b.getByRole('button', { name: 'Go on' }).waitFor()
    await page.waitForTimeout(1000)
    const paused = await stepOf(page, 'Run B')
    await page.waitForTimeout(500)
    assert.equal(await stepOf(page, 'Run B'), paused)
    await page.getByRole('radio', { name: 'run A' }).check()
    await page.getByRole('group', { name: 'Run B' }).getByRole('button', { name: 'Close' }).click()
    await page.getByRole('group', { name: 'The run' }).waitFor()
    assert.equal(await page.getByRole('group', { name: 'Run B' }).count(), 0)
    assert.deepEqual(errors, [])
    await close()
  })
})
