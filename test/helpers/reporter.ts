import type { Reporter, SerializedError, TestModule } from 'vitest/node'

/** The type of an annotation that a reader of the run should see even though the test passed. */
export const remark = 'remark'

/** Says at the very end, what tests remarked and why tests were skipped, in one line each, and in CI how the run ended, in one line. */
export const closingReporter: Reporter = {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly SerializedError[]) {
    const tests = modules.flatMap(module => [...module.children.allTests()])
    const results = tests.map(test => test.result())
    const remarks = tests.flatMap(test => test.annotations()).filter(({ type }) => type === remark)
    const skips = results.flatMap(result =>
      result.state === 'skipped' && result.note ? [`skipped: ${result.note}`] : [],
    )
    for (const line of new Set([...remarks.map(({ message }) => message), ...skips]))
      process.stdout.write(`${line}\n`)
    if (!process.env.CI) return
    const count = (state: string) => results.filter(result => result.state === state).length
    // A file that could not be loaded has no tests to count, and must not pass for none.
    const broken = modules.filter(module => module.errors().length > 0).length + errors.length
    const skipped = count('skipped') > 0 ? `, ${count('skipped')} skipped` : ''
    const line = `${count('passed')} passed, ${count('failed') + broken} failed${skipped}\n`
    // Behind what is said when everything has been put away.
    process.once('exit', () => process.stdout.write(line))
  },
}
