// `cocagrad export`: the CoCa or the dual encoder of a run, or of a checkpoint of OpenCLIP, as a folder that OpenCLIP opens.

import { basename, join } from 'node:path'
import { type Command, Option } from 'commander'
import { imagesFor } from '../../evaluate/index.ts'
import { fillFolder, namesIn, readBytes, writeAtomically } from '../../io/index.ts'
import { OPENCLIP_FILES } from '../../openclip/checkpoint.ts'
import { type OpenClipArchitecture, type OpenClipContents, openClip, saveOpenClip } from '../../openclip/index.ts'
import { openRun, RunFolder } from '../../train/index.ts'
import { UsageError } from '../errors.ts'
import {
  architectureOption,
  type DeviceOptions,
  deviceOption,
  examples,
  jsonOption,
  openDevice,
  positiveInteger,
} from '../options.ts'
import { answer } from '../output.ts'

interface ExportFlags extends DeviceOptions {
  readonly out: string
  readonly step?: number
  readonly weights?: 'average' | 'last'
  readonly architecture?: OpenClipArchitecture
  readonly json?: boolean
}

export function addExport(program: Command): void {
  const command = program
    .command('export')
    .description(
      "Write the CoCa or the dual encoder of a run, or of a checkpoint of OpenCLIP, as a folder that OpenCLIP opens: open_clip_config.json, open_clip_model.safetensors and the tokenizer's files.",
    )
    .argument('<model>', 'a run, or the folder or file of a checkpoint of OpenCLIP')
    .requiredOption('--out <folder>', 'the folder to write, which must be new or empty')
    .option('--step <n>', 'of a run: the checkpoint (default: the last)', positiveInteger)
    .addOption(
      new Option(
        '--weights <which>',
        'of a run: the averages of the weights or the last weights (default: the averages, if the run keeps them)',
      ).choices(['average', 'last']),
    )
    .addOption(architectureOption())
    .action(run)
  examples(
    jsonOption(deviceOption(command)),
    'export runs/finetuned --out released',
    'export epoch_10.pt --architecture coca_ViT-B-32 --out released',
  )
}

async function run(path: string, flags: ExportFlags): Promise<void> {
  const { out, json } = flags
  const there: readonly string[] = await namesIn(out).catch(() => [])
  if (there.length > 0) throw new UsageError(`--out ${out}: the folder must be new or empty`)
  await openDevice(flags)
  const opened = await open(path, flags)
  const tokenizers = (opened.tokenizerFiles ?? []).map(file => [file, basename(file)] as const)
  // the configuration is the last file, and a folder without it is not opened
  await fillFolder(out, [...tokenizers.map(([, name]) => name), ...OPENCLIP_FILES], async () => {
    for (const [file, name] of tokenizers) await writeAtomically(join(out, name), await readBytes(file))
    await saveOpenClip(out, opened)
  })
  const result = { folder: out, parameters: opened.model.parameterCount(), files: (await namesIn(out)).sort() }
  const { parameters, files } = result
  answer(json, result, `${out}: ${parameters.toLocaleString('en')} parameters, in ${files.join(', ')}`)
}

interface Exportable extends OpenClipContents {
  /** files that are copied */
  readonly tokenizerFiles?: readonly string[]
}

async function open(path: string, flags: ExportFlags): Promise<Exportable> {
  const { step, weights, architecture } = flags
  const folder = new RunFolder(path)
  if (!(await folder.isRun())) {
    if (step !== undefined) throw new UsageError(`--step ${step} has no effect: ${path} is not a run`)
    if (weights !== undefined) throw new UsageError(`--weights ${weights} has no effect: ${path} is not a run`)
    return openClip(path, { architecture, family: ['coca', 'dual-encoder'] })
  }
  if (architecture !== undefined)
    throw new UsageError(`--architecture ${architecture} has no effect: ${path} is a run, whose architecture is known`)
  const { model, normalize, pixels, tokenizer } = await openRun(path, {
    step,
    weights,
    family: ['coca', 'dual-encoder'],
  })
  const resize = pixels?.endsWith('squash') ? ('squash' as const) : ('shortest' as const)
  const { mean, std } = imagesFor({ model, normalize })
  const preprocessing = { size: model.config.image.size, resize, mean, std }
  return { model, preprocessing, tokenizer }
}
