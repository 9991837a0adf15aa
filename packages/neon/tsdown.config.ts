import { defineConfig, type UserConfig } from 'tsdown'

const config: UserConfig = defineConfig({
  entry: 'src/index.ts',
  format: ['esm', 'cjs'],
  // Node, workerd, the Edge runtime: nothing of Node's is imported.
  platform: 'neutral',
  sourcemap: true,
  dts: true,
  fixedExtension: true,
  // Of pg the pool has only types, and none of them is in what we export: nothing of it stays, not even its name.
  deps: { neverBundle: ['pg'] },
  treeshake: { moduleSideEffects: 'no-external' },
  outputOptions: { exports: 'named' },
})
export default config
