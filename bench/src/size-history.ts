/** How @thaw/pg with core came to its size: the sources of each commit, bundled. */

import { execFileSync } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bundleSources, ROOT } from './bundle.ts'
import type { Comparison } from './scenario.ts'
import { kb } from './size-parts.ts'

/** A line of the table for each step of this size. */
const STEP_BYTES = 5000
const SOURCES = ['packages/core/src', 'packages/pool/src', 'packages/pg/src']

interface Commit {
  readonly id: string
  readonly date: string
  readonly subject: string
}

/** The first commit beyond each further 5 kB, and the last one. Needs the history: `git fetch --unshallow` brings it to a shallow clone. */
export async function compareHistory(progress: (text: string) => void): Promise<Comparison> {
  const commits = commitsOf(SOURCES)
  const rows: string[][] = []
  let next = STEP_BYTES
  for (const [index, commit] of commits.entries()) {
    progress(`history: ${index + 1} of ${commits.length}`)
    const gzipped = await sizeAt(commit)
    const isLast = index === commits.length - 1
    if (gzipped === undefined || (gzipped < next && !isLast)) continue
    rows.push([commit.date, commit.subject.replaceAll('|', '\\|'), kb(gzipped)])
    next = Math.max(next, (Math.floor(gzipped / STEP_BYTES) + 1) * STEP_BYTES)
  }
  return { columns: ['date', 'with this commit', 'gzipped'], rows }
}

function commitsOf(paths: readonly string[]): Commit[] {
  const lines = git('log', '--first-parent', '--reverse', '--format=%H %cs %s', '--', ...paths)
    .trim()
    .split('\n')
  return lines.map((line) => {
    const [id = '', date = '', ...subject] = line.split(' ')
    return { id, date, subject: subject.join(' ') }
  })
}

/** Undefined: its sources do not build. */
async function sizeAt({ id }: Commit): Promise<number | undefined> {
  const folder = await mkdtemp(join(tmpdir(), 'thaw-size-'))
  try {
    const archive = execFileSync('git', ['archive', id, 'packages'], { cwd: ROOT, maxBuffer: 2 ** 28 })
    execFileSync('tar', ['-x', '-C', folder], { input: archive })
    return (await bundleSources(folder)).gzipped
  } catch {
    return undefined
  } finally {
    await rm(folder, { recursive: true })
  }
}

function git(...args: string[]): string {
  return execFileSync('git', args, { cwd: ROOT, encoding: 'utf8', maxBuffer: 2 ** 26 })
}
