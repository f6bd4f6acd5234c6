// What a notebook or a page of programs shows besides tensors, modules and tapes: curves, pictures, the graph of a tape, progress.

export { Display, type Displayable, type DisplayHost, display, displayWith } from './display.ts'
export { graph, TapeGraph } from './graph.ts'
export { Gallery, type GalleryOptions, picture } from './picture.ts'
export { Plot, type PlotOptions, type PlotSeries, plot, type Series } from './plot.ts'
export { ProgressBar, type ProgressOptions, progress } from './progress.ts'
