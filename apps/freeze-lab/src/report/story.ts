/** What a recording says, in a few sentences. Every number in them was counted or measured in this very run. */

import type { Figures } from '../figures.ts'
import { plural } from '../plural.ts'
import type { RecordedCall, RecordedConnection, RecordedDecision, Recording } from '../record/recording.ts'
import type { Driver } from '../round.ts'
import { BLOWS, describeFields, showMillis, TROUBLES } from './words.ts'

/** The names of the drivers, as people call them. */
export const NAMES: Readonly<Record<Driver, string>> = { pg: 'Plain pg', thaw: 'Thaw' }

/** What was done to the process, what its driver did about it, and what its callers got. */
export function tellStory(driver: Driver, recording: Recording, figures: Figures): string {
  return [
    ...tellFreezes(recording),
    ...tellBlows(recording),
    ...tellTroubles(recording),
    ...tellRepair(driver, recording),
    ...tellCalls(recording, figures),
    ...tellHarm(figures),
  ].join(' ')
}

/** How the calls ended, in one line. */
function tellCalls({ calls }: Recording, figures: Figures): string[] {
  const counted = calls.filter(({ phase }) => phase === 'counted')
  const of = (pick: (call: RecordedCall) => boolean): RecordedCall[] => counted.filter(pick)
  const hung = of(({ ending, isHonest }) => ending === 'hung' && !isHonest).length
  const failed = of(({ ending, isHonest }) => ending === 'failed' && !isHonest).length
  const honest = of(({ isHonest }) => isHonest).length
  const all = plural(counted.length, 'call')
  const share = (some: number): string => (some === counted.length ? `All ${all}` : `${some} of ${all}`)
  const slowest = figures.isCapped ? '' : `, the slowest after ${showMillis(figures.worstWaitMillis)}`
  const sentences = [
    hung > 0 && `${share(hung)} hung: no answer when the lab gave up after ${showMillis(figures.worstWaitMillis)}.`,
    failed > 0 && `${share(failed)} failed.`,
    hung + failed + honest === 0 && `All ${all} were answered${slowest}.`,
    hung + failed === 0 && honest > 0 && `${counted.length - honest} of ${all} were answered${slowest}.`,
    honest > 0 &&
      `${plural(honest, 'call')} got an error after ${honest === 1 ? 'its statement' : 'their statements'} had been sent: ` +
        'no client can know what became of it, and an error is the honest answer.',
  ]
  return sentences.filter((sentence) => sentence !== false)
}

function tellFreezes({ freezes, calls }: Recording): string[] {
  return freezes.map(({ fromMillis, toMillis }) => {
    const running = calls.filter((call) => call.fromMillis < fromMillis && call.toMillis > fromMillis).length
    const during = running === 0 ? '' : `, while ${plural(running, 'call')} of it ran`
    return `The process was frozen for ${showMillis(toMillis - fromMillis)}${during}.`
  })
}

function tellBlows({ blows, connections, freezes }: Recording): string[] {
  if (blows.length === 0) return ['Nothing happened to its connections.']
  return blows.map(({ kind, atMillis, count }) => {
    const isFrozen = freezes.some(({ fromMillis, toMillis }) => atMillis >= fromMillis && atMillis <= toMillis)
    const open = connections.filter(
      ({ openedMillis = Number.POSITIVE_INFINITY, closedMillis = Number.POSITIVE_INFINITY }) =>
        openedMillis <= atMillis && closedMillis > atMillis,
    ).length
    const what = count === open && count > 1 ? `all ${count} connections` : count === 1 ? 'one connection' : `${count} connections`
    const when = isFrozen ? 'Meanwhile' : atMillis >= 0 ? `${showMillis(atMillis)} after the thaw,` : 'Before that,'
    return `${when} ${BLOWS[kind](`${what} ${count === 1 ? 'was' : 'were'}`)}.`
  })
}

function tellTroubles({ troubles }: Recording): string[] {
  return troubles.map(({ kind, fromMillis, toMillis }) => {
    const until = toMillis > 1 ? `until ${showMillis(toMillis)} after the thaw` : `for ${showMillis(toMillis - fromMillis)}`
    return `${TROUBLES[kind].sentence} ${until}.`
  })
}

/** What became of the connections after the thaw. */
function tellRepair(driver: Driver, { connections, decisions }: Recording): string[] {
  const since = decisions.filter(({ atMillis }) => atMillis >= 0)
  const opened = connections.filter(({ openedMillis = -1 }) => openedMillis >= 0).length
  const dialled = connections.filter(({ dialledMillis, openedMillis }) => dialledMillis >= 0 && openedMillis === undefined).length
  const deeds = [
    ...tellDoor(since),
    ...tellNoticed(connections),
    opened > 0 && `opened ${plural(opened, 'new connection')}`,
    dialled > 0 && `failed to connect ${plural(dialled, 'more time')}`,
    ...tellOutcomes(since),
  ].filter((deed) => deed !== false)
  return deeds.length === 0 ? [] : [`${NAMES[driver]} ${join(deeds)}.`]
}

function tellDoor(decisions: readonly RecordedDecision[]): string[] {
  const of = (type: string): RecordedDecision[] => decisions.filter((decision) => decision.type === type)
  const sum = (type: string, field: string): number => of(type).reduce((so, { fields }) => so + Number(fields[field] ?? 0), 0)
  const asked = of('probed')
  const alive = asked.filter(({ fields }) => fields['alive'] === true).length
  const longest = showMillis(Math.max(0, ...asked.map(({ fields }) => Number(fields['tookMillis'] ?? 0))))
  const answers =
    alive === asked.length
      ? `all answered within ${longest}`
      : `${alive === 0 ? 'none' : alive} answered${alive === 0 ? ` within ${longest}` : ` and ${asked.length - alive} did not, within ${longest}`}`
  return [
    ...(of('thawed').length > 0 ? ['saw from its clocks that it had been frozen'] : []),
    ...(of('socketsPolled').length > 0
      ? [
          `polled the sockets of ${sum('socketsPolled', 'idle')} idle connections (${sum('socketsPolled', 'dead') || 'none'} showed as dead)`,
        ]
      : []),
    ...(asked.length === 1 ? [`probed one, which ${alive === 1 ? 'answered' : 'did not answer'} within ${longest}`] : []),
    ...(asked.length > 1 ? [`probed ${asked.length}, of which ${answers}`] : []),
  ]
}

function tellNoticed(connections: readonly RecordedConnection[]): string[] {
  const dead = connections.filter(({ diedMillis }) => diedMillis !== undefined)
  const times = dead.flatMap(({ closedMillis }) => closedMillis ?? []).sort((one, other) => one - other)
  const [first = 0] = times
  const last = times.at(-1) ?? 0
  const unnoticed = dead.length - times.length
  const span = showMillis(first) === showMillis(last) ? showMillis(last) : `${showMillis(first)} to ${showMillis(last)}`
  return [
    ...(times.length > 0 ? [`got rid of ${plural(times.length, 'dead connection')} ${span} after the thaw`] : []),
    ...(unnoticed > 0 ? [`still held ${plural(unnoticed, 'dead connection')} in the end`] : []),
  ]
}

/** Statements that lost their connection, and events that this page has never heard of. */
function tellOutcomes(decisions: readonly RecordedDecision[]): string[] {
  const told = ['thawed', 'socketsPolled', 'probed', 'stale', 'connected', 'acquired', 'drained']
  const rest = decisions.filter(({ type, fields }) => !told.includes(type) && !(type === 'retried' && fields['what'] === 'connect'))
  const counts = new Map<string, number>()
  for (const { type, fields } of rest) {
    const { statement, outcome, action } = fields
    const text =
      type === 'outcome' && action !== undefined
        ? `${action} a ${statement ?? 'statement'} (${outcome})`
        : type === 'retried'
          ? 'sent a statement again that had not left'
          : `told: ${type}${Object.keys(fields).length > 0 ? ` (${describeFields(fields)})` : ''}`
    counts.set(text, (counts.get(text) ?? 0) + 1)
  }
  return [...counts].map(([text, count]) => (count === 1 ? text : `${count} times ${text}`))
}

function tellHarm({ crashes, rowsTwice, rowsMissing }: Figures): string[] {
  return [
    ...(crashes > 0 ? [`The process would have crashed ${crashes === 1 ? 'once' : `${crashes} times`}.`] : []),
    ...(rowsTwice > 0 ? [`${plural(rowsTwice, 'row')} ${rowsTwice === 1 ? 'was' : 'were'} stored twice.`] : []),
    ...(rowsMissing > 0 ? [`${plural(rowsMissing, 'row')} of confirmed orders ${rowsMissing === 1 ? 'is' : 'are'} missing.`] : []),
  ]
}

function join(parts: readonly string[]): string {
  return parts.length < 2 ? parts.join('') : `${parts.slice(0, -1).join(', ')} and ${parts.at(-1)}`
}
