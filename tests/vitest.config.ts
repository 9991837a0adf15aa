import { defineConfig, type ViteUserConfig } from 'vitest/config'

// Real servers, processes and package managers on a loaded machine: the limit is there to name the test that hangs, not to time it.
const config: ViteUserConfig = defineConfig({ test: { include: ['*/**/*.test.ts'], testTimeout: 60_000, hookTimeout: 60_000 } })
export default config
