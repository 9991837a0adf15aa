import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { LabError } from '../lab-error.ts'
import { renderPage } from './page.ts'
import { RECORDED_RUN } from './recorded-run.ts'
import { writeReport } from './write-report.ts'

test('the report is the page, in a folder that is made for it; a place that cannot be written to is named', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'freeze-lab-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const file = join(folder, 'new', 'report.html')
  await writeReport(RECORDED_RUN, file)
  expect(await readFile(file, 'utf8')).toBe(renderPage(RECORDED_RUN))
  const refused = writeReport(RECORDED_RUN, join(file, 'report.html'))
  await expect(refused).rejects.toThrow(LabError)
  await expect(refused).rejects.toThrow(/cannot be written: .*report\.html.*--report/)
})
