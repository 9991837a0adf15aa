/** How the page looks: on wide screens and phones, by day and by night, on paper. */

import { Markup } from './markup.ts'

const LIGHT = `--bg:#f7f8f8;--panel:#fff;--ink:#1a2027;--soft:#55606b;--line:#d8dde1;--grid:#e9ecee;
--good:#0b7a5e;--good-pale:#bfe3d7;--bad:#bf2a1b;--bad-pale:#fbdcd7;--warn:#8f5600;--warn-pale:#fbe3b8;--ice:#22609f;--ice-pale:#dcebf9;--on-mark:#fff`
const DARK = `--bg:#11161a;--panel:#1a2127;--ink:#e9edf0;--soft:#a3afb9;--line:#36414a;--grid:#262f36;
--good:#41cfa2;--good-pale:#1f5c4b;--bad:#ff8170;--bad-pale:#52231e;--warn:#f2b65a;--warn-pale:#4d3a17;--ice:#86c0fa;--ice-pale:#1c344c;--on-mark:#11161a`

/** The style sheet. */
export const STYLE: Markup = new Markup(`
:root{color-scheme:light dark;${LIGHT}}
@media screen and (prefers-color-scheme:dark){:root{${DARK}}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;scroll-behavior:smooth}
body{margin:0;background:var(--bg);color:var(--ink);font:16px/1.55 system-ui,sans-serif;overflow-wrap:anywhere}
main,header,footer{max-width:1120px;margin:0 auto;padding:0 20px}
header{padding-top:40px}
h1{font-size:clamp(1.7rem,4.5vw,2.6rem);line-height:1.15;letter-spacing:-.02em;margin:0 0 12px}
h2{font-size:1.35rem;line-height:1.25;margin:0 0 6px}
h3{font-size:1rem;margin:0 0 2px}h3 small{display:inline;font-weight:400}
.top{font-size:.8rem;font-weight:400;margin-left:10px}
p{margin:0 0 10px;max-width:75ch}
a{color:var(--ice)}
.lead{font-size:1.1rem;color:var(--soft)}
.lead b{color:var(--ink)}
code{font:.88em ui-monospace,monospace;color:var(--soft)}
.cards{display:grid;grid-template-columns:repeat(4,1fr);gap:12px;margin:24px 0 8px}
.card{background:var(--panel);border:1px solid var(--line);border-radius:10px;padding:14px 16px}
.card h2{font-size:.9rem;font-weight:600;color:var(--soft);min-height:2.5em}
.card dl{display:grid;grid-template-columns:1fr 1fr;margin:0}
.card dt{grid-row:2;font-size:.85rem;color:var(--soft)}
.card dd{grid-row:1;margin:0;font-size:clamp(1.5rem,3vw,2.1rem);line-height:1.2;font-weight:700;letter-spacing:-.02em;white-space:nowrap}
dd.bad{color:var(--bad)}dd.good{color:var(--good)}
.note{font-size:.9rem;color:var(--soft);max-width:100ch}
.complaints{border-left:4px solid var(--bad);padding-left:12px}
table{border-collapse:collapse;width:100%;background:var(--panel);border:1px solid var(--line);margin:18px 0 8px}
th,td{text-align:left;vertical-align:top;padding:9px 12px;border-top:1px solid var(--line);font-weight:400}
thead th{font-weight:600;font-size:.9rem;color:var(--soft);border-top:0}
tbody th{width:38%}tbody th a{font-weight:600;text-decoration:none}tbody th a:hover{text-decoration:underline}
small{color:var(--soft);line-height:1.35}tbody small{display:block}
.dots{display:flex;flex-wrap:wrap;gap:2px;margin-bottom:3px}
.dots svg{width:11px;height:11px;display:block}
.verdict{font-weight:600}.verdict.bad{color:var(--bad)}.verdict.good{color:var(--good)}.verdict.warn{color:var(--warn)}
#legend ul{background:var(--panel);border:1px solid var(--line);border-radius:10px;padding:14px 16px}
section{margin:44px 0 0;scroll-margin-top:12px}
.legend{display:grid;grid-template-columns:repeat(auto-fill,minmax(250px,1fr));gap:6px 22px;margin:12px 0;list-style:none;font-size:.92rem}
.legend li{display:grid;grid-template-columns:46px 1fr;gap:10px;align-items:center}
.legend svg{width:46px;height:22px}.legend .zone{stroke:var(--line)}
.glossary{columns:2;column-gap:32px;font-size:.92rem;margin:10px 0}
.glossary div{break-inside:avoid;margin-bottom:8px}.glossary dt{font-weight:600}.glossary dd{margin:0;color:var(--soft)}
.timeline{margin:14px 0 0;background:var(--panel);border:1px solid var(--line);border-radius:10px;padding:14px 16px 10px}
.timeline.pg{border-radius:10px 10px 0 0}.timeline.thaw{margin-top:-1px;border-radius:0 0 10px 10px}
figcaption{margin-bottom:8px}figcaption p{font-size:.95rem;max-width:95ch}
.lane{display:grid;grid-template-columns:112px 1fr;align-items:stretch}
.lane+.lane{border-top:1px solid var(--grid)}
.name{font-size:.8rem;color:var(--soft);padding:5px 8px 0 0;line-height:1.2}
.lane svg{display:block;width:100%;overflow:visible}
.lists{margin-top:8px;display:flex;flex-wrap:wrap;gap:4px 18px;font-size:.88rem}
details[open]{flex-basis:100%}
summary{cursor:pointer;color:var(--soft);padding:4px 0}
details ol{margin:2px 0 8px;padding-left:2.4em;font-variant-numeric:tabular-nums}
footer{padding-top:36px;padding-bottom:48px;color:var(--soft);font-size:.9rem}
.shapes{position:absolute}
svg text{font:11px system-ui,sans-serif;fill:var(--ink)}
svg .zone-label,svg .tick-label{fill:var(--soft)}
svg .label{font-weight:600}svg .label,svg .in-ice{paint-order:stroke;stroke:var(--panel);stroke-width:3px;stroke-linejoin:round}
svg .in-ice{stroke:var(--ice-pale);font-weight:600}
svg .on-trouble{font-weight:600;paint-order:stroke;stroke:var(--warn-pale);stroke-width:3px}
svg .in-mark{fill:var(--on-mark);font-size:9.5px;font-weight:700}
.grid{stroke:var(--grid)}
.zone{fill:var(--grid);fill-opacity:.55}.zone.frozen{fill:var(--ice-pale);fill-opacity:.75}.zone.cut-out{fill:url(#dots);fill-opacity:1}
.running{fill:var(--good-pale);stroke:var(--good)}
.frozen:not(.zone){fill:url(#hatch-ice);stroke:var(--ice)}
.trouble{fill:var(--warn-pale);stroke:var(--warn)}
.alive,.answered{fill:var(--good);stroke:var(--good);stroke-width:.6px}
.warm-up{fill:var(--good-pale);stroke:var(--good);stroke-width:.6px}
.dead{fill:url(#hatch-warn);stroke:var(--warn);stroke-width:.8px}
.dial{stroke:var(--soft);stroke-width:1.5px;stroke-dasharray:2 2}
.failed{fill:var(--bad-pale);stroke:var(--bad)}.hung{fill:url(#hatch-bad);stroke:var(--bad)}.honest{fill:var(--warn-pale);stroke:var(--warn)}
.took{fill:var(--soft)}.delay{fill:var(--soft);fill-opacity:.35}
use.good{fill:var(--good);stroke:none}use.bad{fill:var(--bad);stroke:var(--bad)}use.plain{fill:var(--ice)}use.warn{stroke:var(--warn)}use.soft{stroke:var(--soft)}
.open{fill:none;stroke-width:2px;stroke-linecap:round}
#crash,#cut{stroke:var(--panel);stroke-width:1px}#diamond,#big-diamond{stroke:none}
.fill-ice{fill:var(--ice-pale)}.stroke-ice{stroke:var(--ice);stroke-opacity:.45;stroke-width:2px}
.fill-warn{fill:var(--warn-pale)}.stroke-warn{stroke:var(--warn);stroke-width:2px}
.fill-bad{fill:var(--bad-pale)}.stroke-bad{stroke:var(--bad);stroke-opacity:.6;stroke-width:2px}.fill-soft{fill:var(--soft);fill-opacity:.5}
@media (max-width:760px){
main,header,footer{padding-left:14px;padding-right:14px}header{padding-top:24px}
.cards{grid-template-columns:1fr 1fr}.card{padding:10px 12px}
table,tbody,thead{display:block}tr{display:grid;grid-template-columns:1fr 1fr;border-top:1px solid var(--line)}thead tr{border:0}thead th:first-child{display:none}
tbody th{grid-column:1/-1;width:auto;padding-bottom:0}th,td{border:0;padding:8px 10px}
.glossary{columns:1}
.timeline{padding:12px 10px 8px;margin-left:-6px;margin-right:-6px}
.lane{display:block}.name{display:block;padding:3px 0 0}
}
@media print{
body{background:#fff;font-size:11pt}*{print-color-adjust:exact;-webkit-print-color-adjust:exact}
section{break-inside:auto}.timeline,tr{break-inside:avoid}.lists,.top{display:none}
}
`)
