import type { Theme } from 'vitepress'
import DefaultTheme from 'vitepress/theme-without-fonts'
import { defineAsyncComponent, h } from 'vue'
import NotFound from './NotFound.vue'
import './style.css'

export default {
  extends: DefaultTheme,
  Layout: () => h(DefaultTheme.Layout, null, { 'not-found': () => h(NotFound) }),
  enhanceApp({ app }) {
    // a script of its own: the service worker keeps the editor with the pages that have programs
    app.component(
      'Program',
      defineAsyncComponent(() => import('../../repl/Program.vue')),
    )
  },
} satisfies Theme
