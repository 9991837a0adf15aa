/** The files of this repository that its rules speak of. */

import { glob, readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'

/** The repository's folder, with a slash at its end. */
export const ROOT: string = fileURLToPath(new URL('../../', import.meta.url))

/** The files that match, by their paths below the repository's folder, sorted. What is installed or built does not count. */
export async function find(...patterns: string[]): Promise<string[]> {
  const exclude = ['**/node_modules/**', '**/dist/**', '**/.next/**', 'docs/api/**']
  const paths: string[] = []
  for await (const path of glob(patterns, { cwd: ROOT, exclude })) paths.push(path)
  return paths.sort()
}

export function read(path: string): Promise<string> {
  return readFile(ROOT + path, 'utf8')
}
