/** The lanes of a timeline: what was done to the process, to its connections, to its calls. Places are per cent, so that they fit any screen. */

import { plural } from '../plural.ts'
import type { RecordedCall, RecordedConnection, Recording } from '../record/recording.ts'
import { type Content, html, type Markup } from './markup.ts'
import { placeInRows } from './rows.ts'
import type { TimeScale } from './time-scale.ts'
import { ACTIONS, BLOW_LABELS, BLOWS, showMillis, TROUBLES } from './words.ts'

/** One lane. */
export interface Lane {
  readonly label: string
  /** Says to those who cannot see it what is in it. */
  readonly summary: string
  /** Pixels. */
  readonly height: number
  readonly body: Content
}

const MARGIN = 5
const CALL_ROW = 10
const CONNECTION_ROW = 8
const TROUBLE_ROW = 18

/** Running, frozen, crashing. */
export function processLane({ fromMillis, toMillis, freezes, crashes }: Recording, { x }: TimeScale): Lane {
  const y = MARGIN
  const frozen = freezes.map(
    (freeze) => html`<g><title>${`frozen for ${showMillis(freeze.toMillis - freeze.fromMillis)}`}</title>
${bar('frozen', x(freeze.fromMillis), x(freeze.toMillis), y, 18)}${text((x(freeze.fromMillis) + x(freeze.toMillis)) / 2, y + 13, 'frozen', 'in-ice', 'middle')}</g>`,
  )
  const last = crashes.at(-1)
  const crashed = crashes.map(
    ({ atMillis, message }) =>
      html`<g><title>${`crash at ${showMillis(atMillis)}: ${message}`}</title>${mark('crash', x(atMillis), y + 9, 'bad')}</g>`,
  )
  return {
    label: 'process',
    summary: `Frozen ${plural(freezes.length, 'time')}, ${plural(crashes.length, 'crash')}`,
    height: 18 + 2 * MARGIN,
    body: [
      html`<g><title>running</title>${bar('running', x(fromMillis), x(toMillis), y, 18)}</g>`,
      frozen,
      crashed,
      last && beside(x(last.atMillis), y + 13, plural(crashes.length, 'crash')),
    ],
  }
}

/** What the network and the server did to it. `undefined` if nothing. */
export function worldLane({ blows, troubles }: Recording, { x }: TimeScale): Lane | undefined {
  if (blows.length + troubles.length === 0) return undefined
  const height = (row: number): number => MARGIN + row * TROUBLE_ROW
  const struck = blows.map(({ kind, atMillis, count }, row) => {
    const y = height(row) + 8
    const label = `${plural(count, 'connection')}: ${BLOW_LABELS[kind]}`
    return html`<g><title>${`at ${showMillis(atMillis)}: ${BLOWS[kind](plural(count, 'connection'))}`}</title>
${mark('cut', x(atMillis), y, 'bad')}${beside(x(atMillis), y + 4, label)}</g>`
  })
  const bands = troubles.map(({ kind, fromMillis, toMillis }, index) => {
    const y = height(blows.length + index)
    const { label, sentence } = TROUBLES[kind]
    // Wide enough for its label on a phone too.
    const isWide = x(toMillis) - x(fromMillis) > 45
    const title = `${sentence} from ${showMillis(fromMillis)} to ${showMillis(toMillis)}`
    return html`<g><title>${title}</title>${bar('trouble', x(fromMillis), x(toMillis), y + 1, 14)}
${isWide ? text(x(fromMillis) + 1, y + 12, label, 'on-trouble') : beside(x(toMillis), y + 12, label)}</g>`
  })
  return {
    label: 'network, server',
    summary: [
      ...blows.map(({ kind, count }) => BLOWS[kind](plural(count, 'connection'))),
      ...troubles.map(({ kind }) => TROUBLES[kind].label),
    ].join(', '),
    height: height(blows.length + troubles.length) + MARGIN,
    body: [struck, bands],
  }
}

/** A bar for each connection, from its connection attempt to its end. */
export function connectionLane({ connections, toMillis }: Recording, scale: TimeScale): Lane {
  const { x } = scale
  const rows = placeInRows(connections, ({ dialledMillis, closedMillis = toMillis }) => [x(dialledMillis), x(closedMillis)])
  const died = connections.filter(({ diedMillis }) => diedMillis !== undefined).length
  const failed = connections.filter(({ openedMillis }) => openedMillis === undefined).length
  return {
    label: 'connections',
    summary: `${connections.length - failed} opened, ${died} died, ${failed} attempts failed`,
    height: heightOf(rows, CONNECTION_ROW),
    body: rows.map(({ bar: connection, row }) => drawConnection(connection, MARGIN + row * CONNECTION_ROW, toMillis, scale)),
  }
}

function drawConnection(connection: RecordedConnection, y: number, endMillis: number, { x }: TimeScale): Markup {
  const { dialledMillis, openedMillis, diedMillis, closedMillis } = connection
  const title = html`<title>${describeConnection(connection)}</title>`
  const middle = y + 3
  if (openedMillis === undefined) {
    const end = x(closedMillis ?? endMillis)
    return html`<g>${title}${line('dial', x(dialledMillis), end, middle)}${mark('small-cross', end, middle, 'bad')}</g>`
  }
  const end = closedMillis ?? endMillis
  // A connection that dies while in use may be closed from its own side first.
  const death = Math.min(diedMillis ?? end, end)
  return html`<g>${title}${line('dial', x(dialledMillis), x(openedMillis), middle)}${bar('alive', x(openedMillis), x(death), y, 6)}
${diedMillis !== undefined && bar('dead', x(death), x(end), y, 6)}${closedMillis !== undefined && mark('end', x(end), middle, 'soft')}</g>`
}

/** One connection in a line of text. */
export function describeConnection({ dialledMillis, openedMillis, diedMillis, cause, closedMillis, code }: RecordedConnection): string {
  const failure = code === undefined ? '' : ` (${code})`
  const closed = closedMillis === undefined ? '' : `at ${showMillis(closedMillis)}${failure}`
  if (openedMillis === undefined)
    return `connecting since ${showMillis(dialledMillis)}, ${closed === '' ? 'never answered' : `failed ${closed}`}`
  return [
    `opened at ${showMillis(openedMillis)}`,
    diedMillis !== undefined && `died at ${showMillis(diedMillis)}${cause ? `: ${BLOW_LABELS[cause]}` : ''}`,
    closed === '' ? (diedMillis === undefined ? 'still open in the end' : 'never noticed') : `closed here ${closed}`,
  ]
    .filter((part) => part !== false)
    .join(', ')
}

/** A bar for each call, from request to answer. */
export function callLane({ calls }: Recording, { x }: TimeScale): Lane {
  const rows = placeInRows(calls, ({ fromMillis, toMillis }) => [x(fromMillis), x(toMillis)])
  const counted = calls.filter(({ phase }) => phase === 'counted')
  const of = (ending: RecordedCall['ending']): number => counted.filter((call) => call.ending === ending).length
  return {
    label: 'calls',
    summary: `${plural(counted.length, 'call')}: ${of('answered')} answered, ${of('failed')} failed, ${of('hung')} without an answer`,
    height: heightOf(rows, CALL_ROW),
    body: rows.map(({ bar: call, from, to, row }) => {
      const y = MARGIN + row * CALL_ROW
      const { kind, shape } = lookOf(call)
      const end = shape && mark(shape, to, y + 4, kind === 'honest' ? 'warn' : 'bad')
      return html`<g><title>${describeCall(call)}</title>${bar(kind, from, to, y, 8)}${end}</g>`
    }),
  }
}

function lookOf({ phase, ending, isHonest }: RecordedCall): { readonly kind: string; readonly shape?: string } {
  if (ending === 'answered') return { kind: phase === 'warm-up' ? 'warm-up' : 'answered' }
  if (isHonest) return { kind: 'honest', shape: 'star' }
  return ending === 'hung' ? { kind: 'hung', shape: 'endless' } : { kind: 'failed', shape: 'cross' }
}

/** One call in a line of text. */
export function describeCall({ phase, action, fromMillis, toMillis, ending, error }: RecordedCall): string {
  const how = ending === 'answered' ? 'answered' : ending === 'hung' ? 'no answer' : 'failed'
  const warm = phase === 'warm-up' ? 'warm-up: ' : ''
  return `${warm}${ACTIONS[action]}, at ${showMillis(fromMillis)}, ${how} after ${showMillis(toMillis - fromMillis)}${error ? `: ${error}` : ''}`
}

/** A rectangle, never too thin to be seen. */
export function bar(kind: string, from: number, to: number, y: number, height: number): Markup {
  return html`<rect class="${kind}" x="${percent(from)}" y="${y}" width="${percent(Math.max(0.25, to - from))}" height="${height}"/>`
}

/** A mark of the page's own set. */
export function mark(shape: string, x: number, y: number, tone: string): Markup {
  return html`<use class="${tone}" href="#${shape}" x="${percent(x)}" y="${y}"/>`
}

/** Text inside a lane. */
export function text(x: number, y: number, words: string, kind: string, anchor: 'start' | 'middle' | 'end' = 'start'): Markup {
  return html`<text class="${kind}" x="${percent(x)}" y="${y}" text-anchor="${anchor}">${words}</text>`
}

/** `12.34%` */
export function percent(value: number): string {
  return `${Math.round(value * 100) / 100}%`
}

function line(kind: string, from: number, to: number, y: number): Markup {
  return html`<line class="${kind}" x1="${percent(from)}" x2="${percent(to)}" y1="${y}" y2="${y}"/>`
}

// Beside its mark, on the side where there is room.
function beside(x: number, y: number, words: string): Markup {
  const isLeft = x > 60
  return html`<g transform="translate(${isLeft ? -11 : 11} 0)">${text(x, y, words, 'label', isLeft ? 'end' : 'start')}</g>`
}

function heightOf(rows: readonly { readonly row: number }[], rowHeight: number): number {
  return (Math.max(0, ...rows.map(({ row }) => row)) + 1) * rowHeight + 2 * MARGIN
}
