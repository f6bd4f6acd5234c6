// Deno's Jupyter kernel, run without Jupyter: a client that executes the cells of a notebook one after the other and keeps what they
// show, as a notebook in a browser does.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { createHmac, randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { ZeroSocket } from './zmtp.ts'

function find(): string | undefined {
  const given = process.env.DENO_PATH
  if (given) return existsSync(given) ? given : undefined
  try {
    execFileSync('deno', ['--version'], { stdio: 'ignore' })
    return 'deno'
  } catch {
    return undefined
  }
}

/** Deno's program, or undefined. It takes 92 MB, so it is not a dependency. */
export const deno = find()

/** Why notebooks cannot run here, or false. */
export const missing: string | false = deno
  ? false
  : 'there is no Deno: npm install --prefix FOLDER deno, and DENO_PATH=FOLDER/node_modules/.bin/deno'

/** One output of a cell, as a notebook stores it. */
export type Output =
  | { readonly output_type: 'stream'; readonly name: string; text: string }
  | { readonly output_type: 'display_data'; data: object; readonly metadata: object }
  | {
      readonly output_type: 'execute_result'
      readonly data: object
      readonly metadata: object
      readonly execution_count: number
    }
  | {
      readonly output_type: 'error'
      readonly ename: string
      readonly evalue: string
      readonly traceback: readonly string[]
    }

interface Message {
  readonly type: string
  readonly parent?: string
  // biome-ignore lint/suspicious/noExplicitAny: the protocol's content depends on the type of the message
  readonly content: any
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise(resolve => server.close(resolve))
  return port
}

export class DenoKernel {
  readonly #process: ChildProcess
  readonly #file: string
  readonly #key: string
  readonly #session = randomUUID()
  readonly #sockets: ZeroSocket[] = []
  #listener: (message: Message) => void = () => {}

  private constructor(process: ChildProcess, file: string, key: string) {
    this.#process = process
    this.#file = file
    this.#key = key
  }

  /** Starts a kernel in a folder, whose settings in deno.json and package.json it uses. */
  static async start(folder: string): Promise<DenoKernel> {
    if (!deno) throw new Error(`${missing}`)
    const [shell, iopub, control, stdin, hb] = await Promise.all(Array.from({ length: 5 }, freePort))
    const key = randomUUID()
    const file = join(folder, `connection-${process.pid}-${shell}.json`)
    const connection = {
      ...{ transport: 'tcp', ip: '127.0.0.1', key, signature_scheme: 'hmac-sha256', kernel_name: 'deno' },
      ...{ shell_port: shell, iopub_port: iopub, control_port: control, stdin_port: stdin, hb_port: hb },
    }
    await writeFile(file, JSON.stringify(connection))
    const env = { ...process.env, NO_COLOR: '1', DENO_NO_UPDATE_CHECK: '1' }
    const child = spawn(deno, ['jupyter', '--kernel', '--conn', file], {
      cwd: folder,
      env,
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    let said = ''
    child.stderr!.on('data', text => {
      said += text
    })
    const kernel = new DenoKernel(child, file, key)
    for (let tries = 0; kernel.#sockets.length === 0; tries++)
      try {
        const taken = (message: readonly Buffer[]) => kernel.#take(message)
        const asking = await ZeroSocket.open('DEALER', shell, taken)
        kernel.#sockets.push(asking, await ZeroSocket.open('SUB', iopub, taken))
      } catch (error) {
        if (child.exitCode !== null || tries > 300)
          throw new Error(`Deno's kernel did not start: ${said}`, { cause: error })
        await new Promise(resolve => setTimeout(resolve, 100))
      }
    // a subscription takes a moment; the first answers of a kernel are lost before it
    await new Promise(resolve => setTimeout(resolve, 300))
    await kernel.execute('undefined', 0)
    return kernel
  }

  #take(message: readonly Buffer[]): void {
    const at = message.findIndex(part => part.toString() === '<IDS|MSG>')
    const [header, parent, , content] = message.slice(at + 2).map(part => JSON.parse(part.toString() || '{}'))
    this.#listener({ type: header.msg_type, parent: parent.msg_id, content })
  }

  /** Executes a cell and returns what it shows. */
  execute(code: string, count: number): Promise<Output[]> {
    const id = randomUUID()
    const header = {
      ...{ msg_id: id, session: this.#session, username: '', date: new Date().toISOString() },
      ...{ msg_type: 'execute_request', version: '5.3' },
    }
    const content = {
      code,
      silent: false,
      store_history: count > 0,
      user_expressions: {},
      allow_stdin: false,
      stop_on_error: true,
    }
    const parts = [header, {}, {}, content].map(part => Buffer.from(JSON.stringify(part)))
    const hmac = createHmac('sha256', this.#key)
    for (const part of parts) hmac.update(part)
    const outputs: Output[] = []
    const displays = new Map<string, { data: object }>()
    return new Promise((resolve, reject) => {
      let left = 2
      const ended = (code: number | null) =>
        reject(new Error(`Deno's kernel ended with ${code} in the cell\n${content.code}`))
      this.#process.once('exit', ended)
      this.#listener = ({ type, parent, content }) => {
        if (parent !== id) return
        if (type === 'stream') {
          const last = outputs.at(-1)
          if (last?.output_type === 'stream' && last.name === content.name) last.text += content.text
          else outputs.push({ output_type: 'stream', name: content.name, text: content.text })
        } else if (type === 'display_data') {
          const output: Output = { output_type: type, data: content.data, metadata: {} }
          outputs.push(output)
          if (content.transient?.display_id) displays.set(content.transient.display_id, output)
        } else if (type === 'update_display_data') {
          const shown = displays.get(content.transient?.display_id)
          if (shown) shown.data = content.data
        } else if (type === 'execute_result')
          outputs.push({ output_type: type, data: content.data, metadata: {}, execution_count: count })
        else if (type === 'error')
          outputs.push({
            output_type: type,
            ename: content.ename,
            evalue: content.evalue,
            traceback: content.traceback,
          })
        // a cell is done when the answer is there and the kernel is idle again
        else if (type === 'execute_reply' || (type === 'status' && content.execution_state === 'idle')) left--
        if (left !== 0) return
        left = -1
        this.#process.off('exit', ended)
        // the kernel sends the value of a cell on its own, on a busy machine after it says that it is idle
        setTimeout(resolve, 1000, outputs)
      }
      this.#sockets[0].send([Buffer.from('<IDS|MSG>'), Buffer.from(hmac.digest('hex')), ...parts])
    })
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.close()
    const ended = new Promise(resolve => this.#process.once('exit', resolve))
    this.#process.kill('SIGKILL')
    await ended
    await rm(this.#file, { force: true })
  }
}
