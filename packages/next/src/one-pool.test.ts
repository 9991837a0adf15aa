import { once } from 'node:events'
import { Socket } from 'node:net'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { onePool } from './one-pool.ts'

class Pool {
  readonly options: { max?: number; connectionString?: string | undefined; stream?: () => { connect(): Socket }; password?: () => string }
  ending = false
  constructor(config: { max?: number; connectionString?: string | undefined; password?: () => string; host?: string }) {
    this.options = { ...config }
  }
}
class OtherPool extends Pool {}

const warn = vi.spyOn(console, 'warn').mockImplementation(() => {})
let name = ''
beforeEach(({ task }) => {
  name = task.id
})
afterEach(() => {
  vi.unstubAllEnvs()
  warn.mockClear()
})
const url = 'postgres://alice:secret@db.example/shop'

describe('one pool', () => {
  test('for the same configuration, whatever objects and functions it is made of, in whatever order', () => {
    const pool = onePool(Pool, { connectionString: url, max: 3, password: () => 'x' }, name)
    expect(onePool(Pool, { max: 3, password: () => 'x', connectionString: url }, name)).toBe(pool)
    expect(pool).toBeInstanceOf(Pool)
    expect(warn).not.toHaveBeenCalled()
  })

  test('whose functions are those of the newest module', () => {
    const pool = onePool(Pool, { connectionString: url, password: () => 'old' }, name)
    onePool(Pool, { connectionString: url, password: () => 'new' }, name)
    expect(pool.options.password?.()).toBe('new')
  })

  test('across copies of this module', async () => {
    const pool = onePool(Pool, { connectionString: url }, name)
    vi.resetModules()
    const copy = await import('./one-pool.ts')
    expect(copy.onePool).not.toBe(onePool)
    expect(copy.onePool(Pool, { connectionString: url }, name)).toBe(pool)
  })

  test('for each name', () => {
    expect(onePool(Pool, { connectionString: url }, name)).not.toBe(onePool(Pool, { connectionString: url }, `${name} reports`))
    expect(warn).not.toHaveBeenCalled()
  })

  test('is made anew once it has been ended', () => {
    const pool = onePool(Pool, { connectionString: url }, name)
    pool.ending = true
    const next = onePool(Pool, { connectionString: url }, name)
    expect(next).not.toBe(pool)
    expect(onePool(Pool, { connectionString: url }, name)).toBe(next)
    expect(warn).not.toHaveBeenCalled()
  })
})

describe.each([
  ['another configuration', () => onePool(Pool, { connectionString: url, max: 2 }, name)],
  ['another host', () => onePool(Pool, { connectionString: url, host: 'other' }, name)],
  ['another class', () => onePool(OtherPool, { connectionString: url }, name)],
])('%s', (_, make) => {
  test('is another pool in development, and retires the old one, aloud and without secrets', () => {
    const old = onePool(Pool, { connectionString: url }, name)
    const made = make()
    expect(made).not.toBe(old)
    expect(old.options).toMatchObject({ maxUses: 1 })
    expect(made.options).not.toHaveProperty('maxUses')
    expect(warn).toHaveBeenCalledExactlyOnceWith(expect.stringContaining('onePool(Pool, config, "reports")'))
    expect(warn.mock.calls.join()).not.toContain('secret')
    expect(make()).toBe(made)
    expect(onePool(Pool, { connectionString: url }, name)).not.toBe(old)
  })

  test('is a second pool in production', () => {
    vi.stubEnv('NODE_ENV', 'production')
    const pool = onePool(Pool, { connectionString: url }, name)
    expect(make()).not.toBe(pool)
    expect(onePool(Pool, { connectionString: url }, name)).toBe(pool)
    expect(pool.options).not.toHaveProperty('maxUses')
    expect(warn).not.toHaveBeenCalled()
  })
})

describe('without a connectionString', () => {
  test.each([undefined, ''])('(%o) a dial fails, not at once, and says what to set', async (connectionString) => {
    vi.stubEnv('PGHOST', undefined)
    const socket = onePool(Pool, { connectionString }, name).options.stream?.().connect()
    const [error] = await once(socket ?? new Socket(), 'error').catch((caught) => [caught])
    expect(error).toMatchObject({ kind: 'option', message: expect.stringContaining('DATABASE_URL') })
  })

  test.each([{}, { connectionString: undefined, host: 'db' }, { connectionString: url }])('%o is as node-postgres has it', (config) => {
    expect(onePool(Pool, config, name).options).toEqual(config)
  })

  test('PGHOST says where the database is', () => {
    vi.stubEnv('PGHOST', 'db')
    expect(onePool(Pool, { connectionString: undefined }, name).options).not.toHaveProperty('stream')
  })
})

test.each([[new Pool({})], [Pool]])('%o alone is refused', (given) => {
  expect(() => onePool(given as never, undefined as never)).toThrow(expect.objectContaining({ kind: 'option', option: 'Pool' }))
})
