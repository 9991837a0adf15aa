import { defineConfig, type ViteUserConfig } from 'vitest/config'

// Real servers and processes on a loaded machine: the limit is there to name the test that hangs, not to time it.
const config: ViteUserConfig = defineConfig({
  test: { include: ['src/**/*.test.ts'], testTimeout: 180_000, hookTimeout: 180_000, expect: { poll: { timeout: 30_000 } } },
})
export default config
