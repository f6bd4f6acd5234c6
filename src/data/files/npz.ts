// NumPy's archive of several arrays (`np.savez`, `np.savez_compressed`): a zip file with a .npy file for each.
// Format: https://numpy.org/doc/stable/reference/generated/numpy.savez.html

import { inflateMember, type NpyArray, parseNpy, readZip, ZipError } from '../../io/index.ts'
import { type FileSource, opened, refusalOf } from './source.ts'

/** The most bytes of all arrays together. */
const LARGEST = 2 ** 31

/**
 * Reads all arrays of an .npz file, by name: columns of a DataLoader if their first axes are equal.
 *
 *     const { x, y } = await readNpz('digits.npz')
 *
 * @param source a path or the bytes of the file
 * @returns arrays of the types that they have; 64-bit integers, NumPy's default, as int32
 * @throws DataError naming the file and the array: for a damaged archive, arrays of another type (float16, texts, objects), and more
 *   than 2 GiB
 */
export async function readNpz(source: FileSource): Promise<Record<string, NpyArray>> {
  const refuse = refusalOf(source)
  try {
    return await opened(source, async ({ read, length }) => {
      const members = [...(await readZip(read, length, true)).values()]
      if (members.length === 0) throw refuse('has no array')
      const total = members.reduce((n, { begin, end, inflated = end - begin }) => n + inflated, 0)
      if (total > LARGEST) throw refuse(`has arrays of ${total} bytes; at most 2 GiB are read`)
      const arrays: [string, NpyArray][] = []
      for (const member of members) {
        if (!member.name.endsWith('.npy')) throw refuse(`has '${member.name}', which is no .npy file`)
        const name = member.name.slice(0, -4)
        arrays.push([name, parseNpy(await inflateMember(read, member), reason => refuse(`array '${name}' ${reason}`))])
      }
      return Object.fromEntries(arrays)
    })
  } catch (error) {
    if (error instanceof ZipError) throw refuse(error.message)
    throw error
  }
}
