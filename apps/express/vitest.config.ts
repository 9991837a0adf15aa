import { fileURLToPath } from 'node:url'
import { defineConfig, type ViteUserConfig } from 'vitest/config'

// They wait more than they compute: on two cores vitest would run one file at a time.
const MOST_FILES = 2

// Real servers and processes on a loaded machine: the limit is there to name the test that hangs, not to time it.
const config: ViteUserConfig = defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    maxWorkers: MOST_FILES,
    testTimeout: 180_000,
    hookTimeout: 180_000,
    expect: { poll: { timeout: 30_000 } },
    // The app is started a dozen times, and most of that is compiling what it imports.
    env: { NODE_COMPILE_CACHE: fileURLToPath(new URL('node_modules/.cache/node', import.meta.url)) },
  },
})
export default config
