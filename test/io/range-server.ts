// A server of one file, as a web server or a store of models is one: with parts of the file (HTTP ranges), or without.

import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface RangeServer {
  readonly url: URL
  /** method and range of every request */
  readonly requests: string[]
  close(): Promise<void>
}

export interface RangeServerOptions {
  /** whether requests for parts are answered with parts; default true */
  readonly parts?: boolean
  /** whether a page of another server may see how long the file is; default true */
  readonly exposed?: boolean
  /** of each answer, by the number of the request */
  readonly etag?: (request: number) => string
  /** bytes that are missing at the end of each part; default 0 */
  readonly cut?: number
  /** the answer to a request without this header is 401 */
  readonly authorization?: string
  readonly contentType?: string
}

/** Answers pages of all servers, as long as they ask for nothing unusual. */
export async function serveBytes(bytes: Uint8Array, options: RangeServerOptions = {}): Promise<RangeServer> {
  const {
    parts = true,
    exposed = true,
    etag,
    cut = 0,
    authorization,
    contentType = 'application/octet-stream',
  } = options
  const requests: string[] = []
  const rangeOf = ({ headers }: IncomingMessage) => /^bytes=(\d+)-(\d+)$/.exec(headers.range ?? '')
  const server = createServer((request, response) => {
    const range = parts ? rangeOf(request) : null
    requests.push(`${request.method} ${request.headers.range ?? 'all'}`)
    response.setHeader('access-control-allow-origin', '*')
    response.setHeader('cross-origin-resource-policy', 'cross-origin')
    response.setHeader('content-type', contentType)
    if (exposed) response.setHeader('access-control-expose-headers', 'content-range, etag')
    if (etag) response.setHeader('etag', etag(requests.length - 1))
    if (request.url !== '/model.safetensors') return response.writeHead(404).end('not here')
    if (authorization !== undefined && request.headers.authorization !== authorization)
      return response.writeHead(401).end()
    if (request.method === 'HEAD' || !range)
      return response.setHeader('content-length', bytes.length).end(request.method === 'HEAD' ? undefined : bytes)
    const [start, end] = [Number(range[1]), Math.min(Number(range[2]) + 1, bytes.length)]
    if (start >= bytes.length) return response.writeHead(416).end()
    response.setHeader('content-range', `bytes ${start}-${end - 1}/${bytes.length}`)
    return response.writeHead(206).end(bytes.subarray(start, end - cut))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: new URL(`http://127.0.0.1:${port}/model.safetensors`),
    requests,
    close: () =>
      new Promise(resolve => {
        server.closeAllConnections()
        server.close(() => resolve())
      }),
  }
}
