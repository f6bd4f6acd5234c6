import type { Theme } from 'vitepress'
import DefaultTheme from 'vitepress/theme-without-fonts'
import Program from '../../repl/Program.vue'
import { isolate } from './isolate.ts'
import './style.css'

export default {
  extends: DefaultTheme,
  enhanceApp({ app }) {
    app.component('Program', Program)
    if (!import.meta.env.SSR && import.meta.env.PROD) isolate(import.meta.env.BASE_URL)
  },
} satisfies Theme
