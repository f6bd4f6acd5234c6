// A kernel is compiled once per signature, which must determine its text. Importing this generates the text at every call, and
// a call fails if its signature belongs to another text: it would run the kernel of another call.

import assert from 'node:assert/strict'
import { Code } from '../../../src/tensor/gpu/code.ts'
import { type Call, type Handle, Runtime } from '../../../src/tensor/gpu/runtime.ts'

const texts = new Map<string, string>()

const { run } = Runtime.prototype
Runtime.prototype.run = function (this: Runtime, call: Call): Handle {
  const code = new Code()
  const starts = call.inputs.map(({ offset }, i) => (offset === 0 ? undefined : `o${i}`))
  call.body(code, starts)
  const [key, text] = [`${call.signature}|${call.length}|${starts}`, code.lines.join('\n')]
  assert.equal(text, texts.get(key) ?? text, `one signature of two kernels: ${call.signature}`)
  texts.set(key, text)
  return run.call(this, call)
}
