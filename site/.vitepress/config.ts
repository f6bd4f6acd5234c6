// The site: the playground first, and the guides of docs/ behind it.

import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitepress'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** `cocagrad` and its entries are this repository's source. */
const { exports: entries } = JSON.parse(readFileSync(`${root}/package.json`, 'utf8')) as {
  exports: Readonly<Record<string, { readonly source: string; readonly browser?: { readonly source: string } }>>
}
const alias = Object.entries(entries).map(([path, { source, browser }]) => ({
  find: new RegExp(`^cocagrad${path.slice(1)}$`),
  replacement: root + (browser?.source ?? source).slice(2),
}))

/** The path on the host, such as /cocagrad/. */
const base = process.env.SITE_BASE ?? '/'

export default defineConfig({
  title: 'cocagrad',
  description: 'Automatic differentiation in TypeScript, with CoCa as its reference model.',
  base,
  head: [['link', { rel: 'icon', href: `${base}favicon.svg`, type: 'image/svg+xml' }]],
  themeConfig: {
    search: { provider: 'local' },
    nav: [
      { text: 'Playground', link: '/' },
      { text: 'Guides', link: '/guides/first-model' },
    ],
    sidebar: {
      '/guides/': [
        {
          text: 'Guides',
          items: [
            ['first-model', 'A first model'],
            ['autograd', 'Automatic differentiation'],
            ['gradients', 'Checking gradients'],
            ['coca', 'CoCa'],
            ['data', 'Data'],
            ['training', 'Training'],
            ['devices', 'Devices'],
            ['debugging', 'Debugging'],
            ['if-you-know-pytorch', 'If you know PyTorch'],
            ['openclip', 'OpenCLIP'],
            ['scale', 'Several processes'],
            ['performance', 'Performance'],
          ].map(([name, text]) => ({ text, link: `/guides/${name}` })),
        },
      ],
    },
    outline: [2, 3],
  },
  vite: {
    resolve: { alias },
    worker: { format: 'es' },
    build: { target: 'es2022' },
    server: {
      fs: { allow: [root] },
      headers: {
        'Cross-Origin-Opener-Policy': 'same-origin',
        'Cross-Origin-Embedder-Policy': 'require-corp',
      },
    },
    esbuild: { target: 'es2022' },
  },
})
