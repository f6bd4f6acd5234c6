// The files of a drop.

/** The files that were dropped, and of a folder those that lie directly in it. */
export async function droppedFiles(transfer: DataTransfer | null): Promise<File[]> {
  // the transfer is empty after the first wait
  const entries = Array.from(transfer?.items ?? [], item => item.webkitGetAsEntry())
  const folders = entries.filter(entry => entry !== null).filter(isFolder)
  const names = new Set(folders.map(({ name }) => name))
  const files = [...(transfer?.files ?? [])].filter(({ name }) => !names.has(name))
  return [...files, ...(await Promise.all(folders.map(filesOf))).flat()]
}

const isFolder = (entry: FileSystemEntry): entry is FileSystemDirectoryEntry => entry.isDirectory

async function filesOf(folder: FileSystemDirectoryEntry): Promise<File[]> {
  const reader = folder.createReader()
  const found: FileSystemEntry[] = []
  // each call gives a part of the entries, and the last one none
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject))
    if (some.length === 0) break
    found.push(...some)
  }
  const files = found.filter((entry): entry is FileSystemFileEntry => entry.isFile)
  return Promise.all(files.map(entry => new Promise<File>((resolve, reject) => entry.file(resolve, reject))))
}
