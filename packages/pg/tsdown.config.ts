import { defineConfig, type UserConfig } from 'tsdown'

const shared: UserConfig = { sourcemap: true, fixedExtension: true }
const config: UserConfig[] = defineConfig([
  { ...shared, entry: 'src/index.ts', format: ['esm', 'cjs'], platform: 'node', dts: true, outputOptions: { exports: 'named' } },
  {
    ...shared,
    entry: 'src/workerd.ts',
    format: 'esm',
    platform: 'neutral',
    dts: false,
    clean: false,
    deps: { neverBundle: ['cloudflare:workers'] },
  },
  { ...shared, entry: 'src/edge.ts', format: 'esm', platform: 'neutral', dts: false, clean: false },
])
export default config
