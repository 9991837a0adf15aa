import { expect, test, vi } from 'vitest'
import { type Environment, type PlatformDefaults, platformDefaults } from './platform.ts'

const NODE: PlatformDefaults = { platform: 'node', max: 10, mostConnections: 10, idleTimeoutMillis: 10_000 }
const LAMBDA: PlatformDefaults = { platform: 'lambda', max: 1, mostConnections: 10, idleTimeoutMillis: 300_000 }
const MANAGED: PlatformDefaults = { platform: 'lambda-managed-instances', max: 2, mostConnections: 10, idleTimeoutMillis: 10_000 }
const VERCEL: PlatformDefaults = { platform: 'vercel', max: 5, mostConnections: 10, idleTimeoutMillis: 5000 }
const CLOUD_RUN: PlatformDefaults = { platform: 'cloud-run', max: 5, mostConnections: 10, idleTimeoutMillis: 60_000 }
const AZURE: PlatformDefaults = { platform: 'azure-functions', max: 5, mostConnections: 10, idleTimeoutMillis: 10_000 }

const rows: readonly [sentence: string, env: Environment, defaults: PlatformDefaults][] = [
  ['a server', {}, NODE],
  ['a server with variables of its own', { NODE_ENV: 'production', AWS_REGION: 'eu-central-1' }, NODE],
  ['a Lambda function', { AWS_LAMBDA_FUNCTION_NAME: 'orders' }, LAMBDA],
  ['a Lambda function on managed instances', { AWS_LAMBDA_FUNCTION_NAME: 'orders', AWS_LAMBDA_MAX_CONCURRENCY: '16' }, MANAGED],
  ['a Vercel function', { VERCEL: '1', VERCEL_REGION: 'fra1' }, VERCEL],
  [
    'a Vercel function, which shows the variables of Lambda too',
    { VERCEL: '1', VERCEL_REGION: 'fra1', AWS_LAMBDA_FUNCTION_NAME: 'x' },
    VERCEL,
  ],
  ['`vercel dev` on a laptop', { VERCEL: '1', VERCEL_REGION: 'dev1' }, NODE],
  ['`vercel build`, where no region is set', { VERCEL: '1' }, NODE],
  ['a region without Vercel', { VERCEL_REGION: 'fra1' }, NODE],
  ['a Netlify function, which runs on Lambda', { SITE_NAME: 'shop', AWS_LAMBDA_FUNCTION_NAME: 'x' }, LAMBDA],
  ['a Cloud Run service', { K_SERVICE: 'shop', K_REVISION: 'shop-00001', K_CONFIGURATION: 'shop', PORT: '8080' }, CLOUD_RUN],
  ['a Cloud Run function', { K_SERVICE: 'shop', K_REVISION: '1', FUNCTION_TARGET: 'handler' }, CLOUD_RUN],
  ['a Cloud Run job, which has its CPU until it ends', { CLOUD_RUN_JOB: 'import', CLOUD_RUN_TASK_INDEX: '0' }, NODE],
  ['an Azure function', { FUNCTIONS_WORKER_RUNTIME: 'node', AZURE_FUNCTIONS_ENVIRONMENT: 'Production' }, AZURE],
  ['an Azure function that does not say its environment', { FUNCTIONS_WORKER_RUNTIME: 'node' }, AZURE],
  ['`func start` on a laptop', { FUNCTIONS_WORKER_RUNTIME: 'node', AZURE_FUNCTIONS_ENVIRONMENT: 'Development' }, NODE],
  ['a machine of Fly', { FLY_APP_NAME: 'shop', FLY_MACHINE_ID: '1' }, NODE],
  ['a service of Railway', { RAILWAY_SERVICE_NAME: 'shop' }, NODE],
  ['a service of Render', { RENDER: 'true', RENDER_SERVICE_TYPE: 'web' }, NODE],
  [
    'variables that are set to nothing',
    { VERCEL: '', VERCEL_REGION: '', AWS_LAMBDA_FUNCTION_NAME: '', AWS_LAMBDA_MAX_CONCURRENCY: '' },
    NODE,
  ],
]

test.each(rows)('the defaults of %s', (_, env, defaults) => {
  expect(platformDefaults(env)).toEqual(defaults)
})

test('no connection of a freezing platform outlives what its network forgets: 350 s on AWS', () => {
  for (const { idleTimeoutMillis } of [LAMBDA, VERCEL]) expect(idleTimeoutMillis).toBeLessThan(350_000)
})

test('none on Azure outlives what its load balancer forgets, 240 s, and none on Cloud Run what its firewall does, 600 s', () => {
  expect(AZURE.idleTimeoutMillis).toBeLessThan(240_000)
  expect(CLOUD_RUN.idleTimeoutMillis).toBeLessThan(600_000)
})

test('without an environment given, that of the process is read at the time of asking', () => {
  vi.stubEnv('VERCEL', undefined)
  vi.stubEnv('AWS_LAMBDA_MAX_CONCURRENCY', undefined)
  vi.stubEnv('AWS_LAMBDA_FUNCTION_NAME', 'orders')
  try {
    expect(platformDefaults()).toEqual(LAMBDA)
    vi.stubEnv('AWS_LAMBDA_FUNCTION_NAME', undefined)
    expect(platformDefaults()).toEqual(NODE)
  } finally {
    vi.unstubAllEnvs()
  }
})

test('a Worker is known by its navigator, whatever its variables say', () => {
  vi.stubGlobal('navigator', { userAgent: 'Cloudflare-Workers' })
  try {
    expect(platformDefaults({ AWS_LAMBDA_FUNCTION_NAME: 'orders' })).toEqual({
      platform: 'cloudflare',
      max: 5,
      mostConnections: 6,
      idleTimeoutMillis: 5000,
    })
  } finally {
    vi.unstubAllGlobals()
  }
})

test.each([[undefined], [{}], [{ env: undefined }]])('a runtime whose process is %o is a server', (process) => {
  vi.stubGlobal('process', process)
  try {
    expect(platformDefaults()).toEqual(NODE)
  } finally {
    vi.unstubAllGlobals()
  }
})
