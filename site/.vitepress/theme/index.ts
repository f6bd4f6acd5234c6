import type { Theme } from 'vitepress'
import DefaultTheme from 'vitepress/theme-without-fonts'
import { h } from 'vue'
import Program from '../../repl/Program.vue'
import { isolate } from './isolate.ts'
import NotFound from './NotFound.vue'
import './style.css'

export default {
  extends: DefaultTheme,
  Layout: () => h(DefaultTheme.Layout, null, { 'not-found': () => h(NotFound) }),
  enhanceApp({ app }) {
    app.component('Program', Program)
    if (!import.meta.env.SSR && import.meta.env.PROD) isolate(import.meta.env.BASE_URL)
  },
} satisfies Theme
