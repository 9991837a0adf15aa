import { defineConfig, type UserConfig } from 'tsdown'

const config: UserConfig = defineConfig({
  entry: 'src/index.ts',
  format: ['esm', 'cjs'],
  dts: true,
  // Node, workerd, the Edge runtime: nothing of Node's is imported.
  platform: 'neutral',
  sourcemap: true,
  fixedExtension: true,
  outputOptions: { exports: 'named' },
  // Of pg the pool has only types, and none of them is in what we export: nothing of it stays, not even its name.
  deps: { neverBundle: ['pg'] },
  treeshake: { moduleSideEffects: 'no-external' },
})
export default config
