/** Fresh processes: for what can be measured only once per process. */

import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

/** Runs `source` as an ES module beside this file in a new process, and returns what it printed, as JSON. */
export async function evaluate<Value>(source: string, { nodeArgs = [], env = {} }: ChildOptions = {}): Promise<Value> {
  const args = [...nodeArgs, '--input-type=module', '--eval', source]
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: import.meta.dirname, env: { ...process.env, ...env } })
  return JSON.parse(stdout) as Value
}

export interface ChildOptions {
  readonly nodeArgs?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
}
