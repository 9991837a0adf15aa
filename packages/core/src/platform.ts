/** Where are we running, and what follows from that for a pool? Looked up once, from the environment alone. */

/** The platforms that Thaw distinguishes. */
export type Platform = 'node' | 'lambda' | 'lambda-managed-instances' | 'vercel' | 'cloudflare' | 'cloud-run' | 'azure-functions'

/** A pool's defaults on a platform. */
export interface PlatformDefaults {
  readonly platform: Platform
  /** Connections per pool. */
  readonly max: number
  /** Up to how many, if all of these are held by callers that may be waiting for another one. */
  readonly mostConnections: number
  /** How long an unused connection is kept. */
  readonly idleTimeoutMillis: number
}

/** Environment variables, as `process.env` has them. */
export type Environment = Readonly<Record<string, string | undefined>>

/** node-postgres' own. Code that does not wait for itself there does not do so here. */
const PG_MAX = 10

const DEFAULTS: Readonly<Record<Platform, PlatformDefaults>> = {
  // node-postgres' own.
  node: { platform: 'node', max: PG_MAX, mostConnections: PG_MAX, idleTimeoutMillis: 10_000 },
  // One request at a time per process, which is then frozen for minutes: a timer cannot close the connection, and the next request needs
  // it. AWS's NAT gateway and load balancer drop a flow after 350 s.
  lambda: { platform: 'lambda', max: 1, mostConnections: PG_MAX, idleTimeoutMillis: 300_000 },
  // Each of 8 threads per CPU imports the handler separately, and is never frozen.
  'lambda-managed-instances': { platform: 'lambda-managed-instances', max: 2, mostConnections: PG_MAX, idleTimeoutMillis: 10_000 },
  // Many requests share a process, which is suspended when nothing is pending: keep few connections, for a short time.
  vercel: { platform: 'vercel', max: 5, mostConnections: PG_MAX, idleTimeoutMillis: 5_000 },
  // Up to 80 requests share an instance, and there may be a hundred instances. Between requests an instance has next to no CPU, so timers hardly run, and
  // the next request needs the connection. Google's firewall drops a silent flow after ten minutes.
  // https://cloud.google.com/run/docs/configuring/billing-settings, https://cloud.google.com/compute/docs/troubleshooting/general-tips
  'cloud-run': { platform: 'cloud-run', max: 5, mostConnections: PG_MAX, idleTimeoutMillis: 60_000 },
  // Never frozen, but there may be many instances. The load balancer drops a silent flow after four minutes, without an RST.
  // https://learn.microsoft.com/azure/load-balancer/load-balancer-tcp-reset
  'azure-functions': { platform: 'azure-functions', max: 5, mostConnections: PG_MAX, idleTimeoutMillis: 10_000 },
  // For one request, which may open six connections at once, or for one Durable Object, which cannot hibernate while one is open.
  // https://developers.cloudflare.com/workers/platform/limits/#simultaneous-open-connections
  cloudflare: { platform: 'cloudflare', max: 5, mostConnections: 6, idleTimeoutMillis: 5_000 },
}

/** The platform's defaults, recognised by the variables, or the name, that the platform documents. */
export function platformDefaults(env: Environment = environment()): PlatformDefaults {
  if (isWorker()) return DEFAULTS.cloudflare
  // Before Lambda: a Vercel function runs on Lambda and has its variables too. `vercel dev` sets the region "dev1".
  if (env['VERCEL'] && env['VERCEL_REGION'] && env['VERCEL_REGION'] !== 'dev1') return DEFAULTS.vercel
  if (env['AWS_LAMBDA_MAX_CONCURRENCY']) return DEFAULTS['lambda-managed-instances']
  // Netlify's functions too: they run on Lambda, and have its variables.
  if (env['AWS_LAMBDA_FUNCTION_NAME']) return DEFAULTS.lambda
  // A function of Google's is one with FUNCTION_TARGET; a job, which has CLOUD_RUN_JOB instead, has its CPU until it ends.
  // https://cloud.google.com/run/docs/container-contract#env-vars
  if (env['K_SERVICE'] && env['K_REVISION']) return DEFAULTS['cloud-run']
  // `func start` on a laptop sets the environment "Development".
  // https://learn.microsoft.com/azure/azure-functions/functions-app-settings
  if (env['FUNCTIONS_WORKER_RUNTIME'] && env['AZURE_FUNCTIONS_ENVIRONMENT'] !== 'Development') return DEFAULTS['azure-functions']
  // Fly, Railway and Render run servers. If one is suspended, the clocks show it.
  return DEFAULTS.node
}

/** https://developers.cloudflare.com/workers/runtime-apis/web-standards/#navigatoruseragent */
function isWorker(): boolean {
  return (globalThis as { navigator?: { userAgent?: string } }).navigator?.userAgent === 'Cloudflare-Workers'
}

/** The variables of this process. Empty where the runtime has none. */
export function environment(): Environment {
  return (globalThis as { process?: { env?: Environment } }).process?.env ?? {}
}
