// Places the nodes of a graph, with dagre.

import { type Edge, NODE } from './protocol.ts'

export interface Placed {
  readonly nodes: readonly { readonly x: number; readonly y: number }[]
  readonly edges: readonly Edge[]
  readonly width: number
  readonly height: number
}

/** Nodes are numbered from 0; x and y are their centres. */
export async function layout(count: number, edges: readonly Pick<Edge, 'from' | 'to'>[]): Promise<Placed> {
  const dagre = await import('@dagrejs/dagre')
  const graph = new dagre.graphlib.Graph()
  graph.setGraph({ rankdir: 'TB', nodesep: 24, ranksep: 36, marginx: 8, marginy: 8 })
  graph.setDefaultEdgeLabel(() => ({}))
  for (let i = 0; i < count; i++) graph.setNode(`${i}`, { ...NODE })
  for (const { from, to } of edges) graph.setEdge(`${from}`, `${to}`)
  dagre.layout(graph)
  const { width = 0, height = 0 } = graph.graph()
  return {
    nodes: Array.from({ length: count }, (_, i) => {
      const { x, y } = graph.node(`${i}`)
      return { x, y }
    }),
    edges: edges.map(({ from, to }) => ({ from, to, points: graph.edge(`${from}`, `${to}`).points ?? [] })),
    width,
    height,
  }
}
