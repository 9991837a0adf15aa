import { defineConfig, type UserConfig } from 'tsdown'

const config: UserConfig[] = defineConfig([
  { entry: 'src/index.ts', format: ['esm', 'cjs'], platform: 'node', sourcemap: true, dts: true, fixedExtension: true },
  // The loop that `startLambda` runs in a process of its own.
  { entry: 'src/lambda-runtime.ts', format: 'esm', platform: 'node', sourcemap: true, dts: false, fixedExtension: true, clean: false },
])
export default config
