/** What the names in a recording mean, in words for people who have never heard of any of this. */

import type { RecordedCall, RecordedDecision } from '../record/recording.ts'
import type { BlowKind, TroubleKind } from '../record/witness.ts'

/** A duration as a person would say it. */
export function showMillis(millis: number): string {
  const size = Math.abs(millis)
  if (size < 999.5) return `${Number(millis.toFixed(size < 9.95 ? 1 : 0))} ms`
  return `${Number((millis / 1_000).toFixed(size < 10_000 ? 2 : 1))} s`
}

/** What was done to so many connections, as a sentence without its end. */
export const BLOWS: Readonly<Record<BlowKind, (connections: string) => string>> = {
  fin: (connections) => `${connections} closed from the other side (FIN)`,
  rst: (connections) => `${connections} reset (RST)`,
  'fin-on-next-byte': (connections) => `${connections} forgotten by the network, which says so only at the next byte (FIN)`,
  'rst-on-next-byte': (connections) => `${connections} forgotten by the network, which says so only at the next byte (RST)`,
  drop: (connections) => `${connections} forgotten by the network, which never says so`,
  away: (connections) => `${connections} closed by a database that went away`,
  terminated: (connections) => `${connections} ended by the server`,
  restarted: (connections) => `${connections} ended by a restart of the server`,
  'lost-request': (connections) => `${connections} broken under a statement that had not reached the server yet`,
  'lost-answer': (connections) => `${connections} broken after the server had executed the statement and before its answer arrived`,
}

/** The same in two or three words, for the picture. */
export const BLOW_LABELS: Readonly<Record<BlowKind, string>> = {
  fin: 'closed',
  rst: 'reset',
  'fin-on-next-byte': 'forgotten',
  'rst-on-next-byte': 'forgotten',
  drop: 'silently lost',
  away: 'closed',
  terminated: 'ended',
  restarted: 'ended',
  'lost-request': 'request lost',
  'lost-answer': 'answer lost',
}

/** What was wrong for a while: for the picture, and as a sentence without its end. */
export const TROUBLES: Readonly<Record<TroubleKind, { readonly label: string; readonly sentence: string }>> = {
  refusing: { label: 'database refuses', sentence: 'New connections were refused' },
  deaf: { label: 'database is deaf', sentence: 'New connections were accepted and never answered' },
  restarting: { label: 'server restarts', sentence: 'The server was restarting' },
  locked: { label: 'a lock holds the statements', sentence: 'A lock held the statements' },
  nameless: { label: 'name does not resolve', sentence: 'The name of the database did not resolve' },
}

/** What a call wanted. */
export const ACTIONS: Readonly<Record<RecordedCall['action'], string>> = {
  read: 'read the latest orders',
  place: 'store an order',
  'place-all': 'store an order of two lines in a transaction',
}

/** What the pool says that it did, in the order in which it is shown. An event that is not here is shown by its name alone. */
export const DECISIONS: Readonly<Record<string, string>> = {
  thawed: 'saw from its clocks that the process had been frozen',
  socketsPolled: 'polled the sockets of the idle connections for what the kernel already knew',
  probed: 'probed a connection, and waited for the reply',
  stale: 'found an idle connection dead or too old, and threw it away',
  retried: 'tried something again that certainly had no effect the first time',
  connected: 'made a new connection',
  acquired: 'handed a connection to a call',
  outcome: 'decided what to do about a statement whose connection broke',
  sessionLost: 'lost a connection on which the caller had set something up',
  drained: 'closed the pool',
}

/** Good news, bad news, or neither: shown by a shape as well as a colour. */
export type Tone = 'good' | 'bad' | 'plain'

/** Bad is a connection or a statement that was lost, however well that was dealt with. */
export function toneOf({ type, fields }: RecordedDecision): Tone {
  if (type === 'stale' || type === 'sessionLost' || fields['alive'] === false || fields['outcome'] === 'unknown') return 'bad'
  return type === 'connected' || type === 'acquired' || fields['alive'] === true ? 'good' : 'plain'
}

/** `alive: false, took 501 ms`: the fields of an event, whatever they are. Times end in `Millis`. */
export function describeFields(fields: RecordedDecision['fields']): string {
  return Object.entries(fields)
    .map(([name, value]) =>
      name.endsWith('Millis') && typeof value === 'number' ? `${name.slice(0, -6)} ${showMillis(value)}` : `${name}: ${value}`,
    )
    .join(', ')
}

/** The words that the page uses, in the order in which they are needed. */
export const GLOSSARY: readonly (readonly [word: string, meaning: string])[] = [
  [
    'freeze, thaw',
    'The platform stops a process that has nothing to do, completely: no timer runs, no message is read. Later it lets it go on.',
  ],
  ['connection', 'A line from the process to the database, kept open because making one takes time. It can die unnoticed.'],
  ['pool', 'Keeps the open connections and hands one to each call.'],
  ['call', 'One request to the program under test, a small order API. It needs the database to answer.'],
  ['FIN, RST', 'How the other end says that a connection is over: politely, or rudely. Some networks say nothing at all.'],
  [
    'dead, unnoticed',
    'The connection is gone, and the process has not been told or has not looked. A call that uses it now fails or waits.',
  ],
  ['health check', 'Thaw checks a connection when a call acquires it, and not in the background, which a frozen process could not do.'],
  ['poll the sockets', 'Let the kernel deliver what it already knows: which sockets are closed. Takes microseconds and no round trip.'],
  [
    'suspect',
    'A connection that has to prove itself before it is handed out: it was silent for too long, or one of its siblings has died.',
  ],
  ['probe', 'A question of five bytes to the database: are you there? With a limit for the answer.'],
  ['stale', 'A connection that was found dead or too old, and was thrown away.'],
  ['connect', 'To open a new connection.'],
  ['retry', 'A second try of what certainly had no effect: a connection attempt that failed, or a statement of which no byte had left.'],
  ['outcome', 'What became of a statement that was sent before its connection broke: executed, not executed, or unknown to this side.'],
  ['crash', 'An error that no code could catch. It would have ended the process with all calls in it; the lab lets it go on and counts.'],
]
