// The one-file builds: a page on one host imports them from another one, by an import map, without a bundler.

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { basename, join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import type { Browser } from 'playwright-core'
import { isolation, launch, missing, root } from '../browser/chromium.ts'
import { assertCloseNumbers } from '../support.ts'
import { oneFiles, training } from './programs.ts'
import type { Project } from './project.ts'

const [withGpu, withoutGpu] = oneFiles.map(path => basename(path))

/** The page: what it imports by name comes from an address. */
const pageOf = (file: string, program: string) => `<!doctype html>
<title>test</title>
<script type="importmap">{ "imports": { "cocagrad": "${file}", "cocagrad/data": "${file}", "cocagrad/fit": "${file}" } }</script>
<script type="module">${program}</script>`

const cpu = `
import { AdamW, device, Linear, seed, tensor } from 'cocagrad'
import { shapesExample } from 'cocagrad/data'
import { fit } from 'cocagrad/fit'
globalThis.answer = (async () => {
  await device.use('cpu', { threads: 2 })
  seed(0)
  const model = new Linear(2, 1)
  const batch = { x: tensor([[0, 1], [1, 0], [1, 1]]), y: tensor([[1], [2], [3]]) }
  const { metrics } = await fit({
    objective: { model, loss: ({ x, y }) => model.forward(x).sub(y).square().mean() },
    batches: [batch],
    optimizer: new AdamW(model, { learningRate: 0.1 }),
    steps: 100,
  })
  const losses = metrics.filter(({ kind }) => kind === 'step').map(({ losses }) => losses.total)
  return { description: device.description, losses, caption: shapesExample(0).caption, model: String(model) }
})()`

interface Trained {
  readonly description: string
  readonly losses: readonly number[]
  readonly caption: string
  readonly model: string
}

const addressOf = (server: Server, host: string) => `http://${host}:${(server.address() as AddressInfo).port}`
const listening = (server: Server) => new Promise<Server>(resolve => server.listen(0, () => resolve(server)))

export function oneFile({ installed }: Pick<Project, 'installed'>): void {
  describe('a one-file build', () => {
    test('has the size that docs/browsers.md says, with its licences', async () => {
      const guide = await readFile(join(root, 'docs/browsers.md'), 'utf8')
      for (const file of [withGpu, withoutGpu]) {
        const bytes = await readFile(join(installed, 'dist', file))
        const [, raw, zipped] = guide.match(new RegExp(`\`${file}\`[^|]*\\|[^|]*\\| (\\d+) KB \\| (\\d+) KB \\|`)) ?? []
        const sizes = { raw: bytes.length / 1000, zipped: gzipSync(bytes, { level: 9 }).length / 1000 }
        const off = Math.max(Math.abs(Number(raw) / sizes.raw - 1), Math.abs(Number(zipped) / sizes.zipped - 1))
        assert.ok(off <= 0.05, `${file}: ${raw} and ${zipped} KB are not ${JSON.stringify(sizes)}`)
        const text = bytes.subarray(0, 20_000).toString()
        for (const name of ['cocagrad', 'tinyqueue', ...(file === withGpu ? ['gpu.js'] : [])])
          assert.ok(text.slice(0, text.indexOf('*/')).includes(`\n${name}\n`), `${file} has the licence of ${name}`)
      }
    })

    describe('from another host', { skip: missing }, () => {
      let browser: Browser
      let host: Server
      let page = ''
      let headers: Readonly<Record<string, string>> = {}
      let pages: Server
      before(async () => {
        browser = await launch()
        // as a CDN answers
        host = await listening(
          createServer(async ({ url }, response) => {
            const shared = { 'access-control-allow-origin': '*' }
            const bytes = await readFile(join(installed, 'dist', basename(url!)))
            response.writeHead(200, { ...shared, 'content-type': 'text/javascript' }).end(bytes)
          }),
        )
        pages = await listening(
          createServer((_, response) => response.writeHead(200, { ...headers, 'content-type': 'text/html' }).end(page)),
        )
      })
      after(async () => {
        await browser?.close()
        host.close()
        pages.close()
      })

      async function answerOf<T>(file: string, program: string, isolated = false): Promise<T> {
        page = pageOf(`${addressOf(host, '127.0.0.1')}/${file}`, program)
        headers = isolated ? isolation : {}
        const tab = await browser.newPage()
        tab.setDefaultTimeout(300_000)
        try {
          const failed = new Promise<never>((_, reject) => tab.on('pageerror', reject))
          await tab.goto(addressOf(pages, 'localhost'))
          const answer = tab
            .waitForFunction('globalThis.answer')
            .then(() => tab.evaluate('globalThis.answer') as Promise<T>)
          return await Promise.race([answer, failed])
        } finally {
          await tab.close()
        }
      }

      for (const file of [withGpu, withoutGpu])
        for (const isolated of [true, false])
          test(`${file} trains on cpu, ${isolated ? 'with threads in an isolated page' : 'on one thread otherwise'}`, async () => {
            const { description, losses, caption, model } = await answerOf<Trained>(file, cpu, isolated)
            const threads = isolated ? '2 threads' : '1 thread \\(threads need a page that is cross-origin isolated\\)'
            assert.match(
              description,
              new RegExp(
                `^WebAssembly with (relaxed )?SIMD \\(machine code is for Node on Linux and x86-64\\), ${threads}`,
              ),
            )
            assert.equal(losses.length, 100)
            assert.ok(losses[99] < losses[0] / 10, `the loss went from ${losses[0]} to ${losses[99]}`)
            assert.match(caption, /^a .*(circle|square|triangle|star|cross|ring)/)
            assert.match(model, /^Linear \(3\)/, 'classes keep their names')
          })

      test(`${withoutGpu} computes in a worker that imports it`, async () => {
        const code = `import { tensor } from '${addressOf(host, '127.0.0.1')}/${withoutGpu}'
          onmessage = async ({ data }) => postMessage(await tensor(data).square().array())`
        const program = `
          const worker = new Worker(URL.createObjectURL(new Blob([${JSON.stringify(code)}], { type: 'text/javascript' })), { type: 'module' })
          globalThis.answer = new Promise((resolve, reject) => {
            worker.onmessage = ({ data }) => resolve(data)
            worker.onerror = ({ message }) => reject(new Error(message))
          })
          worker.postMessage([1, 2, 3])`
        assert.deepEqual(await answerOf(withoutGpu, program), [1, 4, 9])
      })

      test(`${withGpu} trains on gpu`, async () => {
        const answer = await answerOf<unknown[]>(withGpu, `${training.code}`)
        assertCloseNumbers(answer.flat(Infinity) as number[], training.expected, 1e-5)
      })

      test(`${withoutGpu} says that it has no gpu device`, async () => {
        const program = `import { device } from 'cocagrad'
          globalThis.answer = Promise.all([device.use('gpu').catch(String), device.list().then(list => list.at(-1))])`
        const [error, report] = await answerOf<[string, { available: boolean }]>(withoutGpu, program)
        assert.match(error, /DeviceError: gpu: .*without GPU\.js; cocagrad\.min\.js has the gpu device/)
        assert.equal(report.available, false)
      })
    })
  })
}
