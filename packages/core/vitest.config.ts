import { defineConfig, type ViteUserConfig } from 'vitest/config'

// Nothing here leaves anything behind, so that one worker after another need not be started. The limits are there to name the test that hangs, not to time it.
const config: ViteUserConfig = defineConfig({
  test: {
    include: ['src/**/*.test.ts'],
    testTimeout: 180_000,
    hookTimeout: 180_000,
    expect: { poll: { timeout: 30_000 } },
    isolate: false,
  },
})
export default config
