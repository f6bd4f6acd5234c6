import type { Theme } from 'vitepress'
import DefaultTheme from 'vitepress/theme-without-fonts'
import { isolate } from './isolate.ts'
import './style.css'

export default {
  extends: DefaultTheme,
  enhanceApp() {
    if (!import.meta.env.SSR && import.meta.env.PROD) isolate(import.meta.env.BASE_URL)
  },
} satisfies Theme
