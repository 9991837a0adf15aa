/** The option `fleet` in its surroundings: the name of the application, and what the pool leads to. */

import { checkFleet, environment, FLEET_TRUST_MILLIS, type Fleet, fleetNames, OptionError, poolerAt } from '@thaw/core'
import { ownName } from './own-name.ts'

/** The options that matter to it. */
interface Surroundings {
  readonly fleet?: unknown
  readonly trustMillis?: unknown
  readonly application_name?: unknown
  readonly fallback_application_name?: unknown
  readonly options?: unknown
  readonly pipeline?: unknown
  readonly connectionString?: unknown
  readonly host?: unknown
  readonly port?: unknown
}

/** The option, and what the user calls the application. */
export interface JoinedFleet extends Fleet {
  readonly called: string | undefined
}

/**
 * The option, checked. Undefined: the pool is in no fleet.
 *
 * @throws {OptionError} naming what is wrong, or what to use instead.
 */
export function fleetOf(config: Surroundings, trustMillis: number): JoinedFleet | undefined {
  if (config.fleet === undefined || config.fleet === null) return refuseMisspelt(config)
  const fleet = checkFleet(config.fleet)
  if (config.pipeline) throw pipelined()
  if (trustMillis > FLEET_TRUST_MILLIS) {
    throw new OptionError({
      option: 'trustMillis',
      allowed: `at most ${FLEET_TRUST_MILLIS} with "fleet"`,
      message: `Option "trustMillis" is ${trustMillis}, but may be at most ${FLEET_TRUST_MILLIS} with "fleet": the other members end sessions that are no longer trusted, and have to know when that is.`,
    })
  }
  const url = urlOf(config.connectionString)
  const { PGAPPNAME, PGOPTIONS, PGHOST, PGPORT } = environment()
  const given = (name: 'application_name' | 'fallback_application_name' | 'options') =>
    textOf(url?.searchParams.get(name)) ?? textOf(config[name])
  const called = ownName({
    application_name: given('application_name') ?? PGAPPNAME,
    fallback_application_name: given('fallback_application_name'),
    options: given('options') ?? PGOPTIONS,
  })
  fleetNames(fleet, called)
  const host = textOf(url?.searchParams.get('host')) ?? textOf(url?.hostname) ?? textOf(config.host) ?? PGHOST ?? ''
  const port = Number(textOf(url?.searchParams.get('port')) || url?.port || config.port || PGPORT) || undefined
  // As clients name it that cannot name it in the TLS handshake.
  const endpoint = ENDPOINT.exec(given('options') ?? PGOPTIONS ?? '')?.[1]
  const found = poolerAt(host, port) ?? (endpoint ? poolerAt(`${endpoint}.neon.tech`, port) : undefined)
  if (found) {
    throw new OptionError({
      option: 'fleet',
      allowed: 'a direct connection to PostgreSQL',
      message: `Option "fleet" needs PostgreSQL itself at the other end, and ${poolerAt(host, port) ? host : endpoint} is ${found.pooler}. ${found.instead}`,
    })
  }
  return { ...fleet, called }
}

const ENDPOINT = /(?:^|\s)(?:endpoint|project)=([\w-]+)/

/**
 * What people write for `fleet`. A list, because names of five letters are too alike for "one slip": others belong to the driver (decision 3).
 */
const MISSPELT = /^(?:fleets|fleat|flet|fleeet|felet|flete|fleet_|_fleet|fleet[_-]?(?:name|id|option|options))$/i

/** @throws {OptionError} where a fleet is meant, and none would be joined. */
function refuseMisspelt(config: Surroundings): undefined {
  const name = Object.keys(config).find((key) => MISSPELT.test(key))
  if (name) throw new OptionError({ option: name, allowed: 'fleet', message: `There is no option "${name}". Did you mean "fleet"?` })
  if (!urlOf(config.connectionString)?.searchParams.has('fleet')) return
  const message =
    'Option "fleet" is in the connection string, where it has no effect. Write it beside: new Pool({ connectionString, fleet: \'orders\' }).'
  throw new OptionError({ option: 'fleet', allowed: 'an option of the pool', message })
}

/** @throws {OptionError} on Workers, where connections last for one request. */
export function refuseFleetOnWorkers({ fleet }: Surroundings): void {
  if (fleet === undefined || fleet === null) return
  throw new OptionError({
    option: 'fleet',
    allowed: 'nothing, on Cloudflare Workers',
    message:
      'Option "fleet" does not work on Cloudflare Workers: a connection lasts for one request there, so none sleeps that could be ended. Use Hyperdrive, which shares connections: new Pool((env) => env.HYPERDRIVE).',
  })
}

/** In pipeline mode the client sends by itself: nothing could go in front of a statement, and none could be spared for what it leaves in its session. */
export function pipelined(): OptionError {
  return new OptionError({
    option: 'pipeline',
    allowed: 'false, with "fleet"',
    message:
      'Options "fleet" and "pipeline" cannot be combined: in pipeline mode nothing can be sent in front of a statement, so that no session would be spared for the settings it has. Omit "pipeline": reads share connections without it.',
  })
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}

/** As pg reads it (`parse` of pg-connection-string): libpq's form without a host, for one, is no URL. Undefined: it is none, but the path of a socket, or cannot be read at all. */
function urlOf(text: unknown): Pick<URL, 'searchParams' | 'hostname' | 'port'> | undefined {
  if (typeof text !== 'string' || text.startsWith('/')) return undefined
  if (URL.canParse(text, BASE)) return new URL(text, BASE)
  const named = text.replace('@/', '@none/')
  if (!URL.canParse(named, BASE)) return undefined
  const { searchParams, port } = new URL(named, BASE)
  return { searchParams, port, hostname: '' }
}

const BASE = 'postgres://base'
