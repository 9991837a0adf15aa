/**
 * The report of a run as one page of HTML: no script, nothing from any network, and readable by someone who has never heard of
 * any of this. It is made of the result alone, the same that `--json` prints.
 */

import type { FaultResult, LabResult } from '../lab.ts'
import { drawFault } from './figure.ts'
import { drawLegend } from './legend.ts'
import { html, type Markup } from './markup.ts'
import { drawOverview } from './overview.ts'
import { SHAPES } from './shapes.ts'
import { STYLE } from './style.ts'

/** Makes the page. */
export function renderPage(result: LabResult): string {
  const { faults, seed, postgresVersion, nodeVersion, tookMillis } = result
  // The policy is kept by the browser: even a mistake in here could load nothing and run nothing.
  return html`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8"/>
<meta name="viewport" content="width=device-width, initial-scale=1"/>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'"/>
<title>Freeze lab: plain pg and Thaw, frozen and cut</title>
<style>${STYLE}</style>
</head>
<body>
${SHAPES}
${drawOverview(result)}
${drawLegend()}
${faults.map(drawSection)}
</main>
<footer><p>PostgreSQL ${postgresVersion}, Node ${nodeVersion}, ${(tookMillis / 1_000).toFixed(0)} s. The same requests again: <code>pnpm start --seed ${seed}</code>.
Each driver ran in a process of its own against a database of its own, at the same time. All times were taken on the monotonic clock of the machine: by the caller, by the proxy in between, and inside the process.
Plain pg has the error listener that everybody adds to the pool; otherwise both ran the same code with the same options.</p></footer>
</body>
</html>
`.text
}

function drawSection(fault: FaultResult): Markup {
  return html`<section id="${fault.name}"><h2>${fault.name} <a class="top" href="#table">back to the table</a></h2><p>${fault.happens}</p>${drawFault(fault)}</section>`
}
