// Tests on WebGPU need an adapter. Where Node finds none, the file runs once more in a process that is pointed at
// the software renderer which Chromium brings: a driver is chosen when a process starts, not later.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { dirname } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { probeGpu } from '../../../src/tensor/gpu/index.ts'

const icd = process.env.SWIFTSHADER_ICD ?? '/usr/lib/chromium/vk_swiftshader_icd.json'
const AGAIN = 'COCAGRAD_TEST_ON_SWIFTSHADER'

/**
 * Declares tests that need WebGPU.
 * @param file import.meta.url of the test file
 */
export async function onWebgpu(file: string, declare: () => void): Promise<void> {
  const report = (await probeGpu()).find(({ backend }) => backend === 'webgpu')!
  if (report.available) declare()
  else if (process.env[AGAIN]) assert.fail(`no WebGPU through ${icd}: ${report.detail}`)
  else if (existsSync(icd)) test('on webgpu, through SwiftShader in a process of its own', () => runAgain(file))
  else {
    const skip = `${report.detail}; there is no ${icd} either (Debian: apt-get install chromium)`
    test('on webgpu', { skip }, () => undefined)
  }
}

async function runAgain(file: string): Promise<void> {
  const env: NodeJS.ProcessEnv = {
    ...process.env,
    [AGAIN]: '1',
    VK_ICD_FILENAMES: icd,
    LD_LIBRARY_PATH: [dirname(icd), process.env.LD_LIBRARY_PATH].filter(Boolean).join(':'),
  }
  // otherwise the inner run would report to the outer runner in its binary protocol
  delete env.NODE_TEST_CONTEXT
  const inner = spawn(process.execPath, [...process.execArgv, fileURLToPath(file)], { env })
  let output = ''
  for (const stream of [inner.stdout, inner.stderr]) {
    stream.on('data', chunk => {
      output += chunk
    })
  }
  const code = await new Promise(resolve => inner.on('close', resolve))
  assert.equal(code, 0, output)
  assert.match(output, /# pass [1-9]|ℹ pass [1-9]/)
}
