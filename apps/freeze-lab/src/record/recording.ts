/** One round as it was seen from all sides, put on one line of time. Plain data: it goes into the JSON and into the report. */

import type { Flow } from '@thaw/testkit'
import type { Call } from '../call.ts'
import type { InstanceRecord, SocketRecord } from './instance-record.ts'
import { sharedMillis, toShared } from './shared-clock.ts'
import type { Blow, BlowKind, TroubleKind, Witness } from './witness.ts'

/** One call, from request to answer. All times are milliseconds after the thaw; before it they are negative. */
export interface RecordedCall {
  /** `warm-up`: made before anything was done to the instance, and not counted. */
  readonly phase: 'warm-up' | 'counted'
  readonly action: Call['event']['action']
  readonly fromMillis: number
  readonly toMillis: number
  /** `hung`: no answer when the lab gave up. */
  readonly ending: 'answered' | 'failed' | 'hung'
  /** It failed after its statement had been sent: an error is the honest answer. */
  readonly isHonest: boolean
  readonly error?: string
}

/** One connection, or one attempt to make one. */
export interface RecordedConnection {
  readonly dialledMillis: number
  /** Left out: it was never made. */
  readonly openedMillis?: number
  /** When it died, whether the instance knew or not. Left out: it was not killed. */
  readonly diedMillis?: number
  /** What it died of. */
  readonly cause?: BlowKind
  /** When the instance closed it, or learned that it was closed. Left out: not before the end. */
  readonly closedMillis?: number
  /** What the socket said in the end, such as `ECONNRESET`. */
  readonly code?: string
}

/** What was done to the connections, at once. */
export interface RecordedBlow {
  readonly kind: BlowKind
  readonly atMillis: number
  readonly count: number
}

/** From when to when. */
export interface RecordedSpan {
  readonly fromMillis: number
  readonly toMillis: number
}

/** What was wrong with the world for a while. */
export interface RecordedTrouble extends RecordedSpan {
  readonly kind: TroubleKind
}

/** What the pool said that it did. Plain pg says nothing. */
export interface RecordedDecision {
  readonly atMillis: number
  readonly type: string
  readonly fields: Readonly<Record<string, string | number | boolean>>
}

/** An error that no code could catch. */
export interface RecordedCrash {
  readonly atMillis: number
  readonly message: string
}

/** One driver under one fault. */
export interface Recording extends RecordedSpan {
  readonly freezes: readonly RecordedSpan[]
  readonly calls: readonly RecordedCall[]
  readonly connections: readonly RecordedConnection[]
  readonly blows: readonly RecordedBlow[]
  readonly troubles: readonly RecordedTrouble[]
  readonly decisions: readonly RecordedDecision[]
  readonly crashes: readonly RecordedCrash[]
}

/** What a recording is made of. */
export interface RecordingParts {
  readonly warmUps: readonly Call[]
  readonly calls: readonly Call[]
  readonly flows: readonly Flow[]
  readonly witness: Pick<Witness, 'blows' | 'troubles' | 'freezes'>
  readonly instance: InstanceRecord
}

/** Puts everything on one line of time, whose zero is the first thaw, or the first call where there was no freeze. Ends now. */
export function createRecording({ warmUps, calls, flows, witness, instance }: RecordingParts): Recording {
  const endMillis = sharedMillis()
  const callTimes = [...warmUps, ...calls].map(({ startedAtMillis }) => toShared(startedAtMillis))
  const startMillis = Math.min(endMillis, ...callTimes, ...instance.sockets.map(({ dialledAtMillis }) => dialledAtMillis))
  const zeroMillis = witness.freezes[0]?.toMillis ?? startMillis
  // A tenth of a millisecond is as much as a reader can use, and more than the clocks of two processes agree on.
  const at = (millis: number): number => Math.round((millis - zeroMillis) * 10) / 10
  const span = ({ fromMillis, toMillis = endMillis }: { readonly fromMillis: number; readonly toMillis?: number }): RecordedSpan => ({
    fromMillis: at(fromMillis),
    toMillis: at(toMillis),
  })
  return {
    ...span({ fromMillis: startMillis }),
    freezes: witness.freezes.map(span),
    calls: [...warmUps.map((call) => recordCall(call, 'warm-up', at)), ...calls.map((call) => recordCall(call, 'counted', at))],
    connections: joinConnections(instance.sockets, flows, witness.blows, at),
    blows: witness.blows.map(({ kind, atMillis, deaths }) => ({ kind, atMillis: at(atMillis), count: deaths.size })),
    troubles: [
      ...witness.troubles.map((trouble) => ({ kind: trouble.kind, ...span(trouble) })),
      ...instance.nameless.map((nameless) => ({ kind: 'nameless' as const, ...span(nameless) })),
    ],
    decisions: instance.decisions.map((decision) => ({ ...decision, atMillis: at(decision.atMillis) })),
    crashes: instance.crashes.map(({ atMillis, message }) => ({ atMillis: at(atMillis), message: hidePasswords(message) })),
  }
}

type At = (millis: number) => number

function recordCall({ event, wasSent, startedAtMillis, waitMillis, failure, isCapped }: Call, phase: RecordedCall['phase'], at: At) {
  const fromMillis = toShared(startedAtMillis)
  const ending = isCapped ? 'hung' : failure === undefined ? 'answered' : 'failed'
  return {
    phase,
    action: event.action,
    fromMillis: at(fromMillis),
    toMillis: at(fromMillis + waitMillis),
    ending,
    isHonest: wasSent && failure !== undefined,
    ...(failure === undefined ? {} : { error: hidePasswords(failure) }),
  } satisfies RecordedCall
}

/** What the instance knows of a connection, with what the proxy knows of it. The port tells which is which; ports are used again. */
function joinConnections(sockets: readonly SocketRecord[], flows: readonly Flow[], blows: readonly Blow[], at: At): RecordedConnection[] {
  const unmatched = new Set(flows)
  return sockets.map(({ dialledAtMillis, connectedAtMillis, closedAtMillis, port, code }) => {
    const flow = port === undefined ? undefined : [...unmatched].find(({ clientPort }) => clientPort === port)
    if (flow) unmatched.delete(flow)
    const blow = flow && blows.find(({ deaths }) => deaths.has(flow.id))
    const diedMillis = flow && blow?.deaths.get(flow.id)
    return {
      dialledMillis: at(dialledAtMillis),
      ...(connectedAtMillis === undefined ? {} : { openedMillis: at(connectedAtMillis) }),
      ...(blow === undefined || diedMillis === undefined ? {} : { diedMillis: at(diedMillis), cause: blow.kind }),
      ...(closedAtMillis === undefined ? {} : { closedMillis: at(closedAtMillis) }),
      ...(code === undefined ? {} : { code }),
    }
  })
}

/** A message that quotes a connection string loses its password. */
function hidePasswords(message: string): string {
  return message.replace(/(\w:\/\/[^\s:@/]*):[^\s@]*@/g, '$1:…@')
}
