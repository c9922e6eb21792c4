import { defineConfig, type ViteUserConfig } from 'vitest/config'

/** How the tests run: real files and processes, so that few of them share the two cores. */
const config: ViteUserConfig = defineConfig({
  test: {
    root: new URL('..', import.meta.url).pathname,
    include: ['test/**/*.test.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    maxWorkers: 2,
    pool: 'forks',
  },
})

export default config
