// Declarations for the editor of what has none in the generated ones.

export const declarations = `
declare module 'fast-check'
declare module 'node:fs/promises' {
  export function readFile(path: URL): Promise<Uint8Array<ArrayBuffer>>
}
declare function describe(name: string, declare: () => void): void
declare function it(name: string, run: () => void | Promise<void>): void
`
