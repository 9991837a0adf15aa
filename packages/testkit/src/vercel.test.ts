import { describe, expect, test } from 'vitest'
import { isStopped } from './process-state.ts'
import { startVercel, type VercelInstance } from './vercel.ts'

const FUNCTIONS = new URL('../fixtures/vercel-functions.ts', import.meta.url)
const start = (shape: string, options: Parameters<typeof startVercel>[1] = {}): Promise<VercelInstance> =>
  startVercel(FUNCTIONS, { ...options, args: [shape, ...(options.args ?? [])] })

describe('a function', () => {
  test.each(['node', 'nested', 'methods', 'fetch', 'bare'])('exported as %s is called as Vercel calls it', async (shape) => {
    await using instance = await start(shape)
    const { status, body } = await instance.request('/hello', { body: 'payload' })
    expect(status).toBe(200)
    const seen = JSON.parse(body)
    expect(seen).toMatchObject({
      path: '/hello',
      body: 'payload',
      env: ['1', 'instance.vercel.app', 'iad1'],
      id: 'iad1::iad1::1',
      internal: [],
    })
    expect(new Date(seen.deadline).getTime()).toBeGreaterThan(Date.now() + 200_000)
    expect(seen.args).toEqual([shape])
  })

  test('that answers only other methods is answered for', async () => {
    await using instance = await start('methods')
    expect((await instance.request('/', { method: 'DELETE' })).status).toBe(405)
  })

  test('that is none is refused', async () => {
    await expect(start('nothing')).rejects.toThrow('exports no handler')
  })

  test.each(['node', 'fetch'])('that throws is answered 500, and others go on (%s)', async (shape) => {
    await using instance = await start(shape)
    const { status, headers } = await instance.request('/throw')
    expect([status, headers['x-vercel-error']]).toEqual([500, 'FUNCTION_INVOCATION_FAILED'])
    expect(instance.stderr).toContain('RangeError: thrown by the handler')
    expect((await instance.request('/')).status).toBe(200)
  })

  test('is answered for at its deadline, and holds the instance no longer', async () => {
    await using instance = await start('node', { maxDurationMillis: 200 })
    const { status, headers } = await instance.request('/wait/never')
    expect([status, headers['x-vercel-error']]).toEqual([504, 'FUNCTION_INVOCATION_TIMEOUT'])
    await instance.suspended()
  })

  test('is told of uncaught errors, by the instance', async () => {
    await using instance = await start('node')
    await instance.request('/leak')
    await expect.poll(() => instance.uncaught.map(({ error }) => error.message)).toEqual(['thrown into the void'])
  })
})

describe('an instance', () => {
  test('is suspended when no request is pending, and woken by the next', async () => {
    await using instance = await start('node')
    await instance.request('/')
    await instance.suspended()
    expect([instance.isSuspended, await isStopped(instance.pid)]).toEqual([true, true])
    expect((await instance.request('/')).status).toBe(200)
    await instance.suspended()
  })

  test('serves requests side by side, and goes on until the last has ended', async () => {
    await using instance = await start('node')
    const waiting = instance.request('/wait/a')
    await instance.request('/')
    expect(instance.isSuspended).toBe(false)
    await expect.poll(async () => (await instance.request('/open/a')).status).toBe(200)
    expect((await waiting).status).toBe(200)
    await instance.suspended()
  })

  test('goes on while a waitUntil promise is pending', async () => {
    await using instance = await start('fetch')
    await instance.request('/hold/b')
    await instance.request('/')
    expect(await isStopped(instance.pid)).toBe(false)
    await instance.request('/open/b')
    await instance.suspended()
  })

  test('does not mind a waitUntil promise that rejects', async () => {
    await using instance = await start('fetch')
    await instance.request('/hold-badly')
    await instance.suspended()
    expect([instance.stderr.includes('not awaited'), instance.uncaught.length]).toEqual([true, 0])
  })

  test('takes requests while it is suspended, and answers them when it is woken', async () => {
    await using instance = await start('node')
    await expect(instance.deliver('/')).rejects.toThrow('suspended')
    await instance.request('/')
    await instance.suspended()
    const requests = await Promise.all([instance.deliver('/x'), instance.deliver('/y')])
    expect(await isStopped(instance.pid)).toBe(true)
    await instance.wake()
    expect((await Promise.all(requests.map(({ answer }) => answer))).map(({ body }) => JSON.parse(body).path)).toEqual(['/x', '/y'])
    await instance.suspended()
  })

  test('is not suspended by the end of one request when the next has already come', async () => {
    await using instance = await start('node')
    for (let round = 0; round < 50; round++) expect((await instance.request('/')).status).toBe(200)
    await instance.suspended()
  })
})

describe('a shutdown', () => {
  test('is a SIGTERM that the function may obey', async () => {
    await using instance = await start('node', { args: ['--obeys'], terminationMillis: 30_000 })
    await instance.request('/')
    await instance.suspended()
    expect(await instance.shutdown()).toEqual({ code: 0, signal: null })
    expect(instance.stdout).toContain('SIGTERM')
  })

  test('is a SIGKILL half a second later if it does not', async () => {
    await using instance = await start('node')
    const began = performance.now()
    expect(await instance.shutdown()).toEqual({ code: null, signal: 'SIGKILL' })
    expect(performance.now() - began).toBeGreaterThanOrEqual(500 - 1)
    await expect(instance.suspended()).rejects.toThrow('SIGKILL')
  })
})
