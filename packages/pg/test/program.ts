/** What callers of a pool may do, as values: a random program of it can be printed, shrunk and run again. */

import type { ScriptedFault, StoppedClocks } from '@thaw/testkit'
import fc from 'fast-check'

/**
 * How a statement is written, and what it does. `failing`: the server refuses it. `alike`: one text for all, whatever it does, so that those of one tick are one
 * run.
 */
export type Kind = 'simple' | 'param' | 'named' | 'rows' | 'write' | 'param-write' | 'failing' | 'alike' | 'large alike' | 'failing alike'

/** One statement, and for how long the server works on it. */
export interface Statement {
  readonly kind: Kind
  readonly sleep: number
}

/** `which` counts among those that are there at that moment. */
export type Step =
  | ({ readonly do: 'query'; readonly callback: boolean } & Statement)
  /** In one tick. */
  | { readonly do: 'burst'; readonly of: readonly Statement[] }
  | ({ readonly do: 'bounded query'; readonly after: number } & Statement)
  | { readonly do: 'connect'; readonly of: readonly Statement[]; readonly release: 'later' | 'at once' | 'at the end' }
  | { readonly do: 'bounded connect'; readonly after: number }
  | ({ readonly do: 'use'; readonly which: number } & Statement)
  | { readonly do: 'chain'; readonly which: number; readonly of: readonly Statement[]; readonly release: boolean }
  | { readonly do: 'release'; readonly which: number; readonly how: 'plain' | 'twice' | 'destroy' }
  | ({ readonly do: 'use a released one'; readonly which: number } & Statement)
  | ({ readonly do: 'listen'; readonly to: 'release' | 'acquire' | 'connect'; readonly once: boolean } & Statement)
  | { readonly do: 'transaction'; readonly of: readonly Statement[]; readonly end: 'COMMIT' | 'ROLLBACK' | 'none' }
  /** By `pool.transaction()`. `swallows`: what is lost or refused, and goes on. `inPart`: each statement is a part. */
  | { readonly do: 'pool transaction'; readonly of: readonly Statement[]; readonly swallows: boolean; readonly inPart: boolean }
  | { readonly do: 'cursor'; readonly which: number; readonly read: number; readonly close: boolean }
  | { readonly do: 'wait'; readonly millis: number }
  | { readonly do: 'freeze'; readonly millis: number; readonly stops: StoppedClocks }
  | { readonly do: 'fault'; readonly which: number; readonly how: ScriptedFault }
  | { readonly do: 'refuse'; readonly mood: 'refusing' | 'deaf'; readonly millis: number }

/** A whole program, and the pool that it runs on. */
export interface Program {
  readonly max: number
  readonly trustMillis: number
  readonly latency: number
  readonly seed: number
  /** Servers behind the one address. */
  readonly servers: number
  readonly steps: readonly Step[]
}

/** Freezes and faults, after which a caller may be told of a failure. Without them everybody must be served. */
const TROUBLE: ReadonlySet<Step['do']> = new Set(['freeze', 'fault', 'refuse'])

export const isCalm = ({ steps }: Program): boolean => !steps.some((step) => TROUBLE.has(step.do))

const which = fc.nat(3)
const kind = fc.constantFrom<Kind>('simple', 'simple', 'param', 'named', 'rows', 'write', 'param-write', 'failing', 'alike')
// Beside the limits of the rules: trust (500 ms), the watch (two looks of a second).
const sleep = fc.constantFrom(0, 0, 0, 1, 5, 20, 100, 600, 1500, 4000)
const statement = { kind, sleep }
const statements = fc.array(fc.record(statement), { minLength: 1, maxLength: 3 })
const millis = fc.constantFrom(0, 1, 2, 5, 20, 100, 499, 501, 600, 1500, 4000)

const step = <T extends Step['do']>(name: T, weight: number, of: Record<string, fc.Arbitrary<unknown>>) => ({
  weight,
  arbitrary: fc.record({ do: fc.constant(name), ...of }) as unknown as fc.Arbitrary<Step>,
})

const plain = [
  step('query', 8, { ...statement, callback: fc.boolean() }),
  step('bounded query', 1, { ...statement, after: millis }),
  step('connect', 6, { of: statements, release: fc.constantFrom('later', 'later', 'at once', 'at the end') }),
  step('bounded connect', 1, { after: millis }),
  step('use', 4, { which, ...statement }),
  step('chain', 4, { which, of: statements, release: fc.boolean() }),
  step('release', 4, { which, how: fc.constantFrom('plain', 'plain', 'plain', 'twice', 'destroy') }),
  step('use a released one', 2, { which, ...statement }),
  step('listen', 1, { ...statement, to: fc.constantFrom('release', 'acquire', 'connect'), once: fc.boolean() }),
  step('transaction', 2, { of: statements, end: fc.constantFrom('COMMIT', 'COMMIT', 'ROLLBACK', 'none') }),
  step('pool transaction', 1, { of: statements, swallows: fc.boolean(), inPart: fc.boolean() }),
  step('cursor', 1, { which, read: fc.integer({ min: 1, max: 9 }), close: fc.boolean() }),
  step('wait', 8, { millis }),
]
/** For pools whose reads share connections: several in one tick. Others have enough of them as it is. */
const alike = {
  kind: fc.constantFrom<Kind>('alike', 'alike', 'alike', 'large alike', 'failing alike', 'param'),
  sleep: fc.constantFrom(0, 0, 0, 0, 0, 0, 0, 1, 600),
}
const bursts = [
  step('burst', 6, { of: fc.array(fc.record(statement), { minLength: 2, maxLength: 8 }) }),
  step('burst', 6, { of: fc.array(fc.record(alike), { minLength: 2, maxLength: 20 }) }),
]
const trouble = [
  step('freeze', 2, { millis: fc.constantFrom(100, 501, 3000, 60_000), stops: fc.constantFrom('none', 'mono', 'wall', 'both') }),
  step('fault', 3, { which, how: fc.constantFrom('fin', 'reset', 'terminate', 'silence') }),
  step('refuse', 1, { mood: fc.constantFrom('refusing', 'deaf'), millis }),
]

/** Programs with troubles, and as many without. */
export function programs(what: 'calm' | 'troubled' | 'any' = 'any', longest = 16, hasBursts = false): fc.Arbitrary<Program> {
  const calm = hasBursts ? [...plain, ...bursts] : plain
  const steps = (of: readonly fc.WeightedArbitrary<Step>[]) => fc.array(fc.oneof(...of), { minLength: 1, maxLength: longest, size: 'max' })
  const any = { calm: steps(calm), troubled: steps([...calm, ...trouble]), any: fc.oneof(steps(calm), steps([...calm, ...trouble])) }
  return fc.record({
    max: fc.integer({ min: 1, max: 3 }),
    trustMillis: fc.constantFrom(500, 500, 0),
    latency: fc.constantFrom(1, 1, 30),
    seed: fc.nat(),
    servers: fc.constantFrom(1, 1, 2),
    steps: any[what],
  })
}
