import { defineConfig } from 'vitest/config'
import { closingReporter } from './test/helpers/reporter.ts'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/helpers/sweep-report.ts'],
    reporters: ['default', closingReporter],
    testTimeout: 20_000,
    hookTimeout: 60_000,
    teardownTimeout: 5_000,
    restoreMocks: true,
    unstubEnvs: true,
  },
})
