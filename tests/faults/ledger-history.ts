/** What the ledger's callers were told, in Jepsen's shape: for judges that are not ours, such as elle-cli and porcupine. One operation a line, as JSON. */

import { writeFile } from 'node:fs/promises'
import type { LedgerEntry } from './ledger-child.ts'

interface Operation {
  readonly process: number
  readonly type: 'invoke' | 'ok' | 'fail' | 'info'
  readonly f: 'add'
  readonly value: string
  /** Nanoseconds. */
  readonly time: number
}

/** Jepsen's words: `fail` certainly did not happen; of `info` nobody knows. */
function typeOf({ told }: LedgerEntry): Operation['type'] {
  if (told === 'ok' || told === 'executed') return 'ok'
  return told === 'not-executed' ? 'fail' : 'info'
}

/** Each call is a process of its own: Jepsen's may have one operation under way. Then what is in the table, as one read. */
function historyOf(entries: readonly LedgerEntry[], stored: readonly string[]): object[] {
  const calls = entries
    .filter(({ kind }) => kind !== 'read' && kind !== 'rows')
    .flatMap((entry, process): Operation[] => {
      const both = { process, f: 'add', value: entry.token } as const
      return [
        { ...both, type: 'invoke', time: entry.began * 1e6 },
        { ...both, type: typeOf(entry), time: (entry.began + entry.millis) * 1e6 },
      ]
    })
    .sort((one, other) => one.time - other.time)
  const last = { process: entries.length, f: 'read', time: ((calls.at(-1)?.time ?? 0) + 1e6) as number }
  const all = [...calls, { ...last, type: 'invoke', value: null }, { ...last, type: 'ok', value: stored, time: last.time + 1e6 }]
  return all.map((operation, index) => ({ index, ...operation }))
}

export async function writeHistory(file: string, entries: readonly LedgerEntry[], stored: readonly string[]): Promise<void> {
  await writeFile(
    file,
    `${historyOf(entries, stored)
      .map((operation) => JSON.stringify(operation))
      .join('\n')}\n`,
  )
}
