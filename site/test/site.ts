// The built site on a static host, under a sub-path, and Chromium that opens it.

import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { extname, join, normalize } from 'node:path'
import { after, before } from 'node:test'
import { gzipSync } from 'node:zlib'
import type { Browser, Page } from 'playwright-core'
import { isolation, launch, missing } from '../../test/browser/chromium.ts'

export const dist = join(import.meta.dirname, '../.vitepress/dist')
const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.png': 'image/png',
  '.json': 'application/json',
  '.svg': 'image/svg+xml',
  '.wasm': 'application/wasm',
}

/** Whether slow tests run in full: `COCAGRAD_TESTS=long npm run site:test`. */
export const isLong = process.env.COCAGRAD_TESTS === 'long'

const isBuilt = existsSync(join(dist, 'index.html'))

/** Why tests of the built site cannot run, or false. */
export const notBuilt: string | false = isBuilt ? false : 'the site is not built: npm run site'
/** Why tests of the built site in Chromium cannot run, or false. */
export const skip: string | false = missing || notBuilt

/** The path that the site was built for. */
const base = async () => /href="([^"]*)favicon\.svg"/.exec(await readFile(join(dist, 'index.html'), 'utf8'))?.[1] ?? '/'

export interface ServeOptions {
  /** awaited before a file is sent, by its path */
  wait?(path: string): Promise<void> | undefined
  /** the bytes of a file */
  read?(file: string): Promise<Buffer>
  /** headers of every file; none by default, as on hosts where they cannot be set */
  readonly headers?: Readonly<Record<string, string>>
}

/** The built site on a host. */
export async function serve({ wait, read = readFile, headers }: ServeOptions = {}): Promise<{
  readonly url: string
  readonly server: Server
}> {
  const root = await base()
  const server = createServer(async (request, response) => {
    const path = normalize(new URL(request.url ?? '/', 'http://host').pathname)
    const inside = path.startsWith(root) ? path.slice(root.length) : 'outside'
    const file = join(dist, inside === '' || inside.endsWith('/') ? `${inside}index.html` : inside)
    await wait?.(inside)
    try {
      const bytes = await read(file)
      const type = types[extname(file)] ?? 'application/octet-stream'
      response.writeHead(200, { ...headers, 'content-type': type }).end(bytes)
    } catch {
      response.writeHead(404).end()
    }
  })
  return new Promise(resolve => {
    server.listen(0, '127.0.0.1', () =>
      resolve({ url: `http://localhost:${(server.address() as AddressInfo).port}${root}`, server }),
    )
  })
}

/** The site on a host and Chromium, while the tests of a group run. */
export interface Visited {
  readonly browser: Browser
  readonly server: Server
  readonly url: string
  /** Opens a page of the site, in a context of its own. */
  open(path?: string, options?: OpenOptions): ReturnType<typeof open>
}

export interface VisitOptions {
  /** more arguments of Chromium's command line */
  readonly args?: readonly string[]
  /** whether the host sets no headers even if the tests are quick: the service worker then isolates the pages, which loads each of them twice */
  readonly plain?: boolean
}

/** In a group of tests, the site and the browser that are there from before its first test until after its last. */
export function visit({ args, plain = isLong }: VisitOptions = {}): Visited {
  let browser: Browser
  let host: Awaited<ReturnType<typeof serve>>
  before(async () => {
    browser = await launch(args)
    host = await serve({ headers: plain ? {} : isolation })
  })
  after(async () => {
    await browser?.close()
    host?.server.close()
  })
  return {
    get browser() {
      return browser
    },
    get server() {
      return host.server
    },
    get url() {
      return host.url
    },
    open: (path = '', options) => open(browser, host.url + path, { worker: plain, ...options }),
  }
}

export interface OpenOptions {
  readonly width?: number
  readonly height?: number
  readonly dark?: boolean
  /** whether the visitor does not mind motion: on the first page a model begins to learn */
  readonly motion?: boolean
  /** whether the page may have its service worker; true by default */
  readonly worker?: boolean
}

/** Opens a page, until it is loaded again for threads; what its console says of errors is collected. */
export async function open(
  browser: Browser,
  url: string,
  { width = 1280, height = 900, dark = false, motion = false, worker = true }: OpenOptions = {},
): Promise<{ readonly page: Page; readonly errors: string[]; readonly close: () => Promise<void> }> {
  const context = await browser.newContext({
    viewport: { width, height },
    colorScheme: dark ? 'dark' : 'light',
    reducedMotion: motion ? 'no-preference' : 'reduce',
    serviceWorkers: worker ? 'allow' : 'block',
  })
  const page = await context.newPage()
  const errors: string[] = []
  page.on('console', line => {
    if (line.type() === 'error') errors.push(line.text())
  })
  page.on('pageerror', error => errors.push(String(error)))
  await page.goto(url)
  await page.waitForFunction(() => globalThis.crossOriginIsolated)
  return { page, errors, close: () => context.close() }
}

/** Milliseconds of the processor, which other programs do not lengthen, for each task of a page's main thread. */
export function tasksOf(trace: Buffer): number[] {
  interface Event {
    readonly name: string
    readonly pid: number
    readonly tid: number
    readonly tdur?: number
    readonly args: { readonly name?: string }
  }
  const { traceEvents } = JSON.parse(trace.toString()) as { readonly traceEvents: readonly Event[] }
  const main = traceEvents.filter(({ name, args }) => name === 'thread_name' && args.name === 'CrRendererMain')
  return traceEvents.flatMap(({ name, pid, tid, tdur }) =>
    name.endsWith('RunTask') && tdur !== undefined && main.some(each => each.pid === pid && each.tid === tid)
      ? [tdur / 1000]
      : [],
  )
}

/** Bytes with gzip of the scripts that a page loads before something runs. */
export async function scriptBytes(name: string): Promise<number> {
  const html = await readFile(join(dist, name), 'utf8')
  const files = new Set(Array.from(html.matchAll(/(?:src|href)="[^"]*\/(assets\/[^"]+\.js)"/g), ([, file]) => file))
  const sizes = await Promise.all([...files].map(async file => gzipSync(await readFile(join(dist, file))).length))
  return sizes.reduce((sum, size) => sum + size, 0)
}
