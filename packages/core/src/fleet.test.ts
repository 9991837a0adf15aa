import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { OptionError } from './errors.ts'
import {
  checkFleet,
  FLEET_LEASE_MILLIS,
  FLEET_TRUST_MILLIS,
  fleetNames,
  inventsProcessIds,
  isCrowded,
  isEviction,
  LATE_ANSWER_MILLIS,
  poolerAt,
  readFleetName,
  troubleOf,
  wasSentInTime,
} from './fleet.ts'

function refusal(work: () => unknown): OptionError {
  try {
    work()
  } catch (error) {
    if (error instanceof OptionError) return error
    throw error
  }
  throw new Error('nothing was refused')
}

describe('the option', () => {
  test.each([
    ['a name', 'orders', { name: 'orders', sessions: undefined, keep: undefined }],
    ['an object', { name: 'or.d_e-rs', sessions: 20, keep: 0 }, { name: 'or.d_e-rs', sessions: 20, keep: 0 }],
    ['numbers as environment variables are', { name: 'a', sessions: '20', keep: '0' }, { name: 'a', sessions: 20, keep: 0 }],
    ['null for what is not given', { name: 'a', sessions: null }, { name: 'a', sessions: undefined, keep: undefined }],
  ])('takes %s', (_what, given, expected) => {
    expect(checkFleet(given)).toEqual(expected)
  })

  test.each([
    ['a number', 7, 'fleet'],
    ['an array', ['orders'], 'fleet'],
    ['a string that is an object', new String('orders'), 'fleet'],
    ['no name', {}, 'fleet.name'],
    ['an empty name', '', 'fleet.name'],
    ['a space, which ends the name of the application', 'my orders', 'fleet.name'],
    ['the mark of those who are spared', 'orders*', 'fleet.name'],
    ['a control character', 'or\0ders', 'fleet.name'],
    ['a line end', 'orders\n', 'fleet.name'],
    ['letters of which PostgreSQL makes question marks', 'bestellungen-für', 'fleet.name'],
    ['no sessions at all', { name: 'a', sessions: 0 }, 'fleet.sessions'],
    ['half a session', { name: 'a', sessions: 1.5 }, 'fleet.sessions'],
    ['more than PostgreSQL can have', { name: 'a', sessions: 300_000 }, 'fleet.sessions'],
    ['less than none', { name: 'a', keep: -1 }, 'fleet.keep'],
    ['a word', { name: 'a', keep: 'all' }, 'fleet.keep'],
    ['a number that only a program would read', { name: 'a', sessions: '0x10' }, 'fleet.sessions'],
    ['a number in powers of ten', { name: 'a', sessions: '1e2' }, 'fleet.sessions'],
    ['a misspelt part', { name: 'a', session: 5 }, 'fleet.session'],
  ])('refuses %s', (_what, given, option) => {
    expect(refusal(() => checkFleet(given)).option).toBe(option)
  })
})

describe('the names', () => {
  test("keep the user's own in front", () => {
    expect(fleetNames({ name: 'orders' }, 'shop')).toEqual({ resting: 'shop fleet:orders', held: 'shop fleet:orders*' })
    expect(fleetNames({ name: 'orders' }, undefined)).toEqual({ resting: 'fleet:orders', held: 'fleet:orders*' })
    expect(fleetNames({ name: 'orders' }, '')).toEqual({ resting: 'fleet:orders', held: 'fleet:orders*' })
  })

  test('fit into 63 bytes, or are refused by how many they do not', () => {
    expect(fleetNames({ name: 'x'.repeat(56) }, undefined).held).toHaveLength(63)
    const { message } = refusal(() => fleetNames({ name: 'x'.repeat(57) }, undefined))
    expect(message).toContain('too long for PostgreSQL by 1 byte')
    expect(message).not.toContain('Shorten application_name')
    // Bytes, and not letters; and of each that is not ASCII PostgreSQL makes four.
    const front = 'é'.repeat(6)
    expect(fleetNames({ name: 'orders' }, front).held).toBe(`${front} fleet:orders*`)
    expect(refusal(() => fleetNames({ name: 'orders' }, `${front}aa`)).message).toContain(
      'by 1 byte: it keeps 63 of application_name, and spells each byte that is not ASCII with four (\\xc3). Shorten application_name',
    )
    expect(() => fleetNames({ name: 'orders' }, '\t'.repeat(13))).toThrow(OptionError)
  })

  test('one fleet never takes those of another one for its own', () => {
    const name = fc.stringMatching(/^[A-Za-z0-9._-]{1,20}$/)
    fc.assert(
      fc.property(name, name, fc.string({ maxLength: 10 }), (mine, other, front) => {
        fc.pre(mine !== other)
        const { resting } = fleetNames({ name: mine }, undefined)
        const theirs = fleetNames({ name: other }, front)
        for (const called of [theirs.resting, theirs.held]) {
          expect(called === resting || called.endsWith(` ${resting}`)).toBe(false)
        }
      }),
    )
  })
})

describe('the lease', () => {
  test('is over when no runtime trusts the session any more, whatever was left in a socket, with time for the round trip', () => {
    const sentAtTheLatest = FLEET_TRUST_MILLIS + LATE_ANSWER_MILLIS
    expect(FLEET_LEASE_MILLIS - sentAtTheLatest).toBeGreaterThanOrEqual(500)
    expect(wasSentInTime(FLEET_TRUST_MILLIS + 20)).toBe(true)
    expect(wasSentInTime(sentAtTheLatest)).toBe(false)
    expect(wasSentInTime(Number.POSITIVE_INFINITY)).toBe(false)
  })
})

test('it is crowded where fewer were ended than were to be', () => {
  expect(isCrowded({ used: 90, limit: 100, wanted: 40, ended: 39 })).toBe(true)
  expect(isCrowded({ used: 90, limit: 100, wanted: 40, ended: 40 })).toBe(false)
  expect(isCrowded({ used: 10, limit: 100, wanted: 0, ended: 0 })).toBe(false)
})

test.each([
  ['ep-cool-1-pooler.eu-central-1.aws.neon.tech', 5432, "Neon's pooler"],
  ['ep-cool-1.eu-central-1.aws.neon.tech', 5432, undefined],
  ['aws-0-eu-west-1.pooler.supabase.com', 5432, 'Supavisor'],
  ['db.abc.supabase.co', 6543, 'PgBouncer'],
  ['db.abc.supabase.co', 5432, undefined],
  ['x.hyperdrive.local', 5432, 'Hyperdrive'],
  ['mine.proxy-abc123.us-east-1.rds.amazonaws.com', 5432, 'RDS Proxy'],
  ['mine.abc123.us-east-1.rds.amazonaws.com', 5432, undefined],
  ['mine.proxy-abc123.cn-north-1.rds.amazonaws.com.cn', 5432, 'RDS Proxy'],
  ['ep-cool-1-pooler.eu-central-1.aws.neon.tech.', 5432, "Neon's pooler"],
  ['ep-cool-1-pooler.us-east-1.postgres.vercel-storage.com', 5432, "Neon's pooler"],
  ['db.abc.supabase.co.', 6543, 'PgBouncer'],
  ['localhost', undefined, undefined],
])('%s at %s: %s', (host, port, pooler) => {
  expect(poolerAt(host, port)?.pooler).toBe(pooler)
})

test.each([
  ['57P01', true],
  ['57P05', true],
  ['57P02', false],
  ['ECONNRESET', false],
  [undefined, false],
])('an idle session of the fleet that ends with %s was evicted: %s', (code, evicted) => {
  expect(isEviction(Object.assign(new Error('ended'), { code }))).toBe(evicted)
})

test.each([
  ['42501', 'no-right'],
  ['42883', 'no-function'],
  ['42P01', 'no-function'],
  ['0A000', 'no-function'],
  ['57014', 'failed'],
  [undefined, 'failed'],
])('a look that fails with %s: %s', (code, trouble) => {
  expect(troubleOf(Object.assign(new Error('no'), { code }))).toBe(trouble)
})

test.each([
  ['ep-cool-1.eu-central-1.aws.neon.tech', true],
  ['ep-cool-1.c-2.eu-central-1.aws.neon.tech', true],
  ['ep-cool-1-pooler.eu-central-1.aws.neon.tech', false],
  ['ep-cool-1.us-east-1.postgres.vercel-storage.com', true],
  ['ep-cool-1-pooler.us-east-1.postgres.vercel-storage.com', false],
  ['eu-central-1.aws.neon.tech', false],
  ['ep-cool-1.neon.tech.example', false],
  ['db.example', false],
])("a process id is invented at %s, although the backend is the client's own: %s", (host, invented) => {
  expect(inventsProcessIds(host)).toBe(invented)
})

describe('what a session is called', () => {
  const fleet = { name: 'orders' }
  test.each([
    ['fleet:orders', true, ''],
    ['shop fleet:orders*', true, 'shop '],
    ['caf\\xc3\\xa9 fleet:orders', true, 'caf\\xc3\\xa9 '],
    ['report', false, 'report '],
    ['', false, ''],
    // Appended to what was read.
    ['shop fleet:orders* report', false, 'shop report '],
    ['fleet:orders a fleet:orders*', true, 'a '],
    ['xfleet:orders', false, 'xfleet:orders '],
  ])('%s: of the fleet: %s, and what is in front is kept', (told, isMember, front) => {
    expect(readFleetName(fleet, told)).toEqual({
      isMember,
      names: { resting: `${front}fleet:orders`, held: `${front}fleet:orders*` },
    })
  })

  test('leaves no room: then there are no names', () => {
    expect(readFleetName(fleet, 'x'.repeat(60))).toEqual({ isMember: false, names: undefined })
  })
})
