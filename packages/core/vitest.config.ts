import { defineConfig, type ViteUserConfig } from 'vitest/config'

// Nothing here leaves anything behind, so that one worker after another need not be started.
const config: ViteUserConfig = defineConfig({ test: { include: ['src/**/*.test.ts'], isolate: false } })
export default config
