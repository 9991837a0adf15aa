/** The figures of `bench fleet` as a picture for the docs. */

/** Calls of a hundred that fail, by how many runtimes there are. */
export interface FleetPoint {
  readonly runtimes: number
  readonly pg: number
  readonly fleet: number
}

const WIDTH = 640
const HEIGHT = 260
const LEFT = 56
const BOTTOM = 210
const TOP = 40
const BAR = 44

/** In colours that can be read on light and on dark. */
export function plotFleet(points: readonly FleetPoint[], sessions: number): string {
  const step = (WIDTH - LEFT - 20) / points.length
  const y = (percent: number) => BOTTOM - ((BOTTOM - TOP) * percent) / 100
  const bar = (x: number, percent: number, fill: string) =>
    `<rect x="${x.toFixed(1)}" y="${y(percent).toFixed(1)}" width="${BAR}" height="${Math.max(1, BOTTOM - y(percent)).toFixed(1)}" fill="${fill}"/>` +
    `<text x="${(x + BAR / 2).toFixed(1)}" y="${(y(percent) - 6).toFixed(1)}" text-anchor="middle">${Math.round(percent)} %</text>`
  const groups = points.map(({ runtimes, pg, fleet }, i) => {
    const x = LEFT + step * i + step / 2
    return `${bar(x - BAR - 2, pg, '#c2410c')}${bar(x + 2, fleet, '#0f766e')}<text x="${x.toFixed(1)}" y="${BOTTOM + 20}" text-anchor="middle">${runtimes.toLocaleString('en')}</text>`
  })
  const title = `Failed calls on a server of ${sessions} sessions, by how many runtimes share it`
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${title}" font-family="system-ui, sans-serif" font-size="13" fill="#6b7280">
<title>${title}</title>
<text x="${LEFT}" y="20">failed calls: <tspan fill="#c2410c" font-weight="600">pg</tspan>, <tspan fill="#0f766e" font-weight="600">Thaw with fleet</tspan></text>
<line x1="${LEFT}" y1="${BOTTOM}" x2="${WIDTH - 10}" y2="${BOTTOM}" stroke="#9ca3af"/>
${groups.join('\n')}
<text x="${LEFT}" y="${BOTTOM + 42}">runtimes of one connection each, 40 awake at once</text>
</svg>
`
}
