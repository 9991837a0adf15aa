/** How a driver did under one fault, in one line. */

import type { Figures } from '../figures.ts'
import { plural } from '../plural.ts'
import { showFailed, showWait } from '../table.ts'
import { html, type Markup } from './markup.ts'

/** The line. Bad is what could have been avoided; the unavoidable is neither good nor bad. */
export function drawVerdict(figures: Figures): Markup {
  const { failed, unknown, calls, crashes, rowsTwice, rowsMissing } = figures
  const tone = failed + crashes + rowsTwice + rowsMissing > 0 ? 'bad' : unknown > 0 ? 'warn' : 'good'
  const verdict = failed + unknown === 0 ? `all ${calls} answered` : `${showFailed(figures)} of ${calls} failed`
  const details = [
    `longest wait ${showWait(figures)}`,
    crashes > 0 && plural(crashes, 'crash'),
    rowsTwice > 0 && `${plural(rowsTwice, 'row')} twice`,
    rowsMissing > 0 && `${plural(rowsMissing, 'row')} missing`,
  ].filter((part) => part !== false)
  return html`<span class="verdict ${tone}">${verdict}</span> <small>${details.join(', ')}</small>`
}
