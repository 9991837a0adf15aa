/**
 * A request that `fetch` itself refuses, before anything is sent: an option that it does not take, an endpoint that is no URL. The driver says why, and Thaw passes that on: it is not
 * told as a write that may have been executed, and not sent again.
 */

import { neonConfig as stockConfig, neon as stockNeon } from '@neondatabase/serverless'
import { afterEach, expect, test, vi } from 'vitest'
import { neon, neonConfig } from './index.ts'

const URL = 'postgresql://app:secret@ep-refused.eu.aws.neon.tech/app'
const INSERT = 'INSERT INTO orders VALUES (1)'
const endpoint = stockConfig.fetchEndpoint

afterEach(() => {
  neonConfig.fetchEndpoint = endpoint
  neonConfig.fetchFunction = undefined
  vi.unstubAllGlobals()
})

const errorOf = (call: PromiseLike<unknown>) =>
  Promise.resolve(call).then(
    () => undefined,
    (error: unknown) => error,
  )

test.for([
  ['a header', { headers: { 'X-Request\n': '1' } }],
  ['a mode', { mode: 'navigate' }],
  ['a method without a body', { method: 'GET' }],
] as const)('%s that fetch refuses', async ([, fetchOptions]) => {
  for (const text of [INSERT, 'SELECT 1']) {
    const said = await errorOf(stockNeon(URL, { fetchOptions }).query(text))
    expect(await errorOf(neon(URL, { fetchOptions }).query(text))).toEqual(said)
    expect(await errorOf(neon(URL).query(text, [], { fetchOptions }))).toEqual(said)
    expect(said).toMatchObject({ name: 'NeonDbError', sourceError: expect.any(TypeError) })
  }
  const batch = neon(URL, { fetchOptions })
  expect(await errorOf(batch.transaction([batch.query(INSERT)]))).toMatchObject({ name: 'NeonDbError' })
})

test('an endpoint that is no URL', async () => {
  neonConfig.fetchEndpoint = () => 'no url'
  const said = await errorOf(stockNeon(URL).query(INSERT))
  expect(await errorOf(neon(URL).query(INSERT))).toEqual(said)
  expect(String(said)).toContain('no url')
})

test.for([
  ['a network that fails', () => Promise.reject(new TypeError('fetch failed'))],
  ['a redirect to what is no URL', () => Promise.reject(new TypeError('fetch failed', { cause: { code: 'ERR_INVALID_URL' } }))],
] as const)('%s may have taken the statement with it', async ([, fetch]) => {
  vi.stubGlobal('fetch', fetch)
  expect(await errorOf(neon(URL, { fetchOptions: { headers: { 'X-Request': '1' } } }).query(INSERT))).toMatchObject({ code: '08007' })
})

test('a function of your own may have sent it, whatever it throws', async () => {
  neonConfig.fetchFunction = () => {
    throw new TypeError('no')
  }
  expect(await errorOf(neon(URL, { fetchOptions: { mode: 'navigate' } }).query(INSERT))).toMatchObject({ code: '08007' })
})
