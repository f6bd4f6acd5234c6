// Tensors and modules in the console of a browser with custom formatters, called as the developer tools call them.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bundle, launch, missing, pageWith } from './chromium.ts'

const program = `
  import { installDevtoolsFormatters, Linear, Tape, Tensor, tensor } from './src/index.ts'
  installDevtoolsFormatters()
  installDevtoolsFormatters()
  const layer = new Linear(2, 3)
  Object.assign(globalThis, { matrix: tensor([[1, 2], [3, 4]]), layer, tape: new Tape(), Tensor, ready: true })
`

test('the console of Chrome shows a line, and the rest below it', { skip: missing }, async () => {
  const browser = await launch()
  try {
    const page = await pageWith(browser, (await bundle(program)).code)
    const complaints: string[] = []
    page.on('console', message => complaints.push(message.text()))
    const tools = await page.context().newCDPSession(page)
    await tools.send('Runtime.enable')
    await tools.send('Runtime.setCustomObjectFormatterEnabled', { enabled: true })
    const shown = async (expression: string) => {
      const { result } = await tools.send('Runtime.evaluate', { expression, generatePreview: true })
      if (!result.customPreview) return undefined
      const { header, bodyGetterId } = result.customPreview
      if (!bodyGetterId) return [JSON.parse(header)]
      const body = await tools.send('Runtime.callFunctionOn', {
        objectId: result.objectId,
        functionDeclaration: 'function (body) { return body.call(this) }',
        arguments: [{ objectId: bodyGetterId }],
        returnByValue: true,
      })
      return [JSON.parse(header), body.result.value]
    }
    const text = { style: 'white-space: pre' }
    assert.deepEqual(await shown('matrix'), [
      ['span', {}, 'Tensor [2, 2] float32 on cpu: [[1, 2], [3, 4]]'],
      ['div', text, 'Tensor [2, 2] float32 on cpu:\n  [[1, 2],\n   [3, 4]]'],
    ])
    assert.deepEqual(await shown('layer'), [
      ['span', {}, 'Linear (9)'],
      ['div', text, 'Linear (9)\n  weight: [3, 2]\n  bias: [3]'],
    ])
    assert.deepEqual(await shown('tape'), [['span', {}, 'Tape of 0 operations']])
    for (const other of ['({ matrix })', 'Tensor.prototype', 'Object.create(null)', '[1]'])
      assert.equal(await shown(other), undefined, other)
    assert.equal(await page.evaluate('devtoolsFormatters.length'), 1)
    assert.deepEqual(complaints, [])
  } finally {
    await browser.close()
  }
})
