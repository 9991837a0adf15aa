import { defineConfig, type UserConfig } from 'tsdown'

const shared: UserConfig = { platform: 'node', sourcemap: true, fixedExtension: true }
const config: UserConfig[] = defineConfig([
  { ...shared, entry: 'src/index.ts', format: ['esm', 'cjs'], dts: true },
  // What `startLambda` and `startVercel` run in a process of its own.
  { ...shared, entry: 'src/lambda-runtime.ts', format: 'esm', dts: false, clean: false },
  { ...shared, entry: 'src/vercel-launcher.ts', format: 'esm', dts: false, clean: false },
])
export default config
