/** What the ledger's callers were told, in Jepsen's shape: for judges that are not ours, such as elle-cli and porcupine. One operation a line, as JSON. */

import { writeFile } from 'node:fs/promises'
import type { LedgerEntry } from './ledger-child.ts'

interface Operation {
  readonly index: number
  readonly process: number
  readonly type: 'invoke' | 'ok' | 'fail' | 'info'
  readonly f: 'add'
  readonly value: string
  /** Nanoseconds. */
  readonly time: number
}

/** What is in the table at the end. */
interface Look extends Omit<Operation, 'f' | 'value'> {
  readonly f: 'read'
  readonly value: readonly string[] | null
}

/** Jepsen's words: `fail` certainly did not happen; of `info` it cannot be known. */
function typeOf({ told }: LedgerEntry): Operation['type'] {
  if (told === 'ok' || told === 'executed') return 'ok'
  return told === 'not-executed' ? 'fail' : 'info'
}

/** Each call is a process of its own: Jepsen's may have one operation under way. Then what is in the table, as one read. */
export function historyOf(entries: readonly LedgerEntry[], stored: readonly string[]): readonly (Operation | Look)[] {
  // From the first call on: nanoseconds since the epoch are more than a number of JavaScript holds.
  const origin = entries.reduce((least, { began }) => Math.min(least, began), Number.POSITIVE_INFINITY)
  const calls = entries
    .filter(({ kind }) => kind !== 'read' && kind !== 'rows')
    .flatMap((entry, process) => {
      const both = { process, f: 'add', value: entry.token } as const
      return [
        { ...both, type: 'invoke', time: (entry.began - origin) * 1e6 } as const,
        { ...both, type: typeOf(entry), time: (entry.began - origin + entry.millis) * 1e6 } as const,
      ]
    })
    .sort((one, other) => one.time - other.time)
  const last = { process: entries.length, f: 'read' } as const
  const time = (calls.at(-1)?.time ?? 0) + 1e6
  const look = [{ ...last, type: 'invoke', value: null, time } as const, { ...last, type: 'ok', value: stored, time: time + 1e6 } as const]
  return [...calls, ...look].map((operation, index) => ({ index, ...operation }))
}

export async function writeHistory(file: string, entries: readonly LedgerEntry[], stored: readonly string[]): Promise<void> {
  await writeFile(
    file,
    `${historyOf(entries, stored)
      .map((operation) => JSON.stringify(operation))
      .join('\n')}\n`,
  )
}
