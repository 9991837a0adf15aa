/** The app in a real browser: Debian's Chromium, at the width of a desk and of a phone. Pictures go to `pictures/`, to be looked at. */

import { type Browser, chromium, type Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { build, type LocalApp, startLocally } from '../src/local/local.ts'

const EXECUTABLE = process.env.THAW_CHROMIUM ?? '/usr/bin/chromium'
const ARGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking']
const PICTURES = new URL('../pictures/', import.meta.url).pathname

let app: LocalApp
let browser: Browser

beforeAll(async () => {
  await build()
  app = await startLocally('start')
  browser = await chromium.launch({ executablePath: EXECUTABLE, args: ARGS })
})
afterAll(async () => {
  await browser?.close()
  await app?.[Symbol.asyncDispose]()
})

async function openPage(width: number, height: number): Promise<{ page: Page; complaints: string[] }> {
  const page = await browser.newPage({ viewport: { width, height } })
  const complaints: string[] = []
  page.on('pageerror', (error) => complaints.push(error.message))
  page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()))
  await page.goto(app.url)
  return { page, complaints }
}

describe.each([
  ['a desk', 1280, 800],
  ['a phone', 390, 844],
])('at %s', (name, width, height) => {
  test('an order is placed and shown, the process is frozen and cut, and another order is placed', async () => {
    const { page, complaints } = await openPage(width, height)
    const place = async (item: string, pieces: string) => {
      await page.getByLabel('Item').selectOption(item)
      await page.getByLabel('Pieces').fill(pieces)
      await page.getByRole('button', { name: 'Order' }).click()
      await page.getByText(`${pieces} × ${item}. Thank you.`).waitFor()
      await page.getByRole('row').nth(1).getByText(item).waitFor()
    }
    await place('Honey', '2')
    await page.getByRole('button', { name: 'Freeze and cut' }).click()
    await page.getByText(/queries at once: 0 failed/).waitFor()
    await place('Green tea', '3')
    const scroll = await page.evaluate('[document.documentElement.scrollWidth, innerWidth]')
    expect(scroll).toEqual([width, width])
    await page.screenshot({ path: `${PICTURES}${name.split(' ')[1]}.png`, fullPage: true })
    expect(complaints).toEqual([])
    await page.close()
  })
})
