// The functions of order.py, here.

import { onesLike, scatterAdd, type TensorFunction } from '../../../src/index.ts'
import type { Functions } from './functions.ts'

/** The second derivative of a selection is 0, that of its square is not. */
const curved =
  (f: TensorFunction): TensorFunction =>
  (...xs) =>
    f(...xs)
      .square()
      .mul(xs[0].sum().sin())

export const order: Functions = {
  argsort: x => x.argsort(),
  'argsort of equal elements': x => x.argsort(),
  'argsort of equal elements, descending': x => x.argsort({ descending: true }),
  'argsort of special numbers': x => x.argsort(),
  'argsort of special numbers, descending': x => x.argsort({ descending: true }),
  'argsort of whole numbers along the first axis': x => x.argsort({ axis: 0 }),
  'argsort of truths': x => x.argsort(),
  sort: x => x.sort().values,
  'sort, squared': curved(x => x.sort({ axis: 0, descending: true }).values),
  'sort of special numbers': x => x.sort().values,
  topk: x => x.topk(3).values,
  'topk, squared': curved(x => x.topk(2, { axis: 0, largest: false }).values),
  "topk's positions": x => x.topk(4).indices,
  kthValue: curved(x => x.kthValue(2).values),
  "kthValue's positions": x => x.kthValue(2, { axis: 0, keepDims: true }).indices,
  maxWithIndices: curved(x => x.maxWithIndices().values),
  "maxWithIndices' positions": x => x.maxWithIndices({ axis: 0, keepDims: true }).indices,
  minWithIndices: curved(x => x.minWithIndices({ axis: 0 }).values),
  "minWithIndices' positions": x => x.minWithIndices().indices,
  'minWithIndices of special numbers': x => x.minWithIndices().indices,
  median: x => x.median().square(),
  'median along an axis': curved(x => x.median({ axis: 0, keepDims: true })),
  'median of special numbers': x => x.median(),
  quantiles: curved(x => x.quantile([0.1, 0.5, 0.9], { axis: 1 })),
  'quantile of special numbers': x => x.quantile(0.5),
  'searchSorted, left': (line, values) => line.searchSorted(values),
  'searchSorted, right': (line, values) => line.searchSorted(values, { side: 'right' }),
  'searchSorted in lines of their own': (line, values) => line.searchSorted(values),
  "histogram's counts": x => x.histogram({ bins: 4, range: [-1, 1] }).counts,
  "histogram's edges": x => x.histogram({ bins: 4 }).edges,
  bincount: ids => scatterAdd([6], ids, onesLike(ids)),
  'bincount of weights': (ids, weights) => scatterAdd([6], ids, weights).sin(),
  'quantile, linear': curved(x => x.quantile(0.4, { axis: 0, keepDims: true })),
  'quantile, lower': curved(x => x.quantile(0.4, { axis: 0, keepDims: true, interpolation: 'lower' })),
  'quantile, higher': curved(x => x.quantile(0.4, { axis: 0, keepDims: true, interpolation: 'higher' })),
  'quantile, nearest': curved(x => x.quantile(0.4, { axis: 0, keepDims: true, interpolation: 'nearest' })),
  'quantile, midpoint': curved(x => x.quantile(0.4, { axis: 0, keepDims: true, interpolation: 'midpoint' })),
}
