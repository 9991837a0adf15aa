/** What a child process writes, and how it ends. */

import type { ChildProcess } from 'node:child_process'
import { spawnLifeline } from './lifeline.ts'
import { within } from './within.ts'

/** How a process ended: by itself with a code, or by a signal. */
export interface ProcessEnd {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

const OUTPUT_CHARS = 1_000_000
const ERROR_OUTPUT_CHARS = 2_000
// Output may arrive after the end, but a grandchild that inherited the pipe must not keep us waiting.
const OUTPUT_LIMIT_MILLIS = 250

/** Resolves when the child has ended. Until then it dies when we do. */
export async function watchEnd(child: ChildProcess): Promise<ProcessEnd> {
  const cutLifeline = child.pid === undefined ? () => {} : spawnLifeline(child.pid)
  const closed = new Promise((resolve) => child.once('close', resolve))
  const end = await new Promise<ProcessEnd>((resolve) => {
    child.once('exit', (code, signal) => {
      cutLifeline()
      resolve({ code, signal })
    })
    child.once('error', () => child.pid === undefined && resolve({ code: null, signal: null }))
  })
  await within(closed, OUTPUT_LIMIT_MILLIS)
  // Where this process was busy for longer than that, nothing has been read yet: it is in the pipe.
  for (let turn = 0; turn < 3; turn++) await new Promise(setImmediate)
  return end
}

/** Collects what a stream brings. Returns a function that reads it: the last megabyte. */
export function capture(stream: NodeJS.ReadableStream | null): () => string {
  let text = ''
  stream?.setEncoding('utf8').on('data', (more: string) => {
    text = (text + more).slice(-OUTPUT_CHARS)
  })
  return () => text
}

export function describeEnd({ code, signal }: ProcessEnd): string {
  if (signal) return `signal ${signal}`
  return code === null ? 'could not be started' : `code ${code}`
}

/** The end of what a child wrote, for an error message. */
export function quote(stderr: string): string {
  return stderr === '' ? '' : ` It wrote to stderr:\n${stderr.slice(-ERROR_OUTPUT_CHARS)}`
}
