import { expect, test } from 'vitest'
import { checkPool, nameOf } from './observable-pool.ts'

test.each<[options: object, name: string]>([
  [{ host: 'db.example.com', port: 5432, database: 'shop' }, 'db.example.com:5432/shop'],
  [{ connectionString: 'postgres://user:secret@db.example.com:6543/shop?sslmode=require' }, 'db.example.com:6543/shop'],
  [{ connectionString: 'postgres://user:secret@db.example.com/my%20shop' }, 'db.example.com/my shop'],
  [{ connectionString: 'postgres://db.example.com/50%' }, 'db.example.com/50%'],
  [{ connectionString: '/var/run/postgresql shop', host: 'db' }, 'db'],
  [{ host: '/var/run/postgresql', database: 'shop' }, '/var/run/postgresql/shop'],
  [{}, 'postgresql'],
])('%o is called %s', (options, name) => {
  expect(nameOf(options)).toBe(name)
})

test.each([
  [undefined, 'observe() received a value of type undefined instead of a pool.'],
  [null, 'observe() received null instead of a pool.'],
  ['postgres://localhost', 'observe() received a value of type string instead of a pool.'],
  [{ stats: () => ({}) }, 'observe() received a value of type object instead of a pool.'],
  [{ connect() {}, query() {} }, 'observe() received the pool of another package.'],
])('%o is no pool', (value, message) => {
  expect(() => checkPool(value as never)).toThrow(
    expect.objectContaining({ kind: 'option', option: 'pool', message: expect.stringContaining(message) }),
  )
})
