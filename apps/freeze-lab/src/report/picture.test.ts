import { expect, test } from 'vitest'
import { renderPicture } from './picture.ts'
import { RECORDED_RUN } from './recorded-run.ts'

test('the picture shows every counted call of both sides, and says in words what came of them', () => {
  const svg = renderPicture(RECORDED_RUN) ?? ''
  expect(svg.match(/<rect class="bad"/g)).toHaveLength(2)
  expect(svg.match(/class="cross"/g)).toHaveLength(2)
  expect(svg.match(/<rect class="good"/g)).toHaveLength(2)
  expect(svg).toContain('pg: 2 of 2 calls failed. @thaw/pg: all 2 calls answered.')
  expect(svg).toContain('PostgreSQL 18.4, Node 24.21.0, seed 7')
})

test('it stands alone, by day and by night', () => {
  const svg = renderPicture(RECORDED_RUN) ?? ''
  expect(svg).toMatch(/^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg" width="480" height="\d+" viewBox="0 0 480 \d+"/)
  expect(svg).toContain('prefers-color-scheme: dark')
  expect(svg.replace('http://www.w3.org/2000/svg', '')).not.toMatch(/https?:|url\(|<script/)
})

test('without a fault there is no picture', () => {
  expect(renderPicture({ ...RECORDED_RUN, faults: [] })).toBeUndefined()
})
