// The parts of a model, by which gradients are checked and mistakes in them named.

/** The part that a parameter belongs to: a numbered block, such as encoder.blocks.0, or a field of the model, such as logScale. */
export const partOf = (name: string): string => /^(.*?\.\d+)\./.exec(name)?.[1] ?? name.split('.')[0]
