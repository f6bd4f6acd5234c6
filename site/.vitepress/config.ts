// The site: the playground first, and the guides of docs/ behind it.

import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Plugin } from 'vite'
import { type DefaultTheme, defineConfig } from 'vitepress'
import { isolate } from './isolate.ts'
import { corners, programs } from './programs.ts'
import { nameVersion, VERSION } from './version.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** Written by scripts/reference.js, with the pages. */
const reference = JSON.parse(readFileSync(`${root}/site/reference/sidebar.json`, 'utf8')) as DefaultTheme.SidebarMulti

/** `cocagrad` and its entries are this repository's source. */
const { exports: entries } = JSON.parse(readFileSync(`${root}/package.json`, 'utf8')) as {
  exports: Readonly<Record<string, { readonly source?: string; readonly browser?: { readonly source: string } }>>
}
const alias = Object.entries(entries).flatMap(([path, { source, browser }]) => {
  const file = browser?.source ?? source
  return file ? [{ find: new RegExp(`^cocagrad${path.slice(1)}$`), replacement: root + file.slice(2) }] : []
})

/** The path on the host, such as /cocagrad/. */
const base = process.env.SITE_BASE ?? '/'

/** The pages that show how things work. */
const lookInside = [
  { text: 'A tape', link: '/tape' },
  { text: 'Attention, pooling, masks', link: '/attention' },
  { text: 'Kernels', link: '/kernels' },
  { text: 'A checkpoint of OpenCLIP', link: '/openclip-model' },
]
/** The pages for those who learn, teach and do research. */
const groups = [
  {
    text: 'Learn',
    items: [
      { text: 'How this path works', link: '/learn/' },
      { text: '1. A first tensor', link: '/learn/tensor' },
      { text: '2. A first gradient', link: '/learn/gradient' },
      { text: '3. A first model', link: '/learn/model' },
      { text: '4. A first transformer', link: '/learn/transformer' },
      { text: '5. Attentional poolers', link: '/learn/poolers' },
      { text: '6. The two losses', link: '/learn/losses' },
      { text: '7. CoCa', link: '/learn/coca' },
      { text: '8. Checking gradients', link: '/learn/gradcheck' },
      { text: '9. Devices', link: '/learn/devices' },
    ],
  },
  {
    text: 'Teach',
    items: [
      { text: 'In a lecture', link: '/teach/' },
      { text: 'Exercises', link: '/teach/exercises' },
    ],
  },
  { text: 'Research', items: [{ text: 'Prototypes and checks', link: '/research/' }] },
]
const learning = { '/learn/': groups, '/teach/': groups, '/research/': groups }

/** Pages rendered for the files start no workers, whose bundling takes most of the time of a build. */
const withoutWorkers: Plugin = {
  name: 'no workers in rendered pages',
  enforce: 'pre',
  transform: (code, _, options) =>
    options?.ssr ? code.replace(/new Worker\(new URL\([^)]*\)[^)]*\)/g, 'undefined') : undefined,
}

export default defineConfig({
  title: 'cocagrad',
  description: 'Automatic differentiation in TypeScript, with CoCa as its reference model.',
  base,
  head: [['link', { rel: 'icon', href: `${base}favicon.svg`, type: 'image/svg+xml' }]],
  // only in what is built: the server for development sets the headers
  transformHead: () => [['script', {}, `(${isolate})(${JSON.stringify(base)}, ${JSON.stringify(VERSION)})`]],
  buildEnd: ({ outDir }) => nameVersion(outDir),
  markdown: {
    config(md) {
      corners(md)
      programs(md)
    },
  },
  themeConfig: {
    search: {
      provider: 'local',
      // nobody looks for a number, of which tables have many, or for a word that is in every section; but the last word of what is typed
      // may be the beginning of one, such as from of fromData. The function runs in the page too, as text, so it uses nothing from here
      options: {
        miniSearch: {
          options: {
            tokenize: (text: string, field?: string) => {
              const common =
                /^(a|an|and|are|as|at|be|been|by|can|does|each|for|from|has|have|if|in|is|it|its|no|of|on|one|or|other|such|than|that|the|their|them|there|these|they|this|to|two|was|were|what|where|which|with|without)$/i
              const words = text.split(/[\n\r\p{Z}\p{P}]+/u).filter(word => word !== '')
              return words.filter((word, i) => {
                const isTyped = field === undefined && i === words.length - 1
                return !/^\d+$/.test(word) && (isTyped || !common.test(word))
              })
            },
          },
        },
      },
    },
    nav: [
      { text: 'Playground', link: '/' },
      { text: 'Look inside', items: [...lookInside] },
      {
        text: 'Learn',
        activeMatch: '^/(learn|teach|research)/',
        items: [
          { text: 'A path in nine steps', link: '/learn/' },
          { text: 'For educators', link: '/teach/' },
          { text: 'For researchers', link: '/research/' },
        ],
      },
      {
        text: 'Docs',
        activeMatch: '^/(guides|reference)/',
        items: [
          { text: 'Guides', link: '/guides/first-model' },
          { text: 'Reference', link: '/reference/' },
        ],
      },
      { text: 'Editor', link: '/repl' },
    ],
    sidebar: {
      ...learning,
      ...reference,
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
            ['browsers', 'Pages and notebooks'],
            ['debugging', 'Debugging'],
            ['if-you-know-pytorch', 'If you know PyTorch'],
            ['openclip', 'OpenCLIP'],
            ['scale', 'Several processes'],
            ['performance', 'Performance'],
          ].map(([name, text]) => ({ text, link: `/guides/${name}` })),
        },
        { text: 'Look inside', items: [...lookInside] },
      ],
    },
    outline: [2, 3],
  },
  vite: {
    plugins: [withoutWorkers],
    resolve: { alias },
    // looking for unused code in every worker takes half of the time of a build, and finds 0.3 % of the bytes
    worker: { format: 'es', rollupOptions: { treeshake: false } },
    build: { target: 'es2022' },
    server: {
      fs: { allow: [root] },
      headers: {
        'Cross-Origin-Opener-Policy': 'same-origin',
        'Cross-Origin-Embedder-Policy': 'require-corp',
      },
    },
    // modules and errors show the names of their classes
    esbuild: { target: 'es2022', keepNames: true },
  },
})
