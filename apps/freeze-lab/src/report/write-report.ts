/** Puts the report into its file. */

import { mkdir, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { LabResult } from '../lab.ts'
import { LabError } from '../lab-error.ts'
import { renderPage } from './page.ts'

/** Writes the page to `file`, whose folder is made if need be. Throws a {@link LabError} if that is not possible. */
export async function writeReport(result: LabResult, file: string): Promise<void> {
  try {
    await mkdir(dirname(file), { recursive: true })
    await writeFile(file, renderPage(result))
  } catch (cause) {
    const { message } = cause as Error
    throw new LabError(`The report cannot be written: ${message}. Name another file with --report, or use --no-report.`, { cause })
  }
}
