/** The figures of `bench fleet` as pictures for the docs. */

import type { FleetResult } from './fleet-run.ts'
import type { FleetDriver } from './fleet-runtime.ts'

/** What each driver made of so many runtimes. */
export interface FleetPoint {
  readonly runtimes: number
  readonly results: Readonly<Partial<Record<FleetDriver, FleetResult>>>
}

/** In colours that can be read on light and on dark. */
const DRIVERS: readonly (readonly [driver: FleetDriver, name: string, fill: string])[] = [
  ['pg', 'pg', '#c2410c'],
  ['serverless-postgres', 'serverless-postgres', '#a16207'],
  ['PgBouncer', 'pg through PgBouncer', '#6366f1'],
  ['fleet', 'Thaw with fleet', '#0f766e'],
]
const WIDTH = 640
const HEIGHT = 260
const LEFT = 30
const BOTTOM = 210
const TOP = 50
const BAR = 32

export function plotFailures(points: readonly FleetPoint[], sessions: number): string {
  const percent = ({ failed, calls }: FleetResult) => (100 * failed) / calls
  const label = (value: number) => (value > 0 && value < 1 ? '&lt;1 %' : `${Math.round(value)} %`)
  return plot(points, { title: `Failed calls on a server of ${sessions} sessions`, value: percent, most: 100, label })
}

/** Of those that fail at once there is nothing to wait for: the picture is beside the one of the failures. */
export function plotWaits(points: readonly FleetPoint[], sessions: number): string {
  const p99 = (result: FleetResult) => result.p99 / 1000
  const all = points.flatMap(({ results }) => Object.values(results).map(p99))
  const label = (value: number) => (value < 0.1 ? `${Math.round(value * 1000)} ms` : `${value.toFixed(1)} s`)
  return plot(points, {
    title: `The slowest of a hundred calls on a server of ${sessions} sessions`,
    value: p99,
    most: Math.max(...all),
    label,
  })
}

interface Chart {
  readonly title: string
  readonly most: number
  value(result: FleetResult): number
  label(value: number): string
}

function plot(points: readonly FleetPoint[], { title, value, most, label }: Chart): string {
  const step = (WIDTH - LEFT - 10) / points.length
  const y = (amount: number) => BOTTOM - ((BOTTOM - TOP) * Math.min(amount, most)) / most
  const bar = (x: number, amount: number, fill: string) =>
    `<rect x="${x.toFixed(1)}" y="${y(amount).toFixed(1)}" width="${BAR - 3}" height="${Math.max(1, BOTTOM - y(amount)).toFixed(1)}" fill="${fill}"/>` +
    `<text x="${(x + BAR / 2 - 1.5).toFixed(1)}" y="${(y(amount) - 5).toFixed(1)}" text-anchor="middle" font-size="10">${label(amount)}</text>`
  const groups = points.map(({ runtimes, results }, i) => {
    const shown = DRIVERS.filter(([driver]) => results[driver])
    const middle = LEFT + step * (i + 0.5)
    const bars = shown.map(([driver, , fill], place) => {
      const result = results[driver]
      return result ? bar(middle + (place - shown.length / 2) * BAR, value(result), fill) : ''
    })
    return `${bars.join('')}<text x="${middle.toFixed(1)}" y="${BOTTOM + 20}" text-anchor="middle">${runtimes.toLocaleString('en')}</text>`
  })
  const played = DRIVERS.filter(([driver]) => points.some(({ results }) => results[driver]))
  const legend = played.map(([, name, fill]) => `<tspan fill="${fill}" font-weight="600">${name}</tspan>`).join(', ')
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${title}, by how many runtimes share it" font-family="system-ui, sans-serif" font-size="13" fill="#6b7280">
<title>${title}, by how many runtimes share it</title>
<text x="${LEFT}" y="16">${title}:</text>
<text x="${LEFT}" y="34">${legend}</text>
<line x1="${LEFT}" y1="${BOTTOM}" x2="${WIDTH - 10}" y2="${BOTTOM}" stroke="#9ca3af"/>
${groups.join('\n')}
<text x="${LEFT}" y="${BOTTOM + 42}">runtimes of one connection each, 40 awake at once</text>
</svg>
`
}
