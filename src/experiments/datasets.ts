// The data of an experiment, drawn when it is needed first.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { writeMovingShapes, writeShapes } from '../data/index.ts'
import type { DatasetConfig } from './config.ts'

/**
 * Draws the examples of a folder that does not exist yet. Folders are complete when they get their names, so one that exists is used.
 * @returns the folder
 */
export async function drawn(
  folder: string,
  name: string,
  { make, ...options }: DatasetConfig,
  onProgress?: (done: number, count: number) => void,
): Promise<string> {
  const out = join(folder, 'data', name)
  if (existsSync(out)) return out
  const writing = { ...options, out, onProgress }
  if (make === 'moving') await writeMovingShapes(writing)
  else await writeShapes(writing)
  return out
}
