// A headless Chromium that renders in software, and the library bundled for it as a user's bundler would.

import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { build, type Metafile } from 'esbuild'
import { type Browser, chromium, type Page } from 'playwright-core'

const path = process.env.CHROMIUM_PATH ?? '/usr/bin/chromium'

/** Why the browser tests cannot run here, or false. */
export const missing: string | false = existsSync(path)
  ? false
  : `there is no Chromium at ${path}: install one (Debian: apt-get install chromium) or set CHROMIUM_PATH`

/** The root of the repository. */
export const root = fileURLToPath(new URL('../..', import.meta.url))

/** A program of ES modules, given as text that imports from the repository's root, as one file for browsers. */
export async function bundle(
  program: string,
  options: { minify?: boolean } = {},
): Promise<{ code: string; metafile: Metafile }> {
  const result = await build({
    stdin: { contents: program, resolveDir: root, loader: 'ts' },
    bundle: true,
    write: false,
    metafile: true,
    platform: 'browser',
    format: 'esm',
    conditions: ['source'],
    logLevel: 'silent',
    ...options,
  })
  return { code: result.outputFiles[0].text, metafile: result.metafile }
}

/** @param more arguments of Chromium's command line */
export function launch(more: readonly string[] = []): Promise<Browser> {
  return chromium.launch({
    executablePath: path,
    args: [
      '--headless=new',
      '--no-sandbox',
      '--use-gl=angle',
      '--use-angle=swiftshader',
      '--enable-unsafe-swiftshader',
      '--enable-unsafe-webgpu',
      '--use-webgpu-adapter=swiftshader',
      '--enable-features=Vulkan',
      ...more,
    ],
  })
}

/** What a server says to have a page cross-origin isolated, which threads need. */
export const isolation = {
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-embedder-policy': 'require-corp',
}

/** Opens an empty page, in a context where WebGPU is allowed, that has loaded the bundled program. */
export async function pageWith(
  browser: Browser,
  code: string,
  { isolated = false, headers: more = {} }: { isolated?: boolean; headers?: Readonly<Record<string, string>> } = {},
): Promise<Page> {
  const page = await browser.newPage()
  const headers = { ...(isolated && isolation), ...more }
  await page.route('http://localhost/**', route =>
    route.request().url().endsWith('/program.js')
      ? route.fulfill({ headers, contentType: 'text/javascript', body: code })
      : route.fulfill({ headers, contentType: 'text/html', body: '<!doctype html><title>test</title>' }),
  )
  await page.goto('http://localhost/')
  await page.addScriptTag({ type: 'module', url: '/program.js' })
  await page.waitForFunction('globalThis.ready === true')
  return page
}
