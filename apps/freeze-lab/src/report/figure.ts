/** The timelines of one fault: plain pg above, Thaw below, one scale for both, and what there is to read about them. */

import type { FaultResult } from '../lab.ts'
import { plural } from '../plural.ts'
import type { Recording } from '../record/recording.ts'
import type { Driver } from '../round.ts'
import { decisionLanes, describeDecision } from './decision-lanes.ts'
import { callLane, connectionLane, describeCall, describeConnection, type Lane, percent, processLane, text, worldLane } from './lanes.ts'
import { type Content, html, type Markup } from './markup.ts'
import { NAMES, tellStory } from './story.ts'
import { createTimeScale, type TimeScale, type Zone } from './time-scale.ts'
import { drawVerdict } from './verdict.ts'
import { showMillis } from './words.ts'

const AXIS_HEIGHT = 38
/** Where the two lines of text of the axis stand. */
const LINES = [12, 31] as const

/** Both timelines of a fault. */
export function drawFault({ recordings, pg, thaw }: FaultResult): Markup {
  const scale = createTimeScale([recordings.pg, recordings.thaw])
  return html`${drawTimeline('pg', recordings.pg, pg, scale)}${drawTimeline('thaw', recordings.thaw, thaw, scale)}`
}

function drawTimeline(driver: Driver, recording: Recording, figures: FaultResult['pg'], scale: TimeScale): Markup {
  const lanes = [
    processLane(recording, scale),
    worldLane(recording, scale),
    connectionLane(recording, scale),
    callLane(recording, scale),
    ...decisionLanes(recording, scale),
  ].filter((lane) => lane !== undefined)
  return html`
<figure class="timeline ${driver}">
<figcaption><h3>${NAMES[driver]}: ${drawVerdict(figures)}</h3><p>${tellStory(driver, recording, figures)}</p></figcaption>
<div class="lanes">${drawAxis(scale)}${lanes.map((lane) => drawLane(driver, lane, scale))}</div>
${drawLists(recording)}
</figure>`
}

function drawAxis({ zones, ticks }: TimeScale): Markup {
  const cutOuts = zones.filter(({ kind }) => kind === 'cut-out')
  // In two lines by turns, since on a phone there is no room for all of them side by side.
  const isBelow = (zone: Zone): boolean => zone.kind === 'before' || cutOuts.indexOf(zone) % 2 === 1
  const labels = zones
    .filter(({ kind }) => kind !== 'after')
    .map((zone) => text(zone.x + zone.width / 2, LINES[isBelow(zone) ? 1 : 0], zoneLabel(zone), 'zone-label', 'middle'))
  const marks = ticks.map(({ x, millis }) => text(x, LINES[1], showMillis(millis), 'tick-label', x < 3 ? 'start' : 'middle'))
  const title = zones.some(({ kind }) => kind === 'frozen')
  const first = zones.find(({ kind }) => kind === 'after')
  return html`<div class="lane axis" aria-hidden="true"><span class="name">${title ? 'time after the thaw' : 'time'}</span>
<svg height="${AXIS_HEIGHT}">${title && first && text(first.x, LINES[0], '↓ wakes up', 'zone-label')}${labels}${marks}</svg></div>`
}

function zoneLabel({ kind, fromMillis, toMillis }: Zone): string {
  // Tenths of a second will do for what is only cut out.
  return kind === 'cut-out' ? `✂ ${Number(((toMillis - fromMillis) / 1_000).toFixed(1))} s` : showMillis(toMillis - fromMillis)
}

function drawLane(driver: Driver, { label, summary, height, body }: Lane, scale: TimeScale): Markup {
  return html`<div class="lane"><span class="name">${label}</span>
<svg role="img" aria-label="${`${NAMES[driver]}, ${label}: ${summary}.`}" height="${height}">${drawBackground(scale)}${body}</svg></div>`
}

function drawBackground({ zones, ticks }: TimeScale): Content {
  return [
    zones
      .filter(({ kind }) => kind !== 'after')
      .map(({ kind, x, width }) => html`<rect class="zone ${kind}" x="${percent(x)}" width="${percent(width)}" height="100%"/>`),
    ticks.map(({ x }) => html`<line class="grid" x1="${percent(x)}" x2="${percent(x)}" y1="0" y2="100%"/>`),
  ]
}

/** The same as text: for phones, which have no pointer to hover with, and for those who cannot see the pictures. */
function drawLists(recording: Recording): Markup {
  const { calls, connections, decisions, crashes } = recording
  return html`<div class="lists">
${list('call', calls, describeCall)}
${list('connection', connections, describeConnection)}
${list('decision', decisions, describeDecision)}
${list('crash', crashes, ({ atMillis, message }) => `at ${showMillis(atMillis)}: ${message}`)}
</div>`
}

function list<T>(noun: string, items: readonly T[], describe: (item: T) => string): Content {
  return (
    items.length > 0 &&
    html`<details><summary>${plural(items.length, noun)}</summary><ol>${items.map((item) => html`<li>${describe(item)}</li>`)}</ol></details>`
  )
}
