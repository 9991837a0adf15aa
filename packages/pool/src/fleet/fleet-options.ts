/** The option `fleet` in its surroundings: the name of the application, and what the pool leads to. */

import { checkFleet, FLEET_TRUST_MILLIS, type Fleet, fleetNames, OptionError, poolerAt } from '@thaw/core'

/** The options that matter to it. */
interface Surroundings {
  readonly fleet?: unknown
  readonly trustMillis?: unknown
  readonly application_name?: unknown
  readonly connectionString?: unknown
  readonly host?: unknown
  readonly port?: unknown
}

/**
 * The option, checked. Undefined: the pool is in no fleet.
 *
 * @throws {OptionError} naming what is wrong, or what to use instead.
 */
export function fleetOf(config: Surroundings, trustMillis: number): Fleet | undefined {
  if (config.fleet === undefined || config.fleet === null) return undefined
  const fleet = checkFleet(config.fleet)
  if (trustMillis > FLEET_TRUST_MILLIS) {
    throw new OptionError({
      option: 'trustMillis',
      allowed: `at most ${FLEET_TRUST_MILLIS} with "fleet"`,
      message: `Option "trustMillis" is ${trustMillis}, but may be at most ${FLEET_TRUST_MILLIS} with "fleet": the other members end sessions that are no longer trusted, and have to know when that is.`,
    })
  }
  const url = urlOf(config.connectionString)
  const { PGAPPNAME, PGHOST } = environment()
  fleetNames(fleet, textOf(url?.searchParams.get('application_name')) ?? textOf(config.application_name) ?? PGAPPNAME)
  const host = textOf(url?.hostname) ?? textOf(config.host) ?? PGHOST ?? ''
  const found = poolerAt(host, Number(url?.port || config.port) || undefined)
  if (found) {
    throw new OptionError({
      option: 'fleet',
      allowed: 'a direct connection to PostgreSQL',
      message: `Option "fleet" needs PostgreSQL itself at the other end, and ${host} is ${found.pooler}. ${found.instead}`,
    })
  }
  return fleet
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

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}

function urlOf(text: unknown): URL | undefined {
  return typeof text === 'string' && URL.canParse(text) ? new URL(text) : undefined
}

function environment(): { readonly PGAPPNAME?: string; readonly PGHOST?: string } {
  return (globalThis as { process?: { env?: object } }).process?.env ?? {}
}
