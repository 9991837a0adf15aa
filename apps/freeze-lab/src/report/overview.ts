/** The first screen: what was done, what came of it, in large numbers and in one table. */

import type { Figures } from '../figures.ts'
import type { FaultResult, LabResult } from '../lab.ts'
import { plural } from '../plural.ts'
import type { RecordedCall, Recording } from '../record/recording.ts'
import { footnote, showWait } from '../table.ts'
import { type Content, html, type Markup } from './markup.ts'
import { drawVerdict } from './verdict.ts'

/** The heading, the story, the numbers and the table. */
export function drawOverview(result: LabResult): Markup {
  const { total, faults, complaints, skipped } = result
  return html`<header><h1>What a freeze does to database connections</h1>
<p class="lead">Serverless platforms <b>freeze</b> a program when it has answered, and wake it for the next request. Its connections to the database still look open then, but many have <b>died</b> meanwhile.
This run froze one small order API ${plural(2 * faults.length, 'time')}, hurt its connections in ${plural(faults.filter(isHurt).length, 'way')}, and called it ${plural(total.pg.calls + total.thaw.calls, 'time')}:
half of that with <b>plain pg</b>, the usual PostgreSQL driver for Node.js, half with <b>Thaw</b>. The processes, the freezes, the cuts and the database were real.</p></header>
<main>
<div class="cards">
${card('calls that failed without need', String(total.pg.failed), String(total.thaw.failed), total.pg.failed, total.thaw.failed)}
${card('longest wait for an answer', showWait(total.pg), showWait(total.thaw), Number(total.pg.isCapped), Number(total.thaw.isCapped))}
${card('crashes of the process', String(total.pg.crashes), String(total.thaw.crashes), total.pg.crashes, total.thaw.crashes)}
${card('rows stored twice', String(total.pg.rowsTwice), String(total.thaw.rowsTwice), total.pg.rowsTwice, total.thaw.rowsTwice)}
</div>
${
  total.pg.unknown + total.thaw.unknown > 0 &&
  html`<p class="note">Besides, ${plural(total.pg.unknown, 'call')} on plain pg and ${total.thaw.unknown} on Thaw got an error because no client could know whether they were executed.</p>`
}
${complaints.length > 0 && html`<div class="complaints"><p><b>Thaw should have done better:</b></p><ul>${complaints.map((complaint) => html`<li>${complaint}</li>`)}</ul></div>`}
<table id="table"><thead><tr><th scope="col">what happened</th><th scope="col">plain pg</th><th scope="col">Thaw</th></tr></thead>
<tbody>${faults.map(drawRow)}</tbody></table>
<p class="note">One square is one call: filled, it was answered; crossed out, it failed; hatched, it had no answer when the lab gave up.${unknownNote(total)}</p>
${skipped.map(({ name, reason }) => html`<p class="note">Left out: ${name} (${reason}).</p>`)}`
}

/** Whether the fault did anything to a connection. */
function isHurt({ recordings }: FaultResult): boolean {
  return recordings.pg.blows.length + recordings.pg.troubles.length > 0
}

function card(title: string, pg: string, thaw: string, pgHarm: number, thawHarm: number): Markup {
  const tone = (harm: number): string => (harm > 0 ? 'bad' : 'good')
  return html`<div class="card"><h2>${title}</h2><dl><dt>plain pg</dt><dd class="${tone(pgHarm)}">${pg}</dd><dt>Thaw</dt><dd class="${tone(thawHarm)}">${thaw}</dd></dl></div>`
}

function unknownNote({ pg, thaw }: LabResult['total']): string {
  const note = footnote(pg, thaw)
  return note === '' ? '' : ` A star, and ${note.replace(/^\* T/, '*: t')}`
}

function drawRow({ name, happens, pg, thaw, recordings }: FaultResult): Markup {
  return html`<tr><th scope="row"><a href="#${name}">${name}</a><small>${happens}</small></th>${cell(pg, recordings.pg)}${cell(thaw, recordings.thaw)}</tr>`
}

function cell(figures: Figures, { calls }: Recording): Markup {
  const counted = calls.filter(({ phase }) => phase === 'counted')
  return html`<td><div class="dots" aria-hidden="true">${counted.map(square)}</div>${drawVerdict(figures)}</td>`
}

function square({ ending, isHonest }: RecordedCall): Markup {
  const box = (kind: string, cross: Content = undefined): Markup =>
    html`<svg viewBox="0 0 11 11"><rect class="${kind}" x=".7" y=".7" width="9.6" height="9.6"/>${cross}</svg>`
  if (ending === 'answered') return box('answered')
  if (isHonest) return box('honest', html`<use class="warn" href="#star" transform="translate(5.5 5.5) scale(.6)"/>`)
  if (ending === 'hung') return box('hung')
  return box('failed', html`<use class="bad" href="#cross" transform="translate(5.5 5.5) scale(.75)"/>`)
}
