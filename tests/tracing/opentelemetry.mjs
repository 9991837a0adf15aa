/** The same for a program of ES modules: `node --import`. */

import { register } from 'node:module'

register('@opentelemetry/instrumentation/hook.mjs', import.meta.url)
await import('./opentelemetry.cjs')
