import { defineConfig, type ViteUserConfig } from 'vitest/config'

// They wait more than they compute: on two cores vitest would run one file at a time.
const MOST_FILES = 3

// Real servers, processes and package managers on a loaded machine: the limit is there to name the test that hangs, not to time it. Tests that run side
// by side each start a process: three are enough for two cores.
const config: ViteUserConfig = defineConfig({
  test: {
    include: ['*/**/*.test.ts'],
    maxWorkers: MOST_FILES,
    testTimeout: 180_000,
    hookTimeout: 300_000,
    expect: { poll: { timeout: 30_000 } },
    maxConcurrency: 3,
  },
})
export default config
