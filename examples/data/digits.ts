// The 1,797 digits of digits.csv.gz, read from a file in Node and over the network in a page.

const address = new URL('../digits.csv.gz', import.meta.url)
const isFile = address.protocol === 'file:'
const bytes = isFile
  ? await (await import('node:fs/promises')).readFile(address)
  : new Uint8Array(await (await fetch(address)).arrayBuffer())
const file = new Blob([new Uint8Array(bytes)]).stream()
// some hosts unpack it on the way
const isPacked = bytes[0] === 0x1f
const text = await new Response(isPacked ? file.pipeThrough(new DecompressionStream('gzip')) : file).text()

/** Of each picture its 64 pixels, from 0 to 16, and the digit. */
export const rows = text
  .trim()
  .split('\n')
  .map(line => line.split(',').map(Number))
