import { defineConfig, type UserConfig } from 'tsdown'

const shared: UserConfig = { sourcemap: true, fixedExtension: true }
const config: UserConfig[] = defineConfig([
  // For every runtime that has TCP. Nothing of Node's is imported: pg does that, by what there is.
  { ...shared, entry: 'src/index.ts', format: ['esm', 'cjs'], platform: 'neutral', dts: true, outputOptions: { exports: 'named' } },
  // For db0. It takes any pool, and has nothing of ours in it.
  { ...shared, entry: 'src/db0.ts', format: ['esm', 'cjs'], platform: 'neutral', dts: true, clean: false },
  {
    ...shared,
    entry: 'src/edge.ts',
    format: ['esm', 'cjs'],
    platform: 'neutral',
    dts: false,
    clean: false,
    outputOptions: { exports: 'named' },
  },
])
export default config
