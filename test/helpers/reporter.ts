import type { Reporter, SerializedError, TestModule } from 'vitest/node'

/** Says at the very end, in one line each, why tests were skipped, and in CI how the run ended, in one line. */
export const closingReporter: Reporter = {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly SerializedError[]) {
    const results = modules.flatMap(module => [...module.children.allTests()]).map(test => test.result())
    const notes = results.map(result => (result.state === 'skipped' ? result.note : undefined))
    for (const note of new Set(notes)) if (note) process.stdout.write(`skipped: ${note}\n`)
    if (!process.env.CI) return
    const count = (state: string) => results.filter(result => result.state === state).length
    // A file that could not be loaded has no tests to count, and must not pass for none.
    const broken = modules.filter(module => module.errors().length > 0).length + errors.length
    const skipped = count('skipped') > 0 ? `, ${count('skipped')} skipped` : ''
    process.stdout.write(`${count('passed')} passed, ${count('failed') + broken} failed${skipped}\n`)
  },
}
