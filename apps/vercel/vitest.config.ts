import { defineConfig, type ViteUserConfig } from 'vitest/config'

// Real servers, builds and processes on a loaded machine: the limit is there to name the test that hangs, not to time it.
const config: ViteUserConfig = defineConfig({
  test: {
    testTimeout: 120_000,
    hookTimeout: 600_000,
    expect: { poll: { timeout: 30_000 } },
    projects: [
      { extends: true, test: { name: 'app', include: ['src/**/*.test.ts'] } },
      { extends: true, test: { name: 'system', include: ['system/**/*.test.ts'] } },
    ],
  },
})
export default config
