// Tests on WebGPU need an adapter. If Node finds none, the file runs again in a process that uses the software renderer of
// Chromium: a driver is chosen when a process starts.

import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { dirname } from 'node:path'
import { test } from 'node:test'
import { probeGpu } from '../../../src/tensor/gpu/index.ts'
import { isAgain, runAgain } from '../../again.ts'

const icd = process.env.SWIFTSHADER_ICD ?? '/usr/lib/chromium/vk_swiftshader_icd.json'

/**
 * Declares tests that need WebGPU.
 * @param file import.meta.url of the test file
 */
export async function onWebgpu(file: string, declare: () => void): Promise<void> {
  const report = (await probeGpu()).find(({ backend }) => backend === 'webgpu')!
  const environment = {
    VK_ICD_FILENAMES: icd,
    LD_LIBRARY_PATH: [dirname(icd), process.env.LD_LIBRARY_PATH].filter(Boolean).join(':'),
  }
  if (report.available) declare()
  else if (isAgain) assert.fail(`no WebGPU through ${icd}: ${report.detail}`)
  else if (existsSync(icd)) test('on webgpu, with SwiftShader in a separate process', () => runAgain(file, environment))
  else {
    const skip = `${report.detail}; there is no ${icd} either (Debian: apt-get install chromium)`
    test('on webgpu', { skip }, () => undefined)
  }
}
