import * as vite from 'vite'
import { launch } from './chromium.ts'

const root = '/tmp/bdpage'
const b = await launch()
const open = async (url: string, what: string) => {
  const p = await b.newPage()
  p.on('pageerror', e => console.log(what, 'pageerror', e))
  p.on('console', m => console.log(what, m.type(), m.text()))
  p.setDefaultTimeout(120000)
  await p.goto(url)
  await p.waitForFunction('globalThis.answer')
  console.log(what, JSON.stringify(await p.evaluate('globalThis.answer.catch(e => e.stack)')))
  await p.close()
}
const dev = await vite.createServer({
  root,
  configFile: false,
  logLevel: 'warn',
  server: { port: 0, host: '127.0.0.1' },
})
await dev.listen()
await open(dev.resolvedUrls!.local[0], 'dev')
await dev.close()
await vite.build({ root, configFile: false, logLevel: 'warn' })
const pre = await vite.preview({ root, configFile: false, preview: { port: 0, host: '127.0.0.1' } })
await open(pre.resolvedUrls!.local[0], 'build')
await pre.close()
await b.close()
process.exit(0)
