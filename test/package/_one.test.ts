import { oneFile } from './one-file.ts'
oneFile({ installed: process.cwd() })
