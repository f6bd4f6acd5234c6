// Warnings on platforms with and without a process.

import assert from 'node:assert/strict'
import { mock, test } from 'node:test'
import { warn } from '../../src/tensor/warn.ts'

test('a warning is a process warning, or goes to the console if there is no process', () => {
  const emit = mock.method(process, 'emitWarning', () => {})
  const console_ = mock.method(console, 'warn', () => {})
  try {
    warn('a loss is odd', 'GradientWarning')
    assert.deepEqual(
      emit.mock.calls.map(call => call.arguments),
      [['a loss is odd', 'GradientWarning']],
    )
    Reflect.set(process, 'emitWarning', undefined)
    warn('a loss is odd', 'GradientWarning')
    assert.deepEqual(
      console_.mock.calls.map(call => call.arguments),
      [['GradientWarning: a loss is odd']],
    )
  } finally {
    emit.mock.restore()
    console_.mock.restore()
  }
})
