// Loaded before the command line: the disk is full when the configuration of an exported model is written, after everything else.

import fs from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'

const { rename } = fs
fs.rename = async (from, to) => {
  if (String(to).endsWith('open_clip_config.json'))
    throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC', syscall: 'rename' })
  return rename(from, to)
}
syncBuiltinESMExports()
