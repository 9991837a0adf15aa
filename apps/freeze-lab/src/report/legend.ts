/** How to read the pictures, and what the words mean. */

import { bar, mark } from './lanes.ts'
import { type Content, html, type Markup } from './markup.ts'
import { DECISIONS, GLOSSARY } from './words.ts'

const Y = 7

const SAMPLES: readonly (readonly [picture: Content, meaning: string])[] = [
  [bar('running', 2, 98, 3, 16), 'the process runs'],
  [bar('frozen', 2, 98, 3, 16), 'the process is frozen'],
  [mark('crash', 50, 11, 'bad'), 'an error that would have ended the process'],
  [mark('cut', 50, 11, 'bad'), 'connections are cut'],
  [bar('trouble', 2, 98, 4, 14), 'something is wrong with the server or the network'],
  [html`<line class="dial" x1="2%" x2="98%" y1="11" y2="11"/>`, 'a connection is being made'],
  [bar('alive', 2, 98, Y + 1, 6), 'a connection is open'],
  [bar('dead', 2, 98, Y + 1, 6), 'it is dead, and the process does not know'],
  [mark('end', 50, 11, 'soft'), 'it is closed, and the process knows'],
  [mark('small-cross', 50, 11, 'bad'), 'an attempt to make one failed'],
  [bar('warm-up', 2, 98, Y, 8), 'a call before the freeze, to open connections'],
  [bar('answered', 2, 98, Y, 8), 'a call that was answered'],
  [[bar('failed', 2, 88, Y, 8), mark('cross', 88, 11, 'bad')], 'a call that failed'],
  [[bar('hung', 2, 84, Y, 8), mark('endless', 86, 11, 'bad')], 'a call that had no answer when the lab gave up'],
  [[bar('honest', 2, 88, Y, 8), mark('star', 88, 11, 'warn')], 'a call that failed because no client can know whether it was executed'],
  [mark('disc', 50, 11, 'good'), 'Thaw: a connection was proven alive, opened or handed out'],
  [mark('diamond', 50, 11, 'bad'), 'Thaw: something was dead or lost'],
  [mark('square', 50, 11, 'plain'), 'Thaw: something else; a number counts events that are close together'],
  [html`<rect class="zone" width="100%" height="100%"/>`, 'time before the freeze, squeezed: how long it was stands above'],
  [
    html`<rect class="zone cut-out" width="100%" height="100%"/>`,
    'a long time in which nothing happened, cut out: how long it was stands above',
  ],
]

/** The legend and the glossary. */
export function drawLegend(): Markup {
  return html`<section id="legend"><h2>How to read the timelines</h2>
<p>Time goes from left to right, and starts to count when the process wakes up. Plain pg is above, Thaw below it, on the same scale. Point at anything to see what it is, or open the lists under each picture.</p>
<ul class="legend">${SAMPLES.map(([picture, meaning]) => html`<li><svg aria-hidden="true">${picture}</svg><span>${meaning}</span></li>`)}</ul>
<details><summary>The words, explained</summary>${glossary(GLOSSARY)}</details>
<details><summary>What Thaw tells, explained</summary>${glossary(Object.entries(DECISIONS))}</details>
</section>`
}

function glossary(entries: readonly (readonly [word: string, meaning: string])[]): Markup {
  return html`<dl class="glossary">${entries.map(([word, meaning]) => html`<div><dt>${word}</dt><dd>${meaning}</dd></div>`)}</dl>`
}
