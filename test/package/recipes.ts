// The recipes of docs/browsers.md, as they are written there apart from the host: the package as it would be published, on a server that
// answers as a CDN for npm does, from another origin than the page.

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import type { Browser, Page } from 'playwright-core'
import { isolation, launch, missing, root } from '../browser/chromium.ts'
import type { Project } from './project.ts'

const addressOf = (server: Server, host: string) => `http://${host}:${(server.address() as AddressInfo).port}`
const listening = (server: Server) => new Promise<Server>(resolve => server.listen(0, () => resolve(server)))

/** jsDelivr at /npm/ and unpkg at /: files of one version, with the headers that they send. */
const cdnOf = (installed: string, version: string) =>
  createServer(async ({ url }, response) => {
    const headers = { 'access-control-allow-origin': '*', 'x-content-type-options': 'nosniff' }
    const [, name] =
      new RegExp(`^(?:/npm)?/cocagrad@${version.replaceAll('.', '\\.')}/(dist/[\\w.-]+)$`).exec(url!) ?? []
    const bytes = name === undefined ? undefined : await readFile(join(installed, name)).catch(() => undefined)
    if (!bytes) return response.writeHead(404, headers).end(`Couldn't find the requested file ${url}`)
    const policy = { 'cross-origin-resource-policy': 'cross-origin', 'cache-control': 'public, max-age=31536000' }
    response
      .writeHead(200, { ...headers, ...policy, 'content-type': 'application/javascript; charset=utf-8' })
      .end(bytes)
  })

/** A cell of Observable is a name and its expression, or a block that returns; names of other cells are their values. */
function cellOf(code: string): { readonly name?: string; readonly body: string } {
  const [, name, expression] = /^(\w+) = (.*)$/s.exec(code) ?? []
  return name ? { name, body: `return (${expression})` } : { body: code.replace(/^\{|\}$/g, '') }
}

export function recipes({ installed, manifest }: Pick<Project, 'installed' | 'manifest'>): void {
  describe('the recipes of docs/browsers.md', { skip: missing }, () => {
    let browser: Browser
    let cdn: Server
    let pages: Server
    let guide = ''
    let html = ''
    let headers: Readonly<Record<string, string>> = {}
    before(async () => {
      guide = await readFile(join(root, 'docs/browsers.md'), 'utf8')
      browser = await launch()
      cdn = await listening(cdnOf(installed, manifest.version))
      pages = await listening(
        createServer((_, response) => response.writeHead(200, { ...headers, 'content-type': 'text/html' }).end(html)),
      )
    })
    after(async () => {
      await browser?.close()
      cdn?.close()
      pages?.close()
    })

    const fromHere = (text: string) =>
      text.replaceAll(/https:\/\/(?:cdn\.jsdelivr\.net|unpkg\.com)/g, () => addressOf(cdn, '127.0.0.1'))
    /** The programs below a heading. */
    function programsBelow(heading: string, language: string): string[] {
      const [, section = ''] = guide.split(`\n## ${heading}\n`)
      const blocks = [...section.split('\n## ')[0].matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, 'gms'))]
      assert.ok(blocks.length > 0, heading)
      return blocks.map(([, code]) => fromHere(code.trimEnd()))
    }
    /** Opens a page that does what it is to do without an error. */
    async function opened<T>(text: string, look: (page: Page) => Promise<T>, isolated = false): Promise<T> {
      html = text
      headers = isolated ? isolation : {}
      const page = await browser.newPage()
      page.setDefaultTimeout(120_000)
      const failed = new Promise<never>((_, reject) => {
        page.on('pageerror', reject)
        page.on(
          'console',
          line => line.type() === 'error' && !/favicon/.test(line.location().url) && reject(line.text()),
        )
      })
      try {
        await page.goto(addressOf(pages, 'localhost'))
        return await Promise.race([look(page), failed])
      } finally {
        await page.close()
      }
    }

    test('name the version that is published, and addresses that are there', async () => {
      const versions = new Set(Array.from(guide.matchAll(/cocagrad@([\d.]+)/g), ([, version]) => version))
      assert.deepEqual([...versions], [manifest.version])
      for (const [address] of fromHere(guide).matchAll(/http:\/\/127[^\s'"`]+\.js/g)) {
        const response = await fetch(address)
        assert.equal(response.status, 200, address)
        await response.body?.cancel()
      }
      assert.equal(
        (await fetch(fromHere('https://cdn.jsdelivr.net/npm/cocagrad@9.9.9/dist/cocagrad.min.js'))).status,
        404,
      )
    })

    for (const isolated of [false, true]) {
      const threads = isolated ? /[2-9] threads/ : /1 thread \(threads need a page that is cross-origin isolated\)/

      test(`the page with an import map trains, ${isolated ? 'isolated' : 'not isolated'}`, async () => {
        const [page] = programsBelow('An import map', 'html')
        const text = await opened(
          page,
          async page => (await page.getByText(/the loss is/).textContent()) ?? '',
          isolated,
        )
        assert.match(text, threads)
        assert.ok(Number(/the loss is ([\d.e-]+)/.exec(text)?.[1]) < 0.1, text)
      })

      test(`the page with one script computes, ${isolated ? 'isolated' : 'not isolated'}`, async () => {
        const [page] = programsBelow('One file', 'html')
        const text = await opened(page, async page => page.getByText(/\[2, 4, 6\]/).textContent(), isolated)
        assert.match(text ?? '', threads)
      })
    }

    test('the worker answers', async () => {
      const [code] = programsBelow('Workers and threads', 'js')
      const said = await opened(
        `<!doctype html><script type="module">
        console.log = value => { globalThis.said = value }
        ${code.replaceAll('</', '<\\/')}</script>`,
        async page => {
          await page.waitForFunction('globalThis.said')
          return page.evaluate('globalThis.said')
        },
      )
      assert.deepEqual(said, [1, 4, 9])
    })

    for (const sandbox of ['allow-scripts', 'allow-scripts allow-same-origin'])
      test(`the cells of Observable have their values, in a frame with ${sandbox}`, async () => {
        const cells = programsBelow('Observable', 'js').map(cellOf)
        // each cell runs when those above it have their values
        const runtime = `
          const Cell = (async () => {}).constructor
          const names = [], values = [], shown = []
          for (const { name, body } of ${JSON.stringify(cells)}) {
            const value = await new Cell(...names, body)(...values)
            shown.push(name === undefined ? value : name)
            if (name !== undefined) { names.push(name); values.push(value) }
          }
          document.body.textContent = JSON.stringify(shown)`
        const frame = `<!doctype html><body><script type="module">${runtime}</script>`
        const text = await opened(
          `<!doctype html><iframe sandbox="${sandbox}" srcdoc="${frame.replaceAll('&', '&amp;').replaceAll('"', '&quot;')}"></iframe>`,
          page => page.frameLocator('iframe').getByText('["cocagrad"').textContent(),
        )
        const [name, gradient, description] = JSON.parse(text ?? '[]') as [string, number[], string]
        assert.equal(name, 'cocagrad')
        for (const [i, x] of [1, 2, 3].entries())
          assert.ok(Math.abs(gradient[i] - (Math.tanh(x) + x / Math.cosh(x) ** 2)) < 1e-5, `${gradient}`)
        assert.match(description, /1 thread \(threads need a page that is cross-origin isolated\)/)
      })
  })
}
