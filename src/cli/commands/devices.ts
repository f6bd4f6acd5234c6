// `cocagrad devices`: the devices and image decoders of this machine, and why others are not available.

import type { Command } from 'commander'
import { imageDecoder } from '../../data/index.ts'
import { device } from '../../index.ts'
import { examples, jsonOption } from '../options.ts'
import { answer, table } from '../output.ts'

export function addDevices(program: Command): void {
  const command = program
    .command('devices')
    .description('List the devices that were found, those that were not and why, and the image decoder.')
    .action(listDevices)
  examples(jsonOption(command), 'devices', 'devices --json')
}

async function listDevices({ json }: { json?: boolean }): Promise<void> {
  const devices = await device.list()
  const images = await imageDecoder()
  const rows = devices.map(({ name, backend, available, detail }) => [
    name,
    backend ?? '',
    available ? 'yes' : 'no',
    detail,
  ])
  const decoders = images.turboJpeg === undefined ? images.name : `${images.name}, JPEG by ${images.turboJpeg}`
  const decoder = `images  ${decoders}: ${images.note ?? 'decoded natively, several at once'}`
  answer(json, { devices, images }, `${table(['device', 'backend', 'found', 'what, or why not'], rows)}\n\n${decoder}`)
}
