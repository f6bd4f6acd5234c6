// Compiles the kernels of the cpu device, src/tensor/cpu/assembly/, for memory with 32-bit or 64-bit addresses, and the filters of
// pictures, src/data/images/assembly/. AssemblyScript's command line compiles for 32 bits only, so this calls its compiler, which
// knows both.
//
// JavaScript passes a 64-bit integer as a BigInt, which is slow. In the 64-bit module every address that crosses the border to
// JavaScript is therefore a float64, which holds integers up to 2⁵³: a function with addresses is exported, and imported, through
// another one that converts them.

import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import * as compiler from 'assemblyscript'
import { libraryFiles, libraryPrefix } from 'assemblyscript/asc'
import binaryen from 'assemblyscript/binaryen'

const root = fileURLToPath(new URL('..', import.meta.url))

/** The programs, and whether a memory is given to them, which threads share. */
const programs = {
  cpu: { entry: 'src/tensor/cpu/assembly/index', isShared: true },
  filters: { entry: 'src/data/images/assembly/index', isShared: false },
} as const

/** The path of the compiler. */
export const compilerFile = `${root}node_modules/assemblyscript/dist/assemblyscript.js`

export interface CompileOptions {
  readonly program: keyof typeof programs
  /** bits of an address */
  readonly addresses: 32 | 64
  /** a product plus a sum is one instruction */
  readonly relaxed: boolean
  /** 0: quick to compile; 2: quick to run */
  readonly optimization: 0 | 2
}

export interface Compiled {
  readonly binary: Uint8Array
  /** the signatures of its exports, one per line */
  readonly signatures: string
}

/** Pages of 64 KiB: 4 GiB with 32-bit addresses, 16 GiB with 64-bit ones, which engines have as their limit. */
const MOST_PAGES = { 32: 65_536, 64: 262_144 } as const
const FEWEST_PAGES = 64

/** Every error of the compiler, as text. */
function checkDiagnostics(program: ReturnType<typeof compiler.newProgram>): void {
  const found: string[] = []
  for (let next = compiler.nextDiagnostic(program); next; next = compiler.nextDiagnostic(program))
    if (compiler.isError(next)) found.push(compiler.formatDiagnostic(next, false, true))
  if (found.length > 0) throw new Error(found.join('\n'))
}

/** Declares the memory with 64-bit addresses, and lets addresses cross the border to JavaScript as float64. */
function withFloatAddresses(module: binaryen.Module): void {
  const { i64, f64, none } = binaryen
  const outside = (type: binaryen.Type) => (type === i64 ? f64 : type)
  const isAddressed = (types: readonly binaryen.Type[]) => types.includes(i64)
  const toFloat = (value: binaryen.ExpressionRef, type: binaryen.Type) =>
    type === i64 ? module.f64.convert_s.i64(value) : value
  const toAddress = (value: binaryen.ExpressionRef, type: binaryen.Type) =>
    type === i64 ? module.i64.trunc_s.f64(value) : value

  const functions = Array.from({ length: module.getNumFunctions() }, (_, i) =>
    binaryen.getFunctionInfo(module.getFunctionByIndex(i)),
  )
  for (const { name, module: from, base, params, results } of functions) {
    const types = binaryen.expandType(params)
    if (!from || !base || !isAddressed([...types, results])) continue
    const inner = `${name}|float`
    module.removeFunction(name)
    module.addFunctionImport(inner, from, base, binaryen.createType(types.map(outside)), outside(results))
    const values = types.map((type, i) => toFloat(module.local.get(i, type), type))
    const called = module.call(inner, values, outside(results))
    module.addFunction(name, params, results, [], results === none ? called : toAddress(called, results))
  }

  const exports = Array.from({ length: module.getNumExports() }, (_, i) =>
    binaryen.getExportInfo(module.getExportByIndex(i)),
  )
  for (const { name, value, kind } of exports) {
    if (kind !== binaryen.ExternalFunction) continue
    const { params, results } = binaryen.getFunctionInfo(module.getFunction(value))
    const types = binaryen.expandType(params)
    if (isAddressed([...types, results])) {
      const values = types.map((type, i) => toAddress(module.local.get(i, outside(type)), type))
      const outer = `${value}|float`
      const body = toFloat(module.call(value, values, results), results)
      module.addFunction(outer, binaryen.createType(types.map(outside)), outside(results), [], body)
      module.removeExport(name)
      module.addFunctionExport(outer, name)
    } else {
      // in the order of the 32-bit module: a thread finds a kernel by its number
      module.removeExport(name)
      module.addFunctionExport(value, name)
    }
  }

  if (module.emitText().includes('(data ')) throw new Error('the kernels have data of their own, which would be lost')
  module.setFeatures(module.getFeatures() | binaryen.Features.Memory64)
  module.setMemory(FEWEST_PAGES, MOST_PAGES[64], null, [], true, true, '0')
  module.addMemoryImport('0', 'env', 'memory', true)
  if (!module.validate()) throw new Error('the module for 64-bit addresses is not valid')
}

export function compileKernels({ program: name, addresses, relaxed, optimization }: CompileOptions): Compiled {
  const { entry, isShared } = programs[name]
  const options = compiler.newOptions()
  compiler.setTarget(options, addresses === 64 ? 2 : 0)
  // nothing is allocated by the runtime
  compiler.setRuntime(options, 0)
  compiler.setNoAssert(options, true)
  compiler.setUncheckedBehavior(options, 2)
  compiler.setImportMemory(options, isShared)
  compiler.setExportMemory(options, !isShared)
  compiler.setInitialMemory(options, isShared ? FEWEST_PAGES : 1)
  compiler.setMaximumMemory(options, MOST_PAGES[32])
  compiler.setSharedMemory(options, isShared)
  compiler.setBindingsHint(options, true)
  compiler.setOptimizeLevelHints(options, optimization, 0)
  compiler.setFeature(options, compiler.FEATURE_SIMD, true)
  if (isShared) compiler.setFeature(options, compiler.FEATURE_THREADS, true)
  if (relaxed) compiler.setFeature(options, compiler.FEATURE_RELAXED_SIMD, true)
  const program = compiler.newProgram(options)
  for (const [name, text] of Object.entries(libraryFiles))
    if (!name.includes('/')) compiler.parse(program, text, `${libraryPrefix}${name}.ts`, false)
  const runtime = 'rt/index-stub'
  compiler.parse(program, libraryFiles[runtime], `${libraryPrefix}${runtime}.ts`, true)
  compiler.parse(program, readFileSync(`${root}${entry}.ts`, 'utf8'), `${entry}.ts`, true)
  for (let next = compiler.nextFile(program); next; next = compiler.nextFile(program)) {
    const name = next.startsWith(libraryPrefix) ? next.slice(libraryPrefix.length) : undefined
    const [path] = [`${next}.ts`, `${next}/index.ts`].filter(each => existsSync(root + each))
    if (name !== undefined) compiler.parse(program, libraryFiles[name], `${next}.ts`, false)
    else compiler.parse(program, readFileSync(root + path, 'utf8'), path, false)
  }
  checkDiagnostics(program)
  compiler.initializeProgram(program)
  const made = compiler.compile(program)
  checkDiagnostics(program)
  const module = binaryen.wrapModule(compiler.getBinaryenModuleRef(made))
  if (addresses === 64) withFloatAddresses(module)
  compiler.optimize(made, optimization, 0, false, true)
  const declarations = compiler.buildTSD(program, false)
  const found = [...declarations.matchAll(/export function (\w+)(\(.*\)): (\w+);/g)]
  const signatures = found.map(([, name, parameters, result]) => `  ${name}${parameters}: ${result}\n`).join('')
  const binary = module.emitBinary()
  module.dispose()
  return { binary, signatures }
}

// in a process of its own, so that several modules are compiled at a time
if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { binary, signatures } = compileKernels(JSON.parse(process.argv[2]) as CompileOptions)
  process.stdout.write(JSON.stringify({ code: Buffer.from(binary).toString('base64'), signatures }))
}
