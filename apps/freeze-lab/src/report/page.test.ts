import { DOMParser, type Document, type Element, onWarningStopParsing } from '@xmldom/xmldom'
import { describe, expect, test } from 'vitest'
import type { LabResult } from '../lab.ts'
import type { Recording } from '../record/recording.ts'
import { renderPage } from './page.ts'
import { PG_RECORDING, RECORDED_RUN, THAW_RECORDING } from './recorded-run.ts'

const NASTY = `relation "a&b" <script>alert('1')</script> ]]> \u0000\u001b[31m does not exist`

describe('the page of a recorded run', () => {
  const page = parse(RECORDED_RUN)

  test('has one timeline for each driver, with the same lanes, and those of what Thaw decided', () => {
    const lanes = elements(page, 'figure').map((figure) => elements(figure, 'span').filter(hasClass('name')).map(textOf))
    const shared = ['time after the thaw', 'process', 'network, server', 'connections', 'calls']
    expect(lanes).toEqual([shared, [...shared, 'socketsPolled ×1', 'probed ×2', 'stale ×2', 'connected ×2', 'acquired ×2']])
  })

  test('draws both drivers on one scale', () => {
    const [pg = '', thaw = ''] = elements(page, 'figure').map((figure) => elements(figure, 'svg').map(String)[0])
    expect(pg).not.toBe('')
    expect(pg).toBe(thaw)
  })

  test('says in words what the pictures show', () => {
    const [pg, thaw] = elements(page, 'figcaption').map(textOf)
    expect(pg).toContain('All 2 calls hung')
    expect(thaw).toContain('All 2 calls were answered, the slowest after 615 ms.')
  })

  test('draws every call, connection and crash with what it was', () => {
    const titles = elements(page, 'title').map(textOf)
    expect(titles).toContain('store an order, at -0.4 ms, no answer after 5 s: no answer within 5000 ms')
    expect(titles).toContain('store an order, at -0.4 ms, answered after 594 ms')
    expect(titles).toContain('opened at -965 ms, died at -701 ms: silently lost, closed here at 521 ms')
    expect(titles).toContain('opened at -1.03 s, died at -703 ms: silently lost, never noticed')
  })

  test('says the same in lists, for those who have nothing to point with', () => {
    const items = elements(page, 'li').map(textOf)
    expect(items).toContain('read the latest orders, at -0.2 ms, no answer after 5 s: no answer within 5000 ms')
    expect(items).toContain('probed at 508 ms: alive: false, took 503 ms, silence 1.36 s')
    expect(elements(page, 'summary').map(textOf)).toEqual(expect.arrayContaining(['3 calls', '4 connections', '9 decisions']))
  })

  test('every picture has a name, or is hidden from those who could not see it', () => {
    for (const svg of elements(page, 'svg')) {
      const isHidden = [svg, svg.parentNode as Element, svg.parentNode?.parentNode as Element].some(
        (element) => element.getAttribute('aria-hidden') === 'true',
      )
      expect(isHidden || svg.getAttribute('role') === 'img', String(svg).slice(0, 200)).toBe(true)
      if (!isHidden) expect(svg.getAttribute('aria-label')).toMatch(/^(Plain pg|Thaw), .+: .+\.$/)
    }
  })

  test('shows a call without a colour too: a shape for each ending', () => {
    const hung = elements(page, 'use').filter((use) => use.getAttribute('href') === '#endless')
    expect(hung.length).toBeGreaterThanOrEqual(2)
  })
})

describe('whatever is in a run', () => {
  const nasty = { ...RECORDED_RUN, complaints: [NASTY], skipped: [{ name: NASTY, reason: NASTY }], postgresVersion: NASTY }

  test('is escaped', () => {
    const crash = { atMillis: 3, message: NASTY }
    const calls: Recording['calls'] = [{ ...(PG_RECORDING.calls[1] as Recording['calls'][0]), ending: 'failed', error: NASTY }]
    const decisions = [{ atMillis: 1, type: NASTY, fields: { [NASTY]: NASTY } }]
    const text = renderPage(withRecordings({ ...PG_RECORDING, calls, crashes: [crash] }, { ...THAW_RECORDING, decisions }, nasty))
    expect(text).not.toContain('<script')
    const page = parseText(text)
    expect(elements(page, 'script')).toEqual([])
    const shown = NASTY.replace('\u0000', '␀').replace('\u001b', '␛')
    expect(
      elements(page, 'li')
        .map(textOf)
        .filter((item) => item.includes(shown)).length,
    ).toBeGreaterThanOrEqual(3)
  })

  test('is loaded from nowhere', () => {
    const page = parse(nasty)
    for (const element of elements(page, '*')) {
      for (const { name, value } of [...element.attributes]) {
        if (name === 'href') expect(value).toMatch(/^#/)
        expect(['src', 'srcset', 'action', 'data', 'xlink:href', 'style']).not.toContain(name)
        expect(name).not.toMatch(/^on/)
      }
    }
    const style = elements(page, 'style').map(textOf).join('')
    expect(style).not.toContain('@import')
    expect([...style.matchAll(/url\(([^)]*)/g)].map(([, target]) => target).filter((target) => !target?.startsWith('#'))).toEqual([])
  })

  test('points only at what is there, once', () => {
    const page = parse(RECORDED_RUN)
    const ids = elements(page, '*')
      .map((element) => element.getAttribute('id'))
      .filter((id) => id !== null)
    expect(new Set(ids).size).toBe(ids.length)
    const targets = elements(page, '*').flatMap((element) => element.getAttribute('href') ?? [])
    const patterns = [
      ...elements(page, 'style')
        .map(textOf)
        .join('')
        .matchAll(/url\((#[^)]*)/g),
    ].map(([, target]) => String(target))
    for (const target of [...targets, ...patterns]) expect(ids.map((id) => `#${id}`)).toContain(target)
  })

  test('has a place: events that this page has never heard of', () => {
    const decisions = [
      { atMillis: 12, type: 'outcome', fields: { statement: 'write', outcome: 'unknown', action: 'reported' } },
      { atMillis: 13, type: 'sessionLost', fields: { what: 'SET' } },
      { atMillis: 14, type: 'somethingNew', fields: { tookMillis: 3 } },
    ]
    const page = parse(withRecordings(PG_RECORDING, { ...THAW_RECORDING, decisions }))
    const names = elements(page, 'span').filter(hasClass('name')).map(textOf)
    expect(names).toEqual(expect.arrayContaining(['outcome ×1', 'sessionLost ×1', 'somethingNew ×1']))
    expect(elements(page, 'li').map(textOf)).toContain('outcome at 12 ms: statement: write, outcome: unknown, action: reported')
  })

  test('is drawn, even if next to nothing was recorded', () => {
    const empty: Recording = {
      fromMillis: 0,
      toMillis: 0,
      freezes: [],
      calls: [],
      connections: [],
      blows: [],
      troubles: [],
      decisions: [],
      crashes: [],
    }
    expect(renderPage(withRecordings(empty, empty))).not.toMatch(/NaN|Infinity|undefined/)
  })
})

function withRecordings(pg: Recording, thaw: Recording, result: LabResult = RECORDED_RUN): LabResult {
  return { ...result, faults: result.faults.map((fault) => ({ ...fault, recordings: { pg, thaw } })) }
}

function parse(result: LabResult): Document {
  return parseText(renderPage(result))
}

/** The page is written so that a parser of XML accepts it, which is stricter than one of HTML: nothing is left open or written twice. */
function parseText(text: string): Document {
  return new DOMParser({ onError: onWarningStopParsing }).parseFromString(text, 'application/xml')
}

function elements(parent: Document | Element, name: string): Element[] {
  return [...parent.getElementsByTagName(name)]
}

function textOf(element: Element): string {
  return element.textContent ?? ''
}

function hasClass(name: string): (element: Element) => boolean {
  return (element) => element.getAttribute('class') === name
}
