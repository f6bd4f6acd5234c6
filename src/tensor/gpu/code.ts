// Kernel source as text, in particular index arithmetic. On a GPU a division is not correctly rounded, and GPU.js keeps
// named values as float32, so `i / n` and `const i` are wrong for large i without an error. All code that computes a
// position therefore uses this file: division with an offset of one half while the dividend is small, exact integer
// helpers above that, and no named variable for a value that float32 cannot represent.

import type { Helper } from './engine.ts'

/** Below this, Math.floor((i + 0.5) / n) is exact on every device that divides to within 2.5 units. */
const HALF_STEP = 2 ** 20
/** Below this, float32 represents every integer, so a position may be a named variable. */
const EXACT = 2 ** 24

/** A non-negative integer in a kernel. */
export interface Index {
  readonly text: string
  /** its largest value */
  readonly max: number
}

const integers = (n: number) => ({ argumentTypes: new Array<string>(n).fill('Integer'), returnType: 'Integer' })
const floats = (n: number) => ({ argumentTypes: new Array<string>(n).fill('Float'), returnType: 'Float' })

/** Exact integer arithmetic. These helpers call no other helper, which WebGL requires. */
const integerHelpers: readonly Helper[] = [
  { source: 'function mulAdd(a,b,c){ return a*b+c; }', settings: integers(3) },
  { source: 'function mulSub(a,b,c){ return c-a*b; }', settings: integers(3) },
  { source: 'function add2(a,b){ return a+b; }', settings: integers(2) },
  { source: 'function bound(n){ return n; }', settings: integers(1) },
  { source: 'function divEst(i,n){ return Math.floor(i/n); }', settings: integers(2) },
  {
    source: 'function divFix(i,n,q){ if (q*n > i) { return q-1; } if (q*n+n <= i) { return q+1; } return q; }',
    settings: integers(3),
  },
]

/**
 * Functions that GPUs lack or compute inaccurately: tanh overflows, expm1 and log1p cancel, sin and cos are accurate to
 * 2⁻¹¹ only, atan too, pow loses the sign of its base, and the last digits of integers.
 */
const mathHelpers: readonly Helper[] = [
  {
    // Taylor below 0.3, where the quotient would cancel
    source: `function stableTanh(x){ const z=Math.min(Math.abs(x),20.0); const s=x*x;
      if (z<0.3) { return x*(1.0-s*(0.33333333-s*(0.13333333-s*(0.053968254-s*0.021869488)))); }
      const y=1.0-2.0/(Math.exp(2.0*z)+1.0); return x<0.0?0.0-y:y; }`,
    settings: floats(1),
  },
  {
    source: `function stableExpm1(x){
      if (Math.abs(x)>0.5) { return Math.exp(x)-1.0; }
      return x*(1.0+x*0.5*(1.0+x*0.33333333*(1.0+x*0.25*(1.0+x*0.2*(1.0+x*0.16666667*(1.0+x*0.14285714*(1.0+x*0.125))))))); }`,
    settings: floats(1),
  },
  {
    // a shader computes the logarithm of 0 as that of the smallest number, and others for negative numbers and NaN
    source: `function logarithm(x){ if (x>0.0) { return Math.log(x); } if (x===0.0) { return 0.0-1.0/Math.abs(x); } return Math.sqrt(x); }`,
    settings: floats(1),
  },
  {
    source: `function logarithm2(x){ if (x>0.0) { return Math.log2(x); } if (x===0.0) { return 0.0-1.0/Math.abs(x); } return Math.sqrt(x); }`,
    settings: floats(1),
  },
  {
    // a polynomial below tan(π/8), to which the argument is reduced, after Cephes' atanf
    source: `function arcTangent(x){ const a=Math.abs(x);
      const base=a>2.41421356?1.57079633:(a>0.41421356?0.78539816:0.0);
      const t=a>2.41421356?0.0-1.0/a:(a>0.41421356?(a-1.0)/(a+1.0):a); const z=t*t;
      const y=base+((((0.0805374450*z-0.138776856)*z+0.199777106)*z-0.333329492)*z*t+t);
      return x<0.0?0.0-y:y; }`,
    settings: floats(1),
  },
  {
    // y times the powers of two that are in x are subtracted, each without rounding
    source: `function truncatedRest(x,y){ const b=Math.abs(y); let r=Math.abs(x);
      if (r<b) { return x; }
      if (b===0.0||r>3.4028234e38) { return r/b*0.0; }
      if (r>=b) {
        let s=b;
        for (let i=0;i<280;i++) { if (s>r*0.5) { break; } s=s*2.0; }
        for (let j=0;j<280;j++) { if (r>=s) { r=r-s; } if (s<=b) { break; } s=s*0.5; }
        return x<0.0?0.0-r:r;
      }
      return x*y; }`,
    settings: floats(2),
  },
  {
    // 2 atanh(x / (2 + x)) near 0
    source: `function stableLog1p(x){
      if (x===-1.0) { return 0.0-1.0/(1.0+x); }
      if (x<-1.0) { return Math.sqrt(1.0+x); }
      if (Math.abs(x)>0.4) { return Math.log(1.0+x); }
      const z=x/(2.0+x); const s=z*z;
      return 2.0*z*(1.0+s*(0.33333333+s*(0.2+s*(0.14285714+s*(0.11111111+s*0.09090909))))); }`,
    settings: floats(1),
  },
  {
    // Abramowitz and Stegun 7.1.26; Taylor near 0
    source: `function errorFunction(x){ const z=Math.abs(x); const s=x*x;
      if (z<0.5) { return 1.12837917*x*(1.0-s*(0.33333333-s*(0.1-s*(0.023809524-s*(0.0046296296-s*0.00075757576))))); }
      const t=1.0/(1.0+0.3275911*z);
      const p=t*(0.254829592+t*(t*(1.421413741+t*(1.061405429*t-1.453152027))-0.284496736));
      const y=1.0-p*Math.exp(0.0-Math.min(s,80.0)); return x<0.0?0.0-y:y; }`,
    settings: floats(1),
  },
  {
    // Φ(x) from its tail on both sides: that of the cpu device far from zero
    source: `function normalCdf(x){ const z=Math.min(Math.abs(x),20.0); const u=1.0/(1.0+0.4*0.70710678*z);
      const p=u*(0.22563423+u*(0.22644311+u*(0.20188758+u*(0.19339326+u*(0.07975638+u*(0.0879645+u*(0.08398715+u*(0.041253027*u-0.14031917))))))));
      const t=0.5*p*Math.exp(0.0-0.5*z*z); return x<0.0?t:1.0-t; }`,
    settings: floats(1),
  },
  {
    // from e^-|x|, which does not overflow
    source: `function stableSigmoid(x){ const e=Math.exp(0.0-Math.abs(x)); return x<0.0?e/(1.0+e):1.0/(1.0+e); }`,
    settings: floats(1),
  },
  {
    // reduction by π/2 in three parts and two polynomials, after Cephes' sinf; shift 0 is sine, 1 cosine
    source: `function sineOf(x,shift){ const k=Math.floor(x*0.63661977+0.5);
      const r=((x-k*1.5703125)-k*0.0004837513)-k*0.0000000754979;
      const q=k+shift; const m=q-4.0*Math.floor(q*0.25); const s=r*r;
      const sine=r+r*s*(s*(0.0083321609-s*0.00019515296)-0.16666655);
      const cosine=1.0-0.5*s+s*s*(0.041666646+s*(s*0.000024433157-0.0013887316));
      if (m<0.5) { return sine; } if (m<1.5) { return cosine; } if (m<2.5) { return 0.0-sine; } return 0.0-cosine; }`,
    settings: floats(2),
  },
  {
    source: `function powerOf(x,y){
      if (y===0.0) { return 1.0; } if (y===1.0) { return x; } if (y===2.0) { return x*x; } if (y===3.0) { return x*x*x; }
      if (x===0.0) { return y>0.0?0.0:1.0/x; }
      if (x>0.0) { return Math.pow(x,y); }
      const half=y*0.5; if (Math.floor(y)!==y) { return Math.sqrt(x); }
      const p=Math.pow(0.0-x,y); return Math.floor(half)===half?p:0.0-p; }`,
    settings: floats(2),
  },
  {
    // by repeated squaring: a GPU's 5⁴ is 624.99994, and integers are truncated
    source: `function wholePower(x,y){
      if (y<0.0) { if (Math.abs(x)!==1.0) { return 0.0; } }
      let base=x; let left=Math.abs(y); let r=1.0;
      for (let i=0;i<31;i++) {
        const half=Math.floor(left*0.5); if (left-2.0*half>0.5) { r=r*base; }
        base=base*base; left=half; }
      return r; }`,
    settings: floats(2),
  },
]

const helpers = [...integerHelpers, ...mathHelpers].map(helper => ({
  helper,
  call: new RegExp(`\\b${/function (\w+)/.exec(helper.source)![1]}\\(`),
}))

/** The helpers that a kernel source calls. */
export const helpersIn = (source: string): Helper[] =>
  helpers.filter(({ call }) => call.test(source)).map(({ helper }) => helper)

/** The index of the thread, below n. */
export const thread = (n: number): Index => ({ text: 'this.thread.x', max: n - 1 })

/** A number of elements by which positions are multiplied: a stride, usually. */
export interface SizeFactor {
  readonly n: number
  /** its size, without the sign */
  readonly text: string
}

/** The statements of a kernel's body, in order. */
export class Code {
  readonly lines: string[] = []
  /** the values of the Integer arguments d0, d1, … */
  readonly sizes: number[] = []
  /** whether sizes are arguments, so that the text is the same for all sizes */
  readonly shared: boolean
  #names = 0

  constructor(shared = false) {
    this.shared = shared
  }

  /** Adds a statement. */
  add(line: string): void {
    this.lines.push(line)
  }

  /** An integer that depends on shapes: an argument of a shared kernel, otherwise a constant. */
  size(n: number): string {
    return this.shared ? `d${this.sizes.push(n) - 1}` : `${n}`
  }

  /**
   * The number of passes of a loop that counts from a constant. GPU.js gives a loop a second counter if an argument bounds
   * it, but not if a function does.
   */
  passes(n: number): string {
    return this.shared ? `bound(${this.size(n)})` : `${n}`
  }

  /** Whether the text needs a part that runs `n` times: that of a shared kernel always has it. */
  needs(n: number): boolean {
    return this.shared || n > 0
  }

  /** A stride. 0 and 1 are part of the text. */
  factor(n: number): SizeFactor {
    const size = Math.abs(n)
    return { n, text: size < 2 ? `${size}` : this.size(size) }
  }

  /** A variable for a value, if float32 can represent it; otherwise its expression. */
  name(i: Index): Index {
    if (i.max >= EXACT) return i
    const name = `i${this.#names++}`
    this.add(`const ${name}=${i.text};`)
    return { text: name, max: i.max }
  }

  /** The coordinates of position i in a row-major shape. */
  coordinates(i: Index, shape: readonly number[]): Index[] {
    let rest = this.name(i)
    return shape.map((size, axis) => {
      if (size === 1) return { text: '0', max: 0 }
      const inner = shape.slice(axis + 1).reduce((product, n) => product * n, 1)
      if (inner === 1) return rest
      const divisor = this.size(inner)
      const coordinate = this.name({ text: quotient(rest, divisor), max: Math.floor(rest.max / inner) })
      rest = this.name({ text: remainder(rest, coordinate, divisor), max: inner - 1 })
      return coordinate
    })
  }

  /**
   * Σ coordinate · stride + start as an integer, for reading an array there.
   * @param start name of an Integer argument, or nothing
   */
  position(coordinates: readonly Index[], strides: readonly number[], start?: string): string {
    const terms = coordinates
      .map((coordinate, i) => ({ ...coordinate, stride: strides[i] }))
      .filter(({ stride, max }) => stride !== 0 && max > 0)
      .map(({ text, max, stride }) => ({ text, max, factor: this.factor(stride) }))
    const reach = terms.reduce((sum, { max, factor }) => sum + max * Math.abs(factor.n), 0)
    if (reach < EXACT) {
      const sum = terms
        .map(({ text, factor }, i) => {
          const sign = factor.n < 0 ? (i === 0 ? '0-' : '-') : i === 0 ? '' : '+'
          return Math.abs(factor.n) === 1 ? `${sign}${text}` : `${sign}${text}*${factor.text}`
        })
        .join('')
      if (start === undefined) return sum || '0'
      return sum === '' ? start : `add2(${sum},${start})`
    }
    return terms.reduce((rest, { text, factor }) => along(rest, text, factor), start ?? '0')
  }

  /** The same as a variable if that is exact, for use inside a loop. */
  base(coordinates: readonly Index[], strides: readonly number[], start?: string): string {
    const reach = coordinates.reduce((sum, { max }, i) => sum + max * Math.abs(strides[i]), 0)
    if (reach >= EXACT) return this.position(coordinates, strides, start)
    const { text } = this.name({ text: this.position(coordinates, strides), max: 0 })
    return start === undefined ? text : `add2(${text},${start})`
  }
}

/** The integer part of i / n. */
function quotient(i: Index, n: string): string {
  if (i.max < HALF_STEP) return `Math.floor((${i.text}+0.5)/${n})`
  const estimate = `divEst(${i.text},${n})`
  const rest = `divEst(mulSub(${estimate},${n},${i.text}),${n})`
  return `divFix(${i.text},${n},add2(${estimate},${rest}))`
}

/** i - q n, which is below n. */
const remainder = (i: Index, q: Index, n: string): string =>
  i.max < EXACT ? `${i.text}-${q.text}*${n}` : `mulSub(${q.text},${n},${i.text})`

/** base + step · stride, for reading along a loop. */
export function along(base: string, step: string, { n, text }: SizeFactor): string {
  if (n === 0) return base
  return n > 0 ? `mulAdd(${step},${text},${base})` : `mulSub(${step},${text},${base})`
}

/**
 * Axes of several strided views of one shape, with axes of size one dropped and contiguous axes joined.
 * @param separate axes that are not joined
 * @returns axes: the start of each joined axis
 */
export function joinAxes(
  shape: readonly number[],
  views: readonly (readonly number[])[],
  separate: (axis: number) => boolean = () => false,
): { shape: number[]; strides: number[][]; axes: number[] } {
  const joined: number[] = []
  const axes: number[] = []
  const strides: number[][] = views.map(() => [])
  let open = false
  shape.forEach((n, axis) => {
    if (n === 1 && !separate(axis)) return
    const last = joined.length - 1
    if (open && !separate(axis) && views.every((v, i) => strides[i][last] === v[axis] * n)) {
      joined[last] *= n
      views.forEach((v, i) => {
        strides[i][last] = v[axis]
      })
    } else {
      joined.push(n)
      axes.push(axis)
      views.forEach((v, i) => void strides[i].push(v[axis]))
    }
    open = !separate(axis)
  })
  return { shape: joined, strides, axes }
}
