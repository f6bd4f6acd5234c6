// The built site on a static host, under a sub-path, and Chromium that opens it.

import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { extname, join, normalize } from 'node:path'
import type { Browser, Page } from 'playwright-core'

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

export const isBuilt = existsSync(join(dist, 'index.html'))

/** The path that the site was built for. */
const base = async () => /href="([^"]*)favicon\.svg"/.exec(await readFile(join(dist, 'index.html'), 'utf8'))?.[1] ?? '/'

/**
 * The files alone: a host that sets no headers.
 * @param wait awaited before a file is sent, by its path
 */
export async function serve(
  wait: (path: string) => Promise<void> | undefined = () => undefined,
): Promise<{ readonly url: string; readonly server: Server }> {
  const root = await base()
  const server = createServer(async (request, response) => {
    const path = normalize(new URL(request.url ?? '/', 'http://host').pathname)
    const inside = path.startsWith(root) ? path.slice(root.length) : 'outside'
    const file = join(dist, inside === '' || inside.endsWith('/') ? `${inside}index.html` : inside)
    await wait(inside)
    try {
      const bytes = await readFile(file)
      response.writeHead(200, { 'content-type': types[extname(file)] ?? 'application/octet-stream' }).end(bytes)
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

export interface OpenOptions {
  readonly width?: number
  readonly height?: number
  readonly dark?: boolean
  /** whether the visitor does not mind motion: on the first page a model begins to learn */
  readonly motion?: boolean
}

/** Opens a page, until it is loaded again for threads; what its console says of errors is collected. */
export async function open(
  browser: Browser,
  url: string,
  { width = 1280, height = 900, dark = false, motion = false }: OpenOptions = {},
): Promise<{ readonly page: Page; readonly errors: string[]; readonly close: () => Promise<void> }> {
  const context = await browser.newContext({
    viewport: { width, height },
    colorScheme: dark ? 'dark' : 'light',
    reducedMotion: motion ? 'no-preference' : 'reduce',
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
