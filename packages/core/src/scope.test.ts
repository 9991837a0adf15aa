import { AsyncLocalStorage } from 'node:async_hooks'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { ScopeError } from './errors.ts'
import { type Invocation, runInvocation, type Scope } from './invocation.ts'
import { currentScope, openScope } from './scope.ts'

/** The request that runs now, as the runtime knows it. 0: the global scope. */
let request = 0
/** How often the runtime was asked from outside. */
let refusals = 0

/** What workerd has, as far as it matters: what it makes belongs to the request that runs. */
class WebSocketPair {
  readonly 0: { readonly readyState: number }

  constructor() {
    if (request === 0) throw new Error('Disallowed operation called within global scope')
    const owner = request
    this[0] = {
      get readyState() {
        if (request === owner) return 1
        refusals++
        throw new Error('Cannot perform I/O on behalf of a different request')
      },
    }
  }
}

const create = () => new AsyncLocalStorage<Invocation>()

function inRequest<Result>(number: number, work: () => Result): Result {
  request = number
  return work()
}

function within<Result>(scope: Scope | undefined, work: () => Result): Result {
  const invocation = { id: '', deadlineAt: Number.POSITIVE_INFINITY, signal: new AbortController().signal, scope }
  return runInvocation(invocation, create, work)
}

describe('off Workers', () => {
  test('there are no scopes: sockets live as long as the process', () => {
    expect([currentScope(), openScope()]).toEqual([undefined, undefined])
  })
})

describe('on Workers', () => {
  // Each test has requests of its own: what is remembered is remembered for the whole isolate.
  let first = 0
  let last = 1
  beforeEach(() => {
    vi.stubGlobal('WebSocketPair', WebSocketPair)
    first = last
    last += 1000
    refusals = 0
  })
  afterEach(() => {
    vi.unstubAllGlobals()
    request = 0
  })

  test('a request finds its scope again, and no other', () => {
    const one = inRequest(first, currentScope)
    const other = inRequest(first + 1, currentScope)
    expect(other).not.toBe(one)
    expect(inRequest(first, currentScope)).toBe(one)
    expect(inRequest(first + 1, currentScope)).toBe(other)
    expect([one?.isCurrent(), other?.isCurrent()]).toEqual([false, true])
  })

  test('the one that was found last is asked first', () => {
    for (let n = 0; n < 10; n++) inRequest(first + n, currentScope)
    inRequest(first, currentScope)
    refusals = 0
    inRequest(first, currentScope)
    expect(refusals).toBe(0)
  })

  test('no more than 32 are asked, however many there have been', () => {
    for (let n = 0; n < 100; n++) inRequest(first + n, currentScope)
    refusals = 0
    inRequest(first + 100, currentScope)
    expect(refusals).toBe(32)
  })

  test('what a wrapper says is found without asking the others', () => {
    for (let n = 0; n < 10; n++) inRequest(first + n, currentScope)
    const scope = inRequest(first + 10, openScope)
    refusals = 0
    expect(within(scope, currentScope)).toBe(scope)
    expect(refusals).toBe(0)
  })

  test('what a wrapper says is not believed in another request, as where a callback was bound to it', () => {
    const scope = inRequest(first, openScope)
    const found = inRequest(first + 1, () => within(scope, currentScope))
    expect(found).not.toBe(scope)
    expect(found?.isCurrent()).toBe(true)
  })

  test('the stacks of errors are as deep as before', () => {
    const { stackTraceLimit } = Error
    inRequest(first, currentScope)
    inRequest(first + 1, currentScope)
    expect(Error.stackTraceLimit).toBe(stackTraceLimit)
  })

  test.for([
    ['currentScope', currentScope],
    ['openScope', openScope],
  ] as const)('in the global scope %s names the fix', ([, find]) => {
    const look = () => inRequest(0, find)
    expect(look).toThrow(ScopeError)
    expect(look).toThrow(/global scope.*into a handler/)
  })
})
