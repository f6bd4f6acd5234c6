// The style of a report: in light and dark mode, in print, and on screens of any width.

import { Html } from './html.ts'

export const style = new Html(`<style>
:root {
  color-scheme: light dark;
  --paper: #fdfcf9; --card: #f5f3ed; --ink: #1f2126; --muted: #63666e; --rule: #dedad0;
  --accent: #1f6684; --right: #256b43; --wrong: #a83a22; --line-2: #b06a12;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #15171b; --card: #1d2025; --ink: #e9e6df; --muted: #a2a4ab; --rule: #343840;
    --accent: #7cbbd6; --right: #83cf9f; --wrong: #f0a08c; --line-2: #e2b05f;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 17px/1.55 system-ui, sans-serif; }
main { max-width: 54rem; margin: 0 auto; padding: 3.5rem 1.25rem 4rem; }
h1, h2, h3 { font-family: "Iowan Old Style", "Palatino Linotype", Palatino, Georgia, serif; font-weight: 600; line-height: 1.2; text-wrap: balance; }
h1 { font-size: 2.5rem; margin: 0 0 .75rem; letter-spacing: -.01em; }
h2 { font-size: 1.6rem; margin: 4rem 0 .5rem; }
h3 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
p { margin: 0 0 1rem; max-width: 42rem; }
.lead { font-size: 1.15rem; }
.note, figcaption, footer { color: var(--muted); font-size: .9rem; }
figure { margin: 1.25rem 0 0; }
figcaption { margin-top: .5rem; max-width: 42rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--muted); font-size: .9rem; padding-bottom: .4rem; }
th, td { padding: .45rem .8rem .45rem 0; text-align: left; border-bottom: 1px solid var(--rule); vertical-align: baseline; }
thead th { color: var(--muted); font-size: .85rem; font-weight: 500; }
tbody th { font-weight: 500; }
.wide { width: 100%; }
.number { text-align: right; white-space: nowrap; }
.figure-value { font-size: 1.25rem; font-weight: 600; }
.right { color: var(--right); } .wrong { color: var(--wrong); }
td > .verdict { padding-left: 1.2rem; }
.verdict { font-weight: 600; white-space: nowrap; }
.picture { image-rendering: pixelated; display: block; width: 100%; height: auto; aspect-ratio: 1; border-radius: 4px; }
.gallery { display: grid; grid-template-columns: repeat(auto-fill, minmax(9.5rem, 1fr)); gap: 1.5rem 1.25rem; margin: 1.25rem 0 0; padding: 0; list-style: none; }
.gallery li { font-size: .9rem; line-height: 1.4; }
.gallery p { margin: .5rem 0 0; }
.gallery .verdict { font-size: .8rem; }
del, ins { text-decoration-thickness: 2px; text-underline-offset: 3px; color: inherit; }
ins { text-decoration: underline wavy var(--wrong); }
.chart { display: block; width: 100%; max-width: 46rem; height: auto; }
.chart text { font: 13px system-ui, sans-serif; fill: var(--muted); }
.chart .grid { stroke: var(--rule); }
.chart .line { fill: none; stroke-width: 2; stroke-linejoin: round; }
.chart .line-0 { stroke: var(--ink); } .chart .line-1 { stroke: var(--accent); stroke-dasharray: 7 3; } .chart .line-2 { stroke: var(--line-2); stroke-dasharray: 2 3; }
.chart .name { font-weight: 600; } .chart .name-0 { fill: var(--ink); } .chart .name-1 { fill: var(--accent); } .chart .name-2 { fill: var(--line-2); }
.chart .hover { fill: transparent; } .chart .hover:hover { fill: var(--accent); fill-opacity: .12; }
.heat { border-collapse: separate; border-spacing: 2px; }
.heat th, .heat td { border: 0; padding: 0; }
.heat tbody th { vertical-align: middle; padding-right: .75rem; font-size: .85rem; white-space: nowrap; text-align: right; font-weight: 400; }
.heat td { width: 2.9rem; min-width: 2.5rem; height: 2.2rem; text-align: center; font-size: .75rem; vertical-align: middle; border-radius: 3px;
  background: color-mix(in oklab, var(--accent) calc(var(--v) * 100%), var(--card)); }
.heat td.strong { color: var(--paper); font-weight: 600; }
.heat td.own { outline: 2px solid var(--ink); outline-offset: -2px; }
.heat thead th { vertical-align: bottom; color: var(--muted); font-weight: 500; font-size: .85rem; text-align: center; }
.heat .picture { width: 2.5rem; margin: 0 auto 2px; }
.pairs td { width: 5.4rem; min-width: 3.6rem; height: 2.5rem; font-size: .85rem; }
.pairs td.held-out { outline: 2px dashed var(--ink); outline-offset: -2px; }
.key { display: inline-block; width: 1.6em; height: 1em; vertical-align: -.1em; border: 2px dashed var(--ink); border-radius: 3px; }
.key.solid { border-style: solid; }
.attended { display: block; shape-rendering: crispEdges; width: 100%; border-radius: 4px; fill: #000; }
.looks { display: grid; grid-template-columns: repeat(auto-fill, minmax(13rem, 1fr)); gap: 1.75rem 1.5rem; margin-top: 1.25rem; }
.looks figure { margin: 0; }
.looks .both { display: grid; grid-template-columns: 1fr 1fr; gap: 6px; }
.strip { display: grid; grid-template-columns: repeat(auto-fill, minmax(3.8rem, 1fr)); gap: .9rem .4rem; list-style: none; margin: .75rem 0 0; padding: 0; }
.strip li { text-align: center; font-size: .9rem; line-height: 1.3; }
.strip span { display: block; margin-top: .3rem; }
.strip small { color: var(--muted); }
.settings { columns: 2; column-gap: 3rem; margin: 1rem 0 0; padding: 0; }
.settings div { break-inside: avoid; display: flex; justify-content: space-between; gap: 1rem; border-bottom: 1px solid var(--rule); padding: .3rem 0; font-size: .9rem; }
.settings dt { color: var(--muted); } .settings dd { margin: 0; text-align: right; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
footer { margin-top: 4rem; border-top: 1px solid var(--rule); padding-top: 1rem; }
code { font: .9em ui-monospace, Menlo, Consolas, monospace; }
@media (max-width: 34rem) {
  main { padding-top: 2rem; }
  h1 { font-size: 1.9rem; } h2 { margin-top: 3rem; font-size: 1.4rem; }
  .settings { columns: 1; }
  .chart text { font-size: 17px; }
  table { font-size: .88rem; } .figure-value { font-size: 1rem; }
  .heat:not(.pairs) tbody th { white-space: normal; min-width: 8.5rem; }
  .heat:not(.pairs) td { width: 2.5rem; }
  .gallery { grid-template-columns: repeat(2, 1fr); }
  th, td { padding-right: .6rem; } td > .verdict { padding-left: 0; }
  .pairs td { width: 3rem; min-width: 2.7rem; font-size: .75rem; }
  .pairs thead th { font-size: .7rem; }
}
@media print { h2 { break-after: avoid; } figure, .gallery li, tr { break-inside: avoid; } }
</style>`)
