/** The documentation's site in a real browser (Debian's Chromium), at the width of a desk and of a phone: what axe finds, the keyboard, the search. */

import { execFile } from 'node:child_process'
import { createReadStream } from 'node:fs'
import { glob, mkdtemp, rm, stat } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { extname, join } from 'node:path'
import { promisify } from 'node:util'
import { AxeBuilder } from '@axe-core/playwright'
import { type Browser, chromium, type Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { ROOT } from '../house/repository.ts'

vi.setConfig({ testTimeout: 300_000, hookTimeout: 120_000 })

const EXECUTABLE = process.env['THAW_CHROMIUM'] ?? '/usr/bin/chromium'
const ARGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking']
const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
}

let site: string
let server: Server
let url: string
let browser: Browser
/** The path of each page. */
const paths: string[] = []

beforeAll(async () => {
  site = await mkdtemp(join(tmpdir(), 'thaw-site-'))
  await promisify(execFile)(join(ROOT, 'node_modules/.bin/vitepress'), ['build', 'docs', '--outDir', site], { cwd: ROOT })
  for await (const file of glob('**/*.html', { cwd: site })) paths.push(`/${file.replace(/(^|(?<=\/))index\.html$|\.html$/, '')}`)
  server = createServer(async ({ url = '/' }, response) => {
    const path = join(site, new URL(url, 'http://site').pathname)
    const candidates = [path, `${path}.html`, join(path, 'index.html')]
    for (const file of candidates) {
      if (!(await stat(file).catch(() => undefined))?.isFile()) continue
      response.setHeader('Content-Type', TYPES[extname(file)] ?? 'application/octet-stream')
      createReadStream(file).pipe(response)
      return
    }
    response.writeHead(404).end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  browser = await chromium.launch({ executablePath: EXECUTABLE, args: ARGS })
})
afterAll(async () => {
  await browser?.close()
  server?.close()
  await rm(site, { recursive: true, force: true })
})

async function openSite(width: number, height: number, colorScheme: 'light' | 'dark' = 'light') {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme, reducedMotion: 'reduce' })
  const page = await context.newPage()
  const complaints: string[] = []
  page.on('pageerror', (error) => complaints.push(error.message))
  page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()))
  page.on('request', (request) => !request.url().startsWith(url) && complaints.push(`asks ${request.url()}`))
  return { page, complaints, [Symbol.asyncDispose]: () => context.close() }
}

/** What axe finds, one line for each rule and place. */
async function findViolations(page: Page): Promise<string[]> {
  const axe = new AxeBuilder({ page })
    // VitePress' search button shows its keys beside its name, which axe takes for a part of the name.
    .exclude('.DocSearch-Button')
    // Only what is wrong, and from this page alone, which has no frames: to carry what passes elsewhere takes half a minute for a long page.
    .options({ resultTypes: ['violations'] })
    .setLegacyMode()
  const { violations } = await axe.analyze()
  return violations.flatMap(({ id, nodes }) =>
    nodes.map(({ html, failureSummary = '' }) => `${id}: ${html.slice(0, 120)} ${failureSummary}`),
  )
}

describe.each([
  ['a desk, light', 1280, 800, 'light'],
  ['a phone, dark', 390, 844, 'dark'],
] as const)('on %s', (_name, width, height, colorScheme) => {
  test('no page complains, scrolls sideways, or breaks a rule of axe', async () => {
    await using opened = await openSite(width, height, colorScheme)
    const { page, complaints } = opened
    const found: string[] = []
    // A decision looks like any other, and axe takes seconds for each page.
    const looked = paths.filter((path) => path !== '/404' && !/\/decisions\/(?!0001)\d/.test(path))
    expect(looked.length).toBeGreaterThan(20)
    for (const path of looked) {
      await page.goto(url + path)
      const [scroll, inner] = (await page.evaluate('[document.documentElement.scrollWidth, innerWidth]')) as [number, number]
      if (scroll > inner) found.push(`${path}: ${scroll} px wide`)
      found.push(...(await findViolations(page)).map((line) => `${path}: ${line}`))
    }
    expect(found).toEqual([])
    expect(complaints).toEqual([])
  })
})

test('by the keyboard alone a reader skips to the text, searches, and opens what was found', async () => {
  await using opened = await openSite(1280, 800)
  const { page } = opened
  await page.goto(url, { waitUntil: 'networkidle' })
  await page.keyboard.press('Tab')
  await page.keyboard.press('Enter')
  expect(new URL(page.url()).hash).toBe('#VPContent')
  await page.keyboard.press('Control+k')
  await page.locator('.VPLocalSearchBox input:focus').waitFor()
  await page.keyboard.type('connectionTimeoutMillis')
  await page.locator('.VPLocalSearchBox .result').first().waitFor()
  await page.keyboard.press('Enter')
  await page.waitForURL(/\/(api|reference|start|concepts|packages|decisions)\//)
  await page.locator('main').getByText('connectionTimeoutMillis').first().waitFor()
})

test('a phone has the menu', async () => {
  await using opened = await openSite(390, 844)
  const { page } = opened
  await page.goto(`${url}/reference/options`, { waitUntil: 'networkidle' })
  await page.getByRole('button', { name: 'Menu' }).click()
  await page.locator('.VPSidebar').getByRole('link', { name: 'Options' }).waitFor()
})
