/** What the pool said that it did: a lane for each kind of event, whatever kinds there are. */

import { plural } from '../plural.ts'
import type { RecordedDecision, Recording } from '../record/recording.ts'
import { bar, type Lane, mark, text } from './lanes.ts'
import { html, type Markup } from './markup.ts'
import type { TimeScale } from './time-scale.ts'
import { DECISIONS, describeFields, showMillis, type Tone, toneOf } from './words.ts'

interface Cluster {
  readonly x: number
  readonly tone: Tone
  readonly decisions: RecordedDecision[]
}

/** Marks that are closer than that are drawn as one, with their number. Per cent. */
const CLUSTER_PERCENT = 3
const HEIGHT = 20
const SHAPES: Readonly<Record<Tone, string>> = { good: 'disc', bad: 'diamond', plain: 'square' }

/** The lanes: the kinds that we have words for, then the others. */
export function decisionLanes({ decisions }: Recording, scale: TimeScale): Lane[] {
  const happened = new Set(decisions.map(({ type }) => type))
  const types = [...new Set([...Object.keys(DECISIONS), ...happened])].filter((type) => happened.has(type))
  return types.map((type) => {
    const mine = decisions.filter((decision) => decision.type === type)
    return {
      label: `${type} ×${mine.length}`,
      summary: `${plural(mine.length, 'time')} Thaw ${DECISIONS[type] ?? type}`,
      height: HEIGHT,
      body: [...mine.map((decision) => drawSpan(decision, scale)), ...cluster(mine, scale).map(drawCluster)],
    }
  })
}

/** One event in a line of text. */
export function describeDecision({ type, atMillis, fields }: RecordedDecision): string {
  const details = describeFields(fields)
  return `${type} at ${showMillis(atMillis)}${details === '' ? '' : `: ${details}`}`
}

// An event that says how long it took began that much earlier; one that says how long it waits has yet to.
function drawSpan({ atMillis, fields }: RecordedDecision, { x }: TimeScale): Markup | undefined {
  const { tookMillis, delayMillis } = fields
  if (typeof tookMillis === 'number') return bar('took', x(atMillis - tookMillis), x(atMillis), HEIGHT / 2 - 1, 2)
  return typeof delayMillis === 'number' ? bar('delay', x(atMillis), x(atMillis + delayMillis), HEIGHT / 2 - 1, 2) : undefined
}

function cluster(decisions: readonly RecordedDecision[], { x }: TimeScale): Cluster[] {
  const clusters: Cluster[] = []
  for (const decision of decisions) {
    const at = x(decision.atMillis)
    const tone = toneOf(decision)
    const near = clusters.find((known) => known.tone === tone && Math.abs(known.x - at) < CLUSTER_PERCENT)
    if (near) near.decisions.push(decision)
    else clusters.push({ x: at, tone, decisions: [decision] })
  }
  return clusters
}

function drawCluster({ x, tone, decisions }: Cluster): Markup {
  const middle = HEIGHT / 2
  const isOne = decisions.length === 1
  return html`<g><title>${decisions.map(describeDecision).join('\n')}</title>${mark(`${isOne ? '' : 'big-'}${SHAPES[tone]}`, x, middle, tone)}
${!isOne && text(x, middle + 3.5, String(decisions.length), 'in-mark', 'middle')}</g>`
}
