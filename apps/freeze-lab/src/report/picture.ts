/** One thaw as a picture for a page: the same calls on pg and on Thaw, on one time axis. An SVG that stands alone, light and dark, legible on a phone. */

import type { LabResult } from '../lab.ts'
import type { RecordedCall, Recording } from '../record/recording.ts'
import { html, Markup } from './markup.ts'
import { showMillis } from './words.ts'

/** The fault that shows most at a glance, if it was played: everything that pg does wrong happens in milliseconds. */
const PICTURED = 'rst-on-next-byte'

const WIDTH = 480
const MARGIN = 16
/** Where the process thaws. */
const THAW_X = 84
const END_X = WIDTH - MARGIN - 12
const BAR = 7
const PITCH = 11
const HEADER = 34
const GAP = 22
const CHARACTERS = 58
const LINE = 19

const STYLE = new Markup(`
  svg { --paper: #ffffff; --ink: #1f2328; --quiet: #59636e; --ice: #ddf0fb; --good: #1a7f37; --bad: #cf222e }
  @media (prefers-color-scheme: dark) {
    svg { --paper: #0d1117; --ink: #e6edf3; --quiet: #9198a1; --ice: #16324a; --good: #3fb950; --bad: #ff7b72 }
  }
  text { font: 14px system-ui, sans-serif; fill: var(--ink) }
  .name { font-weight: 600; font-size: 16px } .quiet { fill: var(--quiet); font-size: 13px }
  .good { fill: var(--good) } .bad { fill: var(--bad) } .cross { stroke: var(--bad); stroke-width: 2; fill: none }`)

/** The SVG of a run: of the fault that shows most, or else of the first that was played. Undefined if none was. */
export function renderPicture({ faults, seed, postgresVersion, nodeVersion }: LabResult): string | undefined {
  const fault = faults.find(({ name }) => name === PICTURED) ?? faults[0]
  if (!fault) return undefined
  const sides = [
    { name: 'pg', recording: fault.recordings.pg },
    { name: '@thaw/pg', recording: fault.recordings.thaw },
  ]
  const longest = Math.max(...sides.flatMap(({ recording }) => countedCalls(recording).map(({ toMillis }) => toMillis)))
  const x = (millis: number) => THAW_X + (Math.max(millis, 0) / longest) * (END_X - THAW_X)
  const lines = wrap(fault.happens)
  let y = MARGIN + lines.length * LINE + 4
  const panels = sides.map(({ name, recording }) => {
    const calls = countedCalls(recording)
    const panel = renderPanel(name, calls, y, x)
    y += HEADER + calls.length * PITCH + GAP
    return panel
  })
  const height = y + LINE + 12
  const svg = html`<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-labelledby="title desc">
<title id="title">The same ${countedCalls(fault.recordings.pg).length} calls after a thaw, on pg and on Thaw</title>
<desc id="desc">${fault.happens} ${sides.map(({ name, recording }) => `${name}: ${verdict(countedCalls(recording))}. `)}</desc>
<style>${STYLE}
</style>
<rect width="${WIDTH}" height="${height}" rx="8" style="fill: var(--paper)"/>
${lines.map((line, index) => html`<text x="${MARGIN}" y="${MARGIN + 14 + index * LINE}">${line}</text>\n`)}${panels}<text class="quiet" x="${THAW_X}" y="${y - 4}" text-anchor="middle">thaw</text>
<text class="quiet" x="${END_X}" y="${y - 4}" text-anchor="end">${showMillis(longest)}</text>
<text class="quiet" x="${MARGIN}" y="${y + LINE - 2}">Freeze lab, PostgreSQL ${postgresVersion}, Node ${nodeVersion.slice(1)}, seed ${seed}</text>
</svg>
`
  return svg.text
}

function renderPanel(name: string, calls: readonly RecordedCall[], top: number, x: (millis: number) => number): Markup {
  const bars = top + HEADER - 6
  const bottom = bars + calls.length * PITCH
  const failed = calls.filter(isFailure).length
  return html`<text class="name" x="${MARGIN}" y="${top + 18}">${name}</text>
<text class="${failed > 0 ? 'bad' : 'good'}" x="${END_X}" y="${top + 18}" text-anchor="end">${verdict(calls)}</text>
<rect x="${MARGIN}" y="${bars - 3}" width="${THAW_X - MARGIN}" height="${bottom - bars + 3}" rx="3" style="fill: var(--ice)"/>
<text class="quiet" x="${(MARGIN + THAW_X) / 2}" y="${(bars + bottom) / 2 + 3}" text-anchor="middle">frozen</text>
${calls.map((call, index) => renderCall(call, bars + index * PITCH, x))}`
}

function renderCall(call: RecordedCall, y: number, x: (millis: number) => number): Markup {
  const from = round(x(call.fromMillis))
  const to = round(Math.max(x(call.toMillis), from + 2))
  const failed = isFailure(call)
  // Not by colour alone.
  const cross = failed && html`<path class="cross" d="M${to + 3} ${y}l7 7m0-7l-7 7"/>`
  return html`<rect class="${failed ? 'bad' : 'good'}" x="${from}" y="${y}" width="${round(to - from)}" height="${BAR}" rx="2"/>${cross}\n`
}

function countedCalls({ calls }: Recording): RecordedCall[] {
  return calls.filter(({ phase }) => phase === 'counted')
}

function isFailure({ ending }: RecordedCall): boolean {
  return ending !== 'answered'
}

function verdict(calls: readonly RecordedCall[]): string {
  const failed = calls.filter(isFailure).length
  return failed > 0 ? `${failed} of ${calls.length} calls failed` : `all ${calls.length} calls answered`
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}

function wrap(sentence: string): string[] {
  const lines = ['']
  for (const word of sentence.split(' ')) {
    const line = `${lines.at(-1)} ${word}`.trim()
    if (line.length > CHARACTERS) lines.push(word)
    else lines[lines.length - 1] = line
  }
  return lines
}
