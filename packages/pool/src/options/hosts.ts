/** Several hosts, as libpq takes them: `postgres://a:5432,b:5433/app?target_session_attrs=read-write`, or `host: 'a,b'`. */

import { type Environment, environment, OptionError } from '@thaw/core'

/** What a session has to be: libpq's `target_session_attrs`. */
export type SessionKind = 'any' | 'read-write' | 'read-only' | 'primary' | 'standby'

/** One host, and what its session has to be. */
export interface HostStep {
  /** What differs from the pool's own options. */
  readonly options: Readonly<Record<string, unknown>>
  readonly wants: SessionKind
}

/** Which hosts to try, in order. With `prefer-standby` each is in it twice. */
export interface HostPlan {
  readonly steps: readonly HostStep[]
  readonly isRandom: boolean
}

const KINDS = ['any', 'read-write', 'read-only', 'primary', 'standby', 'prefer-standby']
const BALANCES = ['disable', 'random']
/** Scheme, user, hosts, path, query. */
const URL_PARTS = /^(postgres(?:ql)?:\/\/)([^/?#]*@)?([^/?#]*)([^?#]*)(?:\?([^#]*))?/i
const OURS = new Set(['target_session_attrs', 'load_balance_hosts'])

/** A symbol, so that options made from a pool's options keep it, and nothing else sees it. */
const PLAN = Symbol('thaw.hosts')

/** Undefined: one host, whatever it is. */
export function hostPlanOf(options: object): HostPlan | undefined {
  return (options as { [PLAN]?: HostPlan })[PLAN]
}

/** The pool's options for one of its hosts, chosen already. Not a spread: pg-pool hides the password by making it non-enumerable. */
export function optionsAt(options: object, step: HostStep): object {
  return Object.assign(Object.defineProperties({}, Object.getOwnPropertyDescriptors(options)), step.options, { [PLAN]: undefined })
}

/**
 * Replaces a list of hosts, which pg does not understand, by the first of them, and keeps the list for the dialer.
 *
 * @param isSupported can this driver, in this runtime, choose among hosts?
 * @throws {OptionError} for what libpq refuses as well.
 */
export function planHosts(options: Record<string, unknown>, isSupported: boolean): void {
  if (PLAN in options) return
  const url = typeof options['connectionString'] === 'string' ? URL_PARTS.exec(options['connectionString']) : null
  // libpq's variables say what the options leave open. Of those that are about the choice, only where they name the hosts as well.
  const env = !isSupported || namesHost(options, url) ? {} : environment()
  const given = (name: string, variable: string) => valueIn(url?.[5], name) ?? options[name] ?? (env['PGHOST'] && env[variable])
  const wants = choice('target_session_attrs', given('target_session_attrs', 'PGTARGETSESSIONATTRS'), KINDS) ?? 'any'
  const balance = choice('load_balance_hosts', given('load_balance_hosts', 'PGLOADBALANCEHOSTS'), BALANCES)
  const hosts = url ? hostsOfUrl(url, env) : hostsOfOptions(options, env)
  const count = hosts?.length ?? 1
  if (count > 1) refuseUnsupported(options, isSupported)
  if (!isSupported || (count === 1 && wants === 'any')) return
  const each = hosts ?? [{}]
  const pass = (kind: SessionKind) => each.map((own): HostStep => ({ options: own, wants: kind }))
  const steps = wants === 'prefer-standby' ? [...pass('standby'), ...pass('any')] : pass(wants as SessionKind)
  Object.assign(options, each[0], { [PLAN]: { steps, isRandom: balance === 'random' } satisfies HostPlan })
}

function refuseUnsupported(options: Record<string, unknown>, isSupported: boolean): void {
  const fix = !isSupported
    ? 'are supported by @thaw/pg in a process only: neither over Neon, nor on Cloudflare Workers. Give the one address that follows the primary'
    : options['fleet']
      ? 'cannot be combined with `fleet`, which counts the sessions of one server. Give one host, or omit `fleet`'
      : undefined
  if (fix) throw optionError('host', 'one host', `Several hosts ${fix}.`)
}

function choice(option: string, value: unknown, allowed: readonly string[]): string | undefined {
  if (value === undefined || value === null || value === '') return undefined
  if (allowed.includes(value as string)) return value as string
  throw optionError(option, allowed.join(', '), `${option} is ${JSON.stringify(value)}. It must be one of ${allowed.join(', ')}.`)
}

function namesHost({ host, stream, connectionString }: Record<string, unknown>, url: RegExpExecArray | null): boolean {
  // A stream of the user's own may lead anywhere. What is not a URL is pg's to judge.
  if (stream || (connectionString && !url)) return true
  return Boolean(url ? url[3] || valueIn(url[5], 'host') : host)
}

function hostsOfOptions(options: Record<string, unknown>, env: Environment): Record<string, unknown>[] | undefined {
  if (options['connectionString']) return undefined
  const hosts = listOf(options['host'] || env['PGHOST'])
  const ports = listOf(options['port'] || (options['stream'] ? undefined : environment()['PGPORT']))
  if (hosts.length < 2 && ports.length < 2) return undefined
  return pair(hosts, ports)
}

function pair(hosts: readonly string[], ports: readonly string[]): { host: string; port?: number }[] {
  if (ports.length > 1 && ports.length !== hosts.length) {
    const counts = `${hosts.length} host${hosts.length === 1 ? '' : 's'} and ${ports.length} ports`
    throw optionError('port', 'one port, or as many as hosts', `There are ${counts}. Give one port for all hosts, or one for each.`)
  }
  return hosts.map((host, index) => {
    if (!host) throw optionError('host', 'host names', `Host ${index + 1} of ${hosts.length} is empty. Name each host.`)
    const port = ports[index] ?? (ports.length === 1 ? ports[0] : undefined)
    return { host, ...(port && { port: portOf(port) }) }
  })
}

function portOf(text: string): number {
  const port = Number(text)
  if (Number.isInteger(port) && port > 0 && port < 65_536) return port
  throw optionError('port', '1 to 65535', `Port ${JSON.stringify(text)} is no port. It must be from 1 to 65535.`)
}

/** A connection string for each host. Undefined: it names one, or none. */
function hostsOfUrl(
  [, scheme = '', user = '', authority = '', path = '', query]: RegExpExecArray,
  env: Environment,
): Record<string, unknown>[] | undefined {
  const kept = (query ?? '').split('&').filter((part) => part && !OURS.has(nameOf(part)))
  const inQuery = listOf(valueIn(query, 'host') || env['PGHOST'])
  if (inQuery.length > 1) {
    const rest = kept.filter((part) => !['host', 'port'].includes(nameOf(part)))
    return pair(inQuery, listOf(valueIn(query, 'port') || env['PGPORT'])).map(({ host, port }) => {
      const own = [...rest, `host=${encodeURIComponent(host)}`, ...(port ? [`port=${port}`] : [])]
      return { connectionString: `${scheme}${user}${authority}${path}?${own.join('&')}` }
    })
  }
  const hosts = authority.split(',')
  if (hosts.length < 2) return undefined
  return hosts.map((host, index) => {
    const [, name, port] = /^(\[[^\]]*\]|[^:]*)(?::(.*))?$/.exec(host) ?? []
    if (!name) throw optionError('connectionString', 'host names', `Host ${index + 1} of ${hosts.length} is empty. Name each host.`)
    if (port) portOf(port)
    return { connectionString: `${scheme}${user}${host}${path}${kept.length > 0 ? `?${kept.join('&')}` : ''}` }
  })
}

function nameOf(part: string): string {
  return part.split('=', 1)[0] ?? ''
}

function valueIn(query: string | undefined, name: string): string | undefined {
  const part = query?.split('&').findLast((one) => nameOf(one) === name)
  return part === undefined ? undefined : (new URLSearchParams(part).get(name) ?? undefined)
}

function listOf(value: unknown): string[] {
  if (Array.isArray(value)) return value.map((one) => String(one).trim())
  return typeof value === 'string' && value !== '' ? value.split(',').map((one) => one.trim()) : value ? [String(value)] : []
}

function optionError(option: string, allowed: string, message: string): OptionError {
  return new OptionError({ option, allowed, message })
}
