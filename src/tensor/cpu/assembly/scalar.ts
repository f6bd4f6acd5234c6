// Rarely used functions, one element at a time: JavaScript's own, which engines call directly.

@external('math', 'sin')
export declare function sin(x: f64): f64

@external('math', 'cos')
export declare function cos(x: f64): f64

@external('math', 'atan')
export declare function atan(x: f64): f64

@external('math', 'log2')
export declare function log2(x: f64): f64

@external('math', 'log10')
export declare function log10(x: f64): f64

@external('math', 'log')
export declare function log(x: f64): f64

@external('math', 'pow')
export declare function pow(x: f64, y: f64): f64
