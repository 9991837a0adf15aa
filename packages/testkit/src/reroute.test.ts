import { expect, test } from 'vitest'
import { reroute } from './reroute.ts'

test.each([
  ['postgres://me:p%40ss@db.example:6543/app?sslmode=require', 'postgres://me:p%40ss@127.0.0.1:1234/app?sslmode=require'],
  ['postgresql://me@db.example/app', 'postgresql://me@127.0.0.1:1234/app'],
  ['postgres://me@[::1]:5432/app', 'postgres://me@127.0.0.1:1234/app'],
  ['postgres:///app', 'postgres://127.0.0.1:1234/app'],
  ['postgres:///app?host=/var/run/postgresql&port=5433&application_name=a', 'postgres://127.0.0.1:1234/app?application_name=a'],
  ['http://db.example/sql', 'http://127.0.0.1:1234/sql'],
])('%s', (url, expected) => {
  expect(reroute(url, '127.0.0.1', 1234)).toBe(expected)
})

test('what is no URL is not repeated in the error', () => {
  const reroutePassword = () => reroute('host=db.example password=secret', '127.0.0.1', 1234)
  expect(reroutePassword).toThrow(/This is no URL/)
  expect(reroutePassword).not.toThrow(/secret/)
})
