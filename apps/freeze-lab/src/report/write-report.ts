/** Puts the report, and the picture, into their files. */

import { mkdir, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { LabResult } from '../lab.ts'
import { LabError } from '../lab-error.ts'
import { renderPage } from './page.ts'
import { renderPicture } from './picture.ts'

/** Writes the page to `file`, whose folder is made if need be. Throws a {@link LabError} if that is not possible. */
export async function writeReport(result: LabResult, file: string): Promise<void> {
  await write(renderPage(result), file, 'The report cannot be written', 'Name another file with --report, or use --no-report.')
}

/** Writes the picture of the run to `file`, in the same way. */
export async function writePicture(result: LabResult, file: string): Promise<void> {
  await write(renderPicture(result) ?? '', file, 'The picture cannot be written', 'Name another file with --picture.')
}

async function write(text: string, file: string, failure: string, advice: string): Promise<void> {
  try {
    await mkdir(dirname(file), { recursive: true })
    await writeFile(file, text)
  } catch (cause) {
    const { message } = cause as Error
    throw new LabError(`${failure}: ${message}. ${advice}`, { cause })
  }
}
