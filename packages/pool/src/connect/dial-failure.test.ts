import { describe, expect, test } from 'vitest'
import { acquireTimeout, cameFromServer, connectError, judgeDial, mayBeMistaken } from './dial-failure.ts'

const target = { host: 'db.example', port: 5432, database: 'shop' }
const socketError = (code: string, syscall: string, message = `${syscall} ${code}`) =>
  Object.assign(new Error(message), { code, syscall, errno: -111 })
const serverError = (code: string) => Object.assign(new Error('as the server says'), { code, severity: 'FATAL' })

describe('whether to dial again', () => {
  test.each([
    ['ECONNREFUSED', 'again'],
    ['ENOTFOUND', 'again'],
    ['57P03', 'again'],
    ['53300', 'again'],
    ['28P01', 'password'],
    ['3D000', 'fail'],
    ['28000', 'fail'],
    ['DEPTH_ZERO_SELF_SIGNED_CERT', 'fail'],
    ['ERR_TLS_CERT_ALTNAME_INVALID', 'fail'],
  ])('%s: %s', (code, verdict) => expect(judgeDial(Object.assign(new Error(), { code }))).toBe(verdict))

  test('no socket in the file system: again, no file: not', () => {
    expect(judgeDial(socketError('ENOENT', 'connect'))).toBe('again')
    expect(judgeDial(socketError('ENOENT', 'open'))).toBe('fail')
  })

  test('an unknown failure is not retried', () => expect(judgeDial(new Error('who knows'))).toBe('fail'))
})

test.each([
  [socketError('ENOTFOUND', 'getaddrinfo'), 'dns'],
  [socketError('ECONNREFUSED', 'connect'), 'tcp'],
  [new AggregateError([socketError('ECONNREFUSED', 'connect')], 'all addresses'), 'tcp'],
  [Object.assign(new Error('self-signed certificate'), { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' }), 'tls'],
  [new Error('The server does not support SSL connections'), 'tls'],
  [serverError('53300'), 'startup'],
  [new Error('Connection terminated unexpectedly'), 'startup'],
])('%s stopped the dial at: %s', (cause, stage) => {
  const error = connectError(cause, target, 3, 812.4)
  expect(error).toMatchObject({ kind: 'connect', name: 'ConnectError', stage, attempts: 3, retryable: true, cause })
  expect(error.message).toContain('database "shop" at db.example:5432 (3 attempts in 812 ms)')
})

test.each(['dns', 'tcp', 'tls'] as const)(
  'an error that does not say where it was stopped at the stage that it had reached: %s',
  (reached) => {
    const timeout = new Error('Connection terminated due to connection timeout')
    expect(connectError(timeout, target, 1, 1, reached).stage).toBe(reached)
    expect(connectError(serverError('53300'), target, 1, 1, reached).stage).toBe('startup')
  },
)

test('a full server is called that, with what to do', () => {
  const full = 'The server had no room for another session (53300).'
  expect(connectError(serverError('53300'), target, 1, 1).message).toContain(full)
  expect(acquireTimeout('connect', 3000, 1, target, serverError('53300')).message).toContain(full)
  expect(connectError(serverError('57P03'), target, 1, 1).message).not.toContain(full)
})

test("the socket's own facts are carried over, for other people's predicates", () => {
  const cause = socketError('ECONNREFUSED', 'connect')
  expect(connectError(cause, target, 1, 1)).toMatchObject({ code: 'ECONNREFUSED', syscall: 'connect', errno: -111 })
  const wrapped = Object.assign(new AggregateError([cause]), { code: 'ECONNREFUSED' })
  expect(connectError(wrapped, target, 1, 1)).toMatchObject({ code: 'ECONNREFUSED', syscall: 'connect', errno: -111 })
})

test.each(['wait', 'connect', 'probe'] as const)("time is up in the stage %s: begins with pg-pool's own words", (stage) => {
  const error = acquireTimeout(stage, 10_000.4, 10, target, undefined)
  expect(error).toMatchObject({ kind: 'acquire-timeout', name: 'AcquireTimeoutError', stage, retryable: true })
  expect(error.message).toMatch(/^timeout exceeded when trying to connect: after 10000 ms/)
})

describe('a typing error may be all there is', () => {
  const refused = socketError('ECONNREFUSED', 'connect')
  test.each([
    ['db.example', socketError('ENOTFOUND', 'getaddrinfo'), true],
    ['db.example', socketError('EAI_AGAIN', 'getaddrinfo'), false],
    ['db.example', refused, false],
    ['10.0.0.7', refused, false],
    ['localhost', refused, true],
    ['localhost', new AggregateError([refused, refused]), true],
    ['127.0.0.53', refused, true],
    ['::1', refused, true],
    ['/var/run/postgresql', socketError('ENOENT', 'connect'), true],
    ['localhost', socketError('ETIMEDOUT', 'connect'), false],
    ['localhost', socketError('ECONNRESET', 'read'), true],
    ['localhost', new Error('Connection terminated unexpectedly'), true],
    ['localhost', new Error('Connection terminated due to connection timeout'), false],
    ['db.example', socketError('ECONNRESET', 'read'), false],
    ['db.example', new Error('Connection terminated unexpectedly'), false],
    ['localhost', serverError('57P03'), false],
    ['localhost.example', refused, false],
  ])('%s, %s: %s', (host, error, expected) => expect(mayBeMistaken(error, { ...target, host })).toBe(expected))
})

test('only an error with a SQLSTATE and a severity came from the server', () => {
  expect(cameFromServer(serverError('57P03'))).toBe(true)
  expect(cameFromServer(socketError('EPIPE', 'write'))).toBe(false)
  expect(cameFromServer(new Error())).toBe(false)
})
