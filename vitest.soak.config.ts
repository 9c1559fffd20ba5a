import { defineConfig } from 'vitest/config'
import { closingReporter } from './test/helpers/reporter.ts'

// What takes minutes and finds what only chance does: `npm run soak`.
export default defineConfig({
  test: {
    include: ['test/soak/*.soak.ts'],
    reporters: ['default', closingReporter],
    testTimeout: 30 * 60_000,
    // All clients at once: what they do there is wait.
    maxConcurrency: 8,
    teardownTimeout: 5_000,
  },
})
