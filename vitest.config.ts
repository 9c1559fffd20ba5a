import { availableParallelism } from 'node:os'
import { defineConfig } from 'vitest/config'
import { closingReporter } from './test/helpers/reporter.ts'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/helpers/sweep-report.ts'],
    reporters: ['default', closingReporter],
    // Most tests wait: for servers, for disks, for a moment to pass.
    maxWorkers: Math.max(2, availableParallelism()),
    testTimeout: 20_000,
    hookTimeout: 60_000,
    teardownTimeout: 5_000,
    restoreMocks: true,
    unstubEnvs: true,
  },
})
