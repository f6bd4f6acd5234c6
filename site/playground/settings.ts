// The settings that a visitor may change, in plain words.

import type { Settings } from './protocol.ts'

export const numberSettings = [
  { name: 'contrastive', label: 'λ of the contrastive loss', min: 0, max: 10, step: 0.1 },
  { name: 'captioning', label: 'λ of the captioning loss', min: 0, max: 10, step: 0.1 },
  { name: 'batch', label: 'pictures in a batch', min: 2, max: 128, step: 1 },
  { name: 'learningRate', label: 'learning rate', min: 0.00001, max: 0.1, step: 0.00001 },
  { name: 'temperature', label: 'temperature at the start', min: 0.0625, max: 1, step: 0.0001 },
  { name: 'steps', label: 'steps of the run', min: 10, max: 100_000, step: 10 },
  { name: 'queries', label: 'queries of the pooler', min: 1, max: 64, step: 1 },
  { name: 'classTokens', label: '[CLS] tokens', min: 1, max: 8, step: 1 },
  { name: 'unimodalLayers', label: 'layers that see text only', min: 1, max: 4, step: 1 },
  { name: 'multimodalLayers', label: 'layers that see the image too', min: 1, max: 4, step: 1 },
  { name: 'seed', label: 'seed', min: 0, max: 999999, step: 1 },
] as const

export const choiceSettings = [
  {
    name: 'arrangement',
    label: 'poolers',
    choices: [
      { value: 'cascade', text: 'one after the other, as in the paper' },
      { value: 'parallel', text: 'both read the patches' },
    ],
  },
  {
    name: 'classPosition',
    label: 'place of [CLS]',
    choices: [
      { value: 'last', text: 'the end of the context' },
      { value: 'next', text: 'after the last word' },
    ],
  },
  {
    name: 'device',
    label: 'device',
    choices: [
      { value: 'cpu', text: 'cpu' },
      { value: 'gpu', text: 'gpu' },
    ],
  },
] as const

const labels: { readonly [K in keyof Settings]: string } = {
  ...(Object.fromEntries([...numberSettings, ...choiceSettings].map(({ name, label }) => [name, label])) as {
    readonly [K in (typeof numberSettings | typeof choiceSettings)[number]['name']]: string
  }),
}

/** The settings in which two runs differ. */
export const differences = (a: Settings, b: Settings) =>
  (Object.keys(labels) as (keyof Settings)[])
    .filter(name => a[name] !== b[name])
    .map(name => ({ name, label: labels[name], values: [a[name], b[name]] as const }))
