import { defineConfig, type UserConfig } from 'tsdown'

const shared: UserConfig = {
  // Node, workerd, the Edge runtime: nothing of Node's is imported.
  platform: 'neutral',
  sourcemap: true,
  fixedExtension: true,
  // Of pg the pool has only types, and none of them is in what we export: nothing of it stays, not even its name.
  deps: { neverBundle: ['pg', 'cloudflare:workers'] },
  treeshake: { moduleSideEffects: 'no-external' },
}
const config: UserConfig[] = defineConfig([
  { ...shared, entry: 'src/index.ts', format: ['esm', 'cjs'], dts: true, outputOptions: { exports: 'named' } },
  { ...shared, entry: 'src/workerd.ts', format: 'esm', dts: false, clean: false },
])
export default config
