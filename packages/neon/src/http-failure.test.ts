import { NeonDbError } from '@neondatabase/serverless'
import { expect, test } from 'vitest'
import { judgeHttp, wireFactsOf } from './http-failure.ts'

/** As the driver makes them. */
function answered(message: string, code?: string, severity = 'ERROR'): NeonDbError {
  return Object.assign(new NeonDbError(message), { code, severity })
}
function failed(cause: object): NeonDbError {
  const sourceError = new TypeError('fetch failed', { cause: Object.assign(new Error('no'), cause) })
  return Object.assign(new NeonDbError(`Error connecting to database: ${sourceError}`), { sourceError })
}
const status = (number: number, text = '') => answered(`Server error (HTTP status ${number}): ${text}`)

test.for([
  ['an error of PostgreSQL', answered('duplicate key', '23505'), 'answer'],
  ['a wrong password', answered('password authentication failed', '28P01'), 'answer'],
  ['words of the proxy without a code', answered('missing database name', ''), 'answer'],
  ['a request that is too large', status(413), 'answer'],
  ['an answer that is too large', status(507), 'answer'],
  ['what the driver itself refuses', new Error('transaction() expects an array'), 'answer'],
  ['refused', failed({ code: 'ECONNREFUSED', syscall: 'connect' }), 'unsent'],
  ['reset while connecting', failed({ code: 'ECONNRESET', syscall: 'connect' }), 'unsent'],
  ['no such name', failed({ code: 'ENOTFOUND', syscall: 'getaddrinfo' }), 'unsent'],
  ['a dial that took too long', failed({ code: 'UND_ERR_CONNECT_TIMEOUT' }), 'unsent'],
  ['too many requests', status(429), 'unsent'],
  ['no compute', status(500, `{"message":"Couldn't connect to compute node"}`), 'unsent'],
  ['no control plane', status(500, 'Control plane request failed'), 'unsent'],
  ['too many attempts', status(500, '{"message":"Too many connections to this endpoint. Please try again later."}'), 'unsent'],
  ['too many attempts to wake it', status(500, '{"message":"Too many connections attempts"}'), 'unsent'],
  ['a server that is starting', answered('the database system is starting up', '57P03', 'FATAL'), 'unsent'],
  ['a server that is full', answered('sorry, too many clients already', '53300', 'FATAL'), 'unsent'],
  ['an error of that code in a statement', answered('too many clients, says dblink', '53300'), 'lost'],
  ['no route while connecting', failed({ code: 'EHOSTUNREACH', syscall: 'connect' }), 'unsent'],
  ['no route any more', failed({ code: 'EHOSTUNREACH', syscall: 'read' }), 'lost'],
  ['reset', failed({ code: 'ECONNRESET', syscall: 'read' }), 'lost'],
  ['the other side closed', failed({ code: 'UND_ERR_SOCKET' }), 'lost'],
  ['a runtime that says nothing', failed({}), 'lost'],
  ['an answer that breaks off', new TypeError('terminated', { cause: { code: 'UND_ERR_SOCKET' } }), 'lost'],
  ['an answer that is no JSON', new SyntaxError('Unexpected end of JSON input'), 'lost'],
  ['500 for no known reason', status(500), 'lost'],
  ['503', status(503), 'lost'],
  ['a compute that died, in words', answered('connection closed', ''), 'lost'],
  ['a compute that was shut down', answered('terminating connection due to administrator command', '57P01'), 'lost'],
  ['a connection failure, by its class', answered('connection failure', '08006'), 'lost'],
] as const)('%s', ([, error, says]) => {
  expect(judgeHttp(error)).toBe(says)
})

test('what the socket said is found below the wrappings', () => {
  expect(wireFactsOf(failed({ code: 'ECONNRESET', errno: -104, syscall: 'read' }))).toEqual({
    code: 'ECONNRESET',
    errno: -104,
    syscall: 'read',
  })
  const both = new AggregateError([Object.assign(new Error('no'), { code: 'ECONNREFUSED', syscall: 'connect' })])
  const error = Object.assign(new NeonDbError('no'), { sourceError: new TypeError('fetch failed', { cause: both }) })
  expect(wireFactsOf(error)).toMatchObject({ code: 'ECONNREFUSED', syscall: 'connect' })
})
