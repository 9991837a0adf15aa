/** The marks that the timelines use, drawn once for the whole page around the point 0, 0. A shape for each meaning, so that none hangs on colour. */

import { html, type Markup } from './markup.ts'

/** The definitions. They have to be in the page, and take no room. */
export const SHAPES: Markup = html`<svg width="0" height="0" class="shapes" aria-hidden="true"><defs>
<pattern id="hatch-ice" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect class="fill-ice" width="6" height="6"/><path class="stroke-ice" d="M0 0V6"/></pattern>
<pattern id="hatch-warn" width="4" height="4" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect class="fill-warn" width="4" height="4"/><path class="stroke-warn" d="M0 0V4"/></pattern>
<pattern id="hatch-bad" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(-45)"><rect class="fill-bad" width="6" height="6"/><path class="stroke-bad" d="M0 0V6"/></pattern>
<pattern id="dots" width="5" height="5" patternUnits="userSpaceOnUse"><circle class="fill-soft" cx="1.5" cy="1.5" r=".8"/></pattern>
<path id="cross" class="open" d="M-3.5-3.5L3.5 3.5M-3.5 3.5L3.5-3.5"/>
<path id="small-cross" class="open" d="M-2.5-2.5L2.5 2.5M-2.5 2.5L2.5-2.5"/>
<path id="endless" class="open" d="M-4-4L0 0L-4 4M1-4L5 0L1 4"/>
<path id="star" class="open" d="M0-5V5M-4.3-2.5L4.3 2.5M-4.3 2.5L4.3-2.5"/>
<path id="end" class="open" d="M0-4V4"/>
<path id="crash" d="M0-9L2.3-3.5L7.8-5L4.5 0L7.8 5L2.3 3.5L0 9L-2.3 3.5L-7.8 5L-4.5 0L-7.8-5L-2.3-3.5Z"/>
<path id="cut" d="M1-9L-5 1H-1L-2 9L5-2H1Z"/>
<circle id="disc" r="4"/><circle id="big-disc" r="8"/>
<path id="diamond" d="M0-5L5 0L0 5L-5 0Z"/><path id="big-diamond" d="M0-9.5L9.5 0L0 9.5L-9.5 0Z"/>
<rect id="square" x="-3.5" y="-3.5" width="7" height="7"/><rect id="big-square" x="-7" y="-7" width="14" height="14"/>
</defs></svg>`
