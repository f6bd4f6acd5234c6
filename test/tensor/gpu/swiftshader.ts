// Tests on WebGPU need an adapter. If Node finds none, the file runs again in a process that uses the software renderer of
// Chromium: a driver is chosen when a process starts.

import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { dirname } from 'node:path'
import { test } from 'node:test'
import { probeGpu } from '../../../src/tensor/gpu/index.ts'
import type { GpuBackend } from '../../../src/tensor/index.ts'
import { isAgain, runAgain } from '../../again.ts'

const icd = process.env.SWIFTSHADER_ICD ?? '/usr/lib/chromium/vk_swiftshader_icd.json'

/**
 * Declares tests for backends of the gpu device. A process for WebGPU alone declares nothing else, which has run already.
 * @param file import.meta.url of the test file
 * @param runs number of samples on each backend to test
 */
export async function onBackends(
  file: string,
  { webgpu, ...others }: Partial<Record<GpuBackend, number>>,
  declare: (backend: GpuBackend, runs: number) => void,
): Promise<void> {
  if (!isAgain) for (const [backend, runs] of Object.entries(others)) declare(backend as GpuBackend, runs)
  if (webgpu !== undefined) await onWebgpu(file, () => declare('webgpu', webgpu))
}

async function onWebgpu(file: string, declare: () => void): Promise<void> {
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
